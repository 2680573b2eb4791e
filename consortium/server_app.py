"""The ServerApp: config, charter, strategy, run; and the record of it."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from typing import Literal, TypeAlias

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.coordinator.audit_trail import AuditedGrid, CoordinatorAuditTrail
from consortium.coordinator.coordinator_modes import at_coordinator
from consortium.coordinator.hubs.hub_grid import HubGrid
from consortium.coordinator.hubs.hub_serving import hub_of_environment, serve_hub
from consortium.coordinator.later_runs.later_evaluation import write_into_evaluated
from consortium.coordinator.led_run import LedRun
from consortium.coordinator.pausing import RunPaused, with_pause
from consortium.coordinator.recorder import Recorder
from consortium.coordinator.resume import write_run_config
from consortium.coordinator.tracking.contract import RunName
from consortium.coordinator.tracking.registry import begin_trackers
from consortium.modes.registry import mode_of
from consortium.protocol.evaluation_bins import evaluation_of
from consortium.protocol.learning import learner_of
from consortium.protocol.robustness_estimate import protection_of
from consortium.run.absences import absences_among, shortage_text
from consortium.run.convergence import Convergence
from consortium.run.directory import RunDirectory
from consortium.run.leader_lock import hold_leadership
from consortium.run.logs import logging_to
from consortium.run.party_directory import PartyDirectory
from consortium.run.records import Saturation, Summary, write_record
from consortium.run.redo_slots import RedoSlots
from privacy.errors import ConsortiumError
from strategies.coordinator.encrypted.parameters import RoundVoid
from strategies.coordinator.messaging.cohort import QuorumNotReached

# A run that counts needs no torch.
PACKAGES = ("consortium-fl", "flwr", "numpy", "torch", "pandas")

Status: TypeAlias = Literal["finished", "parked", "failed"]

app = ServerApp()


class Unforeseen(ConsortiumError, RuntimeError, code="unforeseen"):
    """A run ended by an error that is not the project's own; the text is the error's class only.

    Its own text may quote what the coordinator was sent.
    """


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run a consortium to its end; the run directory says what happened, whatever that is.

    On the SuperLink of a hub, ask its members what the coordinator of the run asks, until its end.
    """
    run, config = RunDirectory.from_environment(), RunConfig.parse(context.run_config)
    charter, hub = Charter.read(run.charter), hub_of_environment()
    with hold_leadership(run.leader), logging_to(run.log):
        if hub is not None:
            serve_hub(hub, run, grid, charter, config)
            return
        with _hubs_between(run, grid, charter, config) as hubs:
            _lead(run, grid, charter, config, hubs)


@contextmanager
def _hubs_between(
    run: RunDirectory, grid: Grid, charter: Charter, config: RunConfig
) -> Iterator[HubGrid | None]:
    """Yield the bus through the hubs of a charter, if it has any; tell them when the run ended."""
    hubs = HubGrid(grid, charter, config.digest, name=run.path.name) if charter.hubs else None
    try:
        yield hubs
    finally:
        # Best effort: a run that Flower stopped has no bus any more, and its own end is to be told.
        with suppress(Exception):
            if hubs:
                hubs.dismiss_hubs()


def _lead(
    run: RunDirectory, grid: Grid, charter: Charter, config: RunConfig, hubs: HubGrid | None
) -> None:
    RedoSlots(run.vault, PartyDirectory(run.coordinator).audit_log).put_back()
    trail = CoordinatorAuditTrail.open_for(run, charter, config)
    recorder = Recorder(run, evaluation_of(config, charter))
    led = LedRun(
        grid=with_pause(AuditedGrid(hubs or grid, trail), run, recorder),
        config=config,
        charter=charter,
        recorder=recorder,
        trail=trail,
        trackers=begin_trackers(
            recorder.metrics_of,
            RunName(charter.name, run.path.name),
            recorder.record_tracker_failure,
        ),
        away=lambda: hubs.away if hubs else (),
    )
    write_run_config(run, config)
    try:
        at_coordinator(config).lead(led)
    except ConsortiumError as error:
        _record_failure(led, error)
        raise
    except Exception as error:
        with suppress(OSError, ConsortiumError):  # a full disk: the first error is the one to tell
            _record_failure(led, Unforeseen(type(error).__name__))
        raise
    else:
        trail.note_end("finished", led.ending.model_digest)
        led.trackers.close(finished=True)
    finally:
        led.trackers.close(finished=False)  # it was told already, unless the run failed
        trail.close()
    _write_summary(led, status="finished")


