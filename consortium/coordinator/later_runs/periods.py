"""A later period, counted for the model of a finished run: one count, in which nobody trains.

It is a run of its own, without rounds: each site judges the model on the records that its operator
declared for the period, and counts every column of them. The sums stay with the run whose model it
is, in `periods/`. docs/statistics.md, "After release".
"""

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.coordinator.checkpoint import read_checkpoint
from consortium.coordinator.resume import new_run_name
from consortium.protocol.evaluation_bins import bin_steps
from consortium.protocol.learning import learner_of
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from privacy.errors import ConsortiumError
from sites.schema.tables import Schema
from sites.statistics.contract import statistics_for
from strategies.coordinator.plaintext.parameters import Progress
from strategies.model_state import State


class CannotMonitor(ConsortiumError, ValueError, code="cannot-monitor"):
    """A run has no model whose fit to a later period can be counted."""


def period_config(run: RunDirectory, charter: Charter, period: str) -> RunConfig:
    """Return the config of the run that counts a period, of all who have records of it.

    Args:
        run: The finished run of a model of tables.
        charter: In force.
        period: The name under which the sites' operators declared their records.

    Raises:
        CannotMonitor: The run has no such model, or is of another charter.
        BadConfig: The period has no name, or one that it cannot have.
        BadRunDirectory: It is the directory of no run.
    """
    summary = read_record(run.summary, Summary)
    if summary.status != "finished" or not summary.model_digest:
        raise CannotMonitor(f"the run in {run.path} is not finished: it has no model to judge")
    if summary.charter_fingerprint != charter.fingerprint:
        raise CannotMonitor(
            f"the run in {run.path} was under another revision of the charter: monitor a model "
            "that was trained under the charter in force"
        )
    if not isinstance(charter.table, Schema):
        raise CannotMonitor("only models of tables can be monitored: texts have no columns")
    config = RunConfig.parse(
        {
            **summary.config,
            "without": "",
            "continues": "",
            "subgroups": "",
            "num-server-rounds": 0,
            "evaluate-model": summary.model_digest,
            "period": period,
            "quorum": charter.floors.min_sites,
        }
    )
    if not period:
        raise CannotMonitor("a period needs a name, such as 2026-03")
    if not learner_of(charter, config).predicts:
        raise CannotMonitor(f"the run in {run.path} describes records: there is no model to judge")
    return config


def start_in_the_clear(run: RunDirectory, config: RunConfig, charter: Charter) -> Progress:
    """Return where a run in the clear begins that counts a period: with the model that it judges.

    Args:
        run: The directory of the run that begins.
        config: Its config.
        charter: Its charter.

    Raises:
        CannotMonitor: The run that trained the model is not where it was, or has another one.
        BadCheckpoint: Its progress is not whole.
    """
    judged = run.judged_run()
    if judged is None:
        raise CannotMonitor(f"{run.path} is not a folder of the run whose model is judged")
    kept = read_checkpoint(judged.checkpoint)
    digest = kept.layout.digest_of(kept.state.vector)
    if (kept.charter, digest) != (charter.fingerprint, config.evaluate_model):
        raise CannotMonitor(f"the run in {judged.path} has another model than the one to judge")
    return Progress(
        run=new_run_name(),
        layout=kept.layout,
        statistics=statistics_for(charter.table).layout.fitted(kept.statistics),
        state=State(server_round=0, vector=kept.state.vector),
        score_bins=bin_steps(config, charter).first,
    )
