"""The ServerApp: config, charter, strategy, run; and the record of it."""

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Literal, TypeAlias

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.coordinator.assembly import encrypted, in_the_clear
from consortium.coordinator.audit_trail import AuditedGrid, CoordinatorAuditTrail
from consortium.coordinator.checkpoint import Checkpoint, write_checkpoint
from consortium.coordinator.recorder import Recorder
from consortium.coordinator.resume import kept, new_run_name, standing, write_run_config
from consortium.protocol.robustness_estimate import protection_of
from consortium.run.directory import RunDirectory
from consortium.run.evidence_store import EvidenceStore
from consortium.run.leader_lock import leading
from consortium.run.logs import logging_to
from consortium.run.records import Summary, write_record
from privacy.errors import ConsortiumError
from privacy.layout import Layout
from sites.evaluation.contract import evaluation_for
from strategies.coordinator.encrypted.parameters import RoundVoid
from strategies.coordinator.encrypted.progress import PROGRESS_FILE
from strategies.coordinator.messaging.cohort import QuorumNotReached
from strategies.coordinator.plaintext.parameters import Progress

PACKAGES = ("consortium-fl", "flwr", "numpy", "torch", "pandas")

Status: TypeAlias = Literal["finished", "parked", "failed"]

app = ServerApp()


@dataclass(frozen=True)
class Ending:
    """What a run came to, as far as the coordinator can know it.

    Args:
        layout: Of the federated vector; None if the run did not come so far.
        rounds: Rounds that moved the model.
        model_digest: Of the final model, hexadecimal.
    """

    layout: Layout | None = None
    rounds: int = 0
    model_digest: str = ""


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run a consortium to its end; the run directory says what happened, whatever that is."""
    run = RunDirectory.from_environment()
    with leading(run.leader), logging_to(run.log):
        _lead(run, grid, RunConfig.parse(context.run_config))


def _lead(run: RunDirectory, grid: Grid, config: RunConfig) -> None:
    charter = Charter.read(run.charter)
    witness = CoordinatorAuditTrail.of(run, charter, config)
    grid = AuditedGrid(grid, witness)
    recorder = Recorder(run, evaluation_for(charter.table), witness.observe)
    ending = [Ending()]
    write_run_config(run, config)
    try:
        match config.aggregation:
            case "clear":
                _run_in_the_clear(grid, config, charter, recorder, witness, ending)
            case "encrypted":
                _run_encrypted(grid, config, charter, recorder, witness, ending)
    except ConsortiumError as error:
        recorder.failed(error.code, str(error))
        parked = isinstance(error, QuorumNotReached | RoundVoid) and ending[-1].layout
        status: Status = "parked" if parked else "failed"
        witness.ended(status)
        text = f"{error.code}: {error}"
        _write_summary(recorder, charter, config, ending[-1], status=status, error=text)
        raise
    else:
        witness.ended("finished", ending[-1].model_digest)
    finally:
        witness.close()
    _write_summary(recorder, charter, config, ending[-1], status="finished")


def _run_in_the_clear(
    grid: Grid,
    config: RunConfig,
    charter: Charter,
    recorder: Recorder,
    witness: CoordinatorAuditTrail,
    ending: list[Ending],
) -> None:
    def keep(progress: Progress) -> None:
        witness.commit()
        ending.append(_ending(progress))
        write_checkpoint(recorder.run.checkpoint, Checkpoint.of(progress, config, charter))

    last = kept(recorder.run, config, charter)
    since = last.progress if last else None
    if since:
        ending.append(_ending(since))
        recorder.go_on(since.state.server_round)
    else:
        recorder.begin()
    name = since.run if since else new_run_name()
    strategy = in_the_clear(config, charter, name, observe=recorder, keep=keep)
    strategy.start(grid, config.num_server_rounds, since=since)


def _ending(progress: Progress) -> Ending:
    layout, state = progress.layout, progress.state
    return Ending(layout, state.server_round, layout.digest_of(state.vector))


def _run_encrypted(
    grid: Grid,
    config: RunConfig,
    charter: Charter,
    recorder: Recorder,
    witness: CoordinatorAuditTrail,
    ending: list[Ending],
) -> None:
    vault = EvidenceStore(recorder.run.vault)

    def keep(name: str, parts: Iterable[bytes]) -> None:
        if name == PROGRESS_FILE:
            witness.commit()
        vault.keep(name, parts)

    since = standing(recorder.run, config, charter)
    if since:
        recorder.go_on(since.request.server_round - (2 if since.untold else 1))
    else:
        recorder.begin()
    strategy = encrypted(config, charter, observe=recorder, keep=keep)
    progress = strategy.start(grid, config.num_server_rounds, since=since)
    ending.append(Ending(progress.layout, progress.rounds, progress.model_digest))


def _write_summary(
    recorder: Recorder,
    charter: Charter,
    config: RunConfig,
    ending: Ending,
    *,
    status: Status,
    error: str = "",
) -> None:
    recorder.write_evaluation()
    last = recorder.last_round if not error else None
    summary = Summary(
        name=charter.name,
        task=charter.task,
        status=status,
        error=error,
        started=recorder.started,
        seconds=recorder.seconds(),
        seed=config.seed,
        config=config.flat(),
        versions={
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in PACKAGES},
        },
        charter_fingerprint=charter.fingerprint,
        layout_digest=ending.layout.digest if ending.layout else "",
        dim=ending.layout.dim if ending.layout else 0,
        model_digest=ending.model_digest,
        rounds=ending.rounds,
        sites=recorder.site_summaries(charter.names),
        evaluated=list(last.answered) if last else [],
        held_out=recorder.evaluation.num_examples(last.evaluation) if last else 0,
        metrics=recorder.metrics_of(last.evaluation) if last else {},
        quarantined=recorder.quarantined,
        bytes_down=recorder.bytes_down,
        bytes_up=recorder.bytes_up,
        protection=protection_of(config, charter, dim=ending.layout.dim) if ending.layout else None,
    )
    shown = recorder.site_metrics() if last else ()
    write_record(recorder.run.summary, summary, site_metrics=shown)