def _record_failure(led: LedRun, error: ConsortiumError) -> None:
    """Record that a run ended before its last round, and whether it waits to be resumed."""
    told = _end_text(led, error)
    if isinstance(error, RunPaused):
        led.recorder.record_pause(told)
    else:
        led.recorder.record_failure(error.code, told)
    waits = isinstance(error, QuorumNotReached | RoundVoid | RunPaused)
    parked = waits and led.ending.layout
    status: Status = "parked" if parked else "failed"
    led.trail.note_end(status)
    _write_summary(led, status=status, error=f"{error.code}: {told}")


def _end_text(led: LedRun, error: ConsortiumError) -> str:
    """Return why a run ended; if sites were missing, why they were is said first."""
    if not isinstance(error, QuorumNotReached | RoundVoid):
        return str(error)
    members = [name for name in led.charter.names if name not in led.config.left_out]
    gone = error.missing if isinstance(error, QuorumNotReached) else led.recorder.absent
    left_out = absences_among(
        {name: False for name in members if name in gone}, [*led.recorder.missing.values()]
    )
    return shortage_text(error, left_out, members=members)


def _write_summary(led: LedRun, *, status: Status, error: str = "") -> None:
    recorder, run = led.recorder, led.directory
    recorder.write_evaluation()
    summary = _summary(led, status=status, error=error)
    # Before the summary: who waits for that finds the figures in the run that was evaluated.
    if led.config.evaluate_model and not led.config.period and not error:
        write_into_evaluated(run, summary)
    shown = recorder.site_metrics() if recorder.last_round and not error else ()
    write_record(run.summary, summary, site_metrics=shown)


def _summary(led: LedRun, *, status: Status, error: str) -> Summary:
    recorder, charter, config, ending = led.recorder, led.charter, led.config, led.ending
    last = recorder.last_round if not error else None
    why = recorder.why_withheld(
        hidden=not mode_of(config).coordinator_reads, released=charter.release_pooled
    )
    if last and not learner_of(charter, config).predicts:
        why = ""  # there is nothing that could be withheld
    return Summary(
        name=charter.name,
        task=charter.task,
        status=status,
        error=error,
        started=recorder.started,
        seconds=recorder.elapsed_s(),
        seed=config.seed,
        config=config.flat(),
        versions={
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in PACKAGES if _is_installed(name)},
        },
        charter_fingerprint=charter.fingerprint,
        layout_digest=ending.layout.digest if ending.layout else "",
        dim=ending.layout.dim if ending.layout else 0,
        model_digest=ending.model_digest,
        rounds=ending.rounds,
        sites=recorder.site_summaries(charter.names),
        hubs={hub.name: list(hub.members) for hub in charter.hubs},
        evaluated=list(last.answered) if last else [],
        held_out=recorder.evaluation.num_examples(last.evaluation) if last else 0,
        withheld=why if last else "",
        metrics=recorder.metrics_of(last) if last else {},
        quarantined=recorder.quarantined,
        bytes_down=recorder.bytes_down,
        bytes_up=recorder.bytes_up,
        protection=protection_of(config, charter, dim=ending.layout.dim) if ending.layout else None,
        saturation=Saturation.of(recorder.saturated, rounds=config.num_server_rounds),
        convergence=_convergence(recorder, charter, config),
    )


def _is_installed(package: str) -> bool:
    return any(True for _ in metadata.distributions(name=package))


def _convergence(recorder: Recorder, charter: Charter, config: RunConfig) -> Convergence | None:
    """Return how the loss ended; None of exact sums, whose result no more rounds would change."""
    found = recorder.losses.convergence
    if found is None or learner_of(charter, config).contribution.exact:
        return None
    return found
