"""The ServerApp: config, charter, strategy, run; and the record of it."""

import platform
from importlib import metadata

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from consortium.assembly import strategy_for
from consortium.charter import Charter
from consortium.checkpoint import Checkpoint, digest_of, write_checkpoint
from consortium.config import RunConfig
from consortium.recorder import Recorder
from consortium.run_directory import RunDirectory
from consortium.summary import Summary, write_record
from privacy.errors import ConsortiumError
from sites.evaluation import evaluation_for
from strategies.synchronous import Progress

PACKAGES = ("consortium-fl", "flwr", "numpy", "torch", "pandas")

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run a consortium to its end; the run directory says what happened, whatever that is."""
    run = RunDirectory.from_environment()
    charter = Charter.read(run.charter)
    config = RunConfig.parse(context.run_config)
    recorder = Recorder(run, evaluation_for(charter.table))
    reached: list[Progress] = []

    def keep(progress: Progress) -> None:
        reached[:] = [progress]
        write_checkpoint(run.checkpoint, Checkpoint.of(progress, config, charter))

    try:
        strategy = strategy_for(config, charter, observe=recorder, keep=keep)
        strategy.start(grid, config.num_server_rounds)
    except ConsortiumError as error:
        recorder.failed(error.code, str(error))
        _write_summary(recorder, charter, config, reached, error=f"{error.code}: {error}")
        raise
    _write_summary(recorder, charter, config, reached)


def _write_summary(
    recorder: Recorder,
    charter: Charter,
    config: RunConfig,
    reached: list[Progress],
    *,
    error: str = "",
) -> None:
    recorder.write_evaluation()
    last = recorder.last_round if not error else None
    final = reached[-1] if reached else None
    summary = Summary(
        name=charter.name,
        task=charter.task,
        status="failed" if error else "finished",
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
        layout_digest=final.layout.digest if final else "",
        dim=final.layout.dim if final else 0,
        model_digest=digest_of(final) if final else "",
        rounds=final.state.server_round if final else 0,
        sites=recorder.site_summaries(charter.names),
        evaluated=list(last.answered) if last else [],
        held_out=recorder.evaluation.examples(last.evaluation) if last else 0,
        metrics=recorder.metrics_of(last.evaluation) if last else {},
        site_metrics={
            site: recorder.metrics_of(tally)
            for site, tally in (last.by_site if last else {}).items()
        },
        quarantined=recorder.quarantined,
        bytes_down=recorder.bytes_down,
        bytes_up=recorder.bytes_up,
    )
    write_record(recorder.run.summary, summary)
