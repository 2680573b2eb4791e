"""A run that pauses when a model is judged, as a trial of a sweep does at a rung."""

import json
from pathlib import Path

import pytest

from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from scenarios.engines.runner import (
    RunParked,
    ScenarioRun,
    interrupted_run,
    resume_run,
    run_scenario,
)
from tests.scenarios.conftest import Done


@pytest.mark.parametrize(("fixture", "ahead"), [("heart", 1), ("sealed_heart", 2)])
def test_a_run_that_paused_ends_with_the_model_of_one_that_did_not(
    fixture: str, ahead: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """It pauses once the model of so many rounds is judged, and `scenario resume` takes it on."""
    whole: Done = request.getfixturevalue(fixture)
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    with pytest.raises(RunParked, match="the model of 1 round is judged"):
        run_scenario(ScenarioRun(scenario=whole.scenario, config=whole.config, pause_after=1), run)
    assert read_record(run.summary, Summary).status == "parked"
    judged = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert judged[1]["metrics"]["roc_auc"]["value"] > 0.5  # of the model of one round
    assert len(judged) == 1 + ahead
    assert run.pause_after.read_text() == "1\n"
    assert json.loads(run.events.read_text().splitlines()[-1])["event"] == "run-paused"
    assert not run.log.exists()  # nothing went wrong
    summary = resume_run(interrupted_run(run, engine="inprocess", verbose=False), run)
    assert not run.pause_after.exists()
    assert summary.model_digest == whole.summary.model_digest
    assert summary.metrics == whole.summary.metrics
