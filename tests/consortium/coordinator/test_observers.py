from pathlib import Path

from consortium.coordinator.observers import observe_with
from consortium.coordinator.recorder import Recorder
from consortium.coordinator.tracking.trackers import Trackers
from consortium.run.directory import RunDirectory
from scenarios.library.registry import scenario_named
from sites.evaluation.contract import evaluation_for
from strategies.coordinator.messaging.events import RoundStarted, RunEvent


def test_the_audit_log_has_an_event_before_the_run_directory_does(tmp_path: Path) -> None:
    """What stands in the run directory can then be proved."""
    run = RunDirectory(tmp_path)
    recorder = Recorder(run, evaluation_for(scenario_named("heart-diagnosis").charter.table))
    noted: list[tuple[RunEvent, bool]] = []

    class Trail:
        """Notes what it is told, and whether the run directory has it already."""

        def note_event(self, event: RunEvent) -> None:
            noted.append((event, run.events.exists()))

    event = RoundStarted(server_round=1, cohort=("east",))
    trackers = Trackers(recorder.metrics_of, {})
    observe_with(Trail(), recorder, trackers)(event)  # type: ignore[arg-type]  # what is called
    assert noted == [(event, False)]
    assert "round-started" in run.events.read_text()
