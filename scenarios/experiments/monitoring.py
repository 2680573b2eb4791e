"""Whether a released model still fits: records of a later period beside those it learned from.

Each site's later records are counted by themselves, as at the site, and only the sums are compared.
Nothing is trained.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from consortium.model.files import TrainedModel, read_model
from consortium.report.elements.run_reader import Recorded
from consortium.run.directory import RunDirectory
from privacy.errors import ConsortiumError, unknown_name
from privacy.layout import Tally
from sites.data.holdout import Mask, PersonRecords
from sites.data.source import DataSource
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.contract import Evaluation
from sites.schema.tables import Schema
from sites.statistics.drift import FEWEST, ColumnDrift, Stability, column_drifts, stability
from sites.statistics.tally import Metric
from sites.tasks.tabular.data import TableData


class CannotMonitor(ConsortiumError, ValueError, code="cannot-monitor"):
    """The run has no model of a table, or too few records of the period are there."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """A later period beside the records that a model learned from and was evaluated on.

    Args:
        sites: Whose records were counted.
        waiting: Sites with fewer than `FEWEST` new persons of a class: they wait for more.
        absent: Sites of the run whose records were not counted: the mix of sites is another.
        records: How many were counted.
        columns: How far each feature moved.
        scores: How far the model's scores moved; None of a number, or if there are too few.
        expected: Mean prediction of the positive class; None of another label.
        observed: Share of records that are positive; None of another label.
        before: Metrics of the run's own evaluation.
        now: The same metrics of the period.
    """

    sites: tuple[str, ...]
    waiting: tuple[str, ...]
    absent: tuple[str, ...]
    records: int
    columns: tuple[ColumnDrift, ...]
    scores: Stability | None
    expected: float | None
    observed: float | None
    before: Mapping[str, Metric]
    now: Mapping[str, Metric]


class _EverybodyTrains:
    """Puts all records on one side: none of a later period was trained on."""

    def held_out(self, records: PersonRecords) -> Mask:
        """Return that nobody is held out."""
        return np.zeros(len(records.persons), bool)


def monitored_period(run: RunDirectory, sources: Mapping[str, DataSource]) -> Period:
    """Return how the records of a later period differ, by the sums over sites.

    Args:
        run: The finished run of a model of a table.
        sources: The records of the period by site, with labels.

    Raises:
        CannotMonitor: There is no such model, no evaluation to compare with, or no site with
            enough records.
        ConsortiumError: A site is none of the run's, or its records cannot be read.
    """
    recorded, model = Recorded.read(run), read_model(run.model)
    before, schema = recorded.pooled_evaluation, model.charter.table
    if before is None or not isinstance(schema, Schema):
        raise CannotMonitor("a run of tables with a pooled evaluation is needed to compare with")
    counted: dict[str, tuple[Tally, Tally]] = {}
    waiting = []
    for name, source in sources.items():
        if name not in model.charter.names:
            raise CannotMonitor(unknown_name(name, model.charter.names, kind="site"))
        found = _counted(model, recorded, source)
        if found is None:
            waiting.append(name)
        else:
            counted[name] = found
    if not counted:
        raise CannotMonitor(
            f"no site has new records of {FEWEST} persons of each class: wait for more"
        )
    statistics, now = (np.sum(part, axis=0) for part in zip(*counted.values(), strict=True))
    evaluation = recorded.evaluation
    return Period(
        sites=tuple(counted),
        waiting=tuple(waiting),
        absent=tuple(name for name in model.charter.names if name not in counted),
        records=evaluation.num_examples(now),
        columns=column_drifts(schema, model.statistics, statistics),
        scores=_score_drift(evaluation, before, now),
        **_calibration(evaluation, now),
        before=evaluation.metrics(before),
        now=evaluation.metrics(now),
    )


def _counted(
    model: TrainedModel, recorded: Recorded, source: DataSource
) -> tuple[Tally, Tally] | None:
    """Return what a site counts of a period: statistics, evaluation; None if it has to wait."""
    data = model.task.load(source, sides=_EverybodyTrains())
    if not isinstance(data, TableData):
        raise CannotMonitor("only models of tables can be monitored")
    if data.fewest_train_persons < FEWEST:
        return None
    judged = replace(data, held_out=data.training)
    tally = model.task.evaluate(judged, model.statistics, model.vector, recorded.score_bins)
    return model.task.statistics_of(data), tally[: recorded.evaluation.layout.size]


def _score_drift(evaluation: Evaluation, before: Tally, now: Tally) -> Stability | None:
    if not isinstance(evaluation, BinaryEvaluation):
        return None
    sums = [
        evaluation.layout.part("negatives", tally) + evaluation.layout.part("positives", tally)
        for tally in (before, now)
    ]
    return stability(*sums)


def _calibration(evaluation: Evaluation, now: Tally) -> dict[str, float | None]:
    if not isinstance(evaluation, BinaryEvaluation):
        return {"expected": None, "observed": None}
    records = evaluation.num_examples(now)
    return {
        "expected": float(evaluation.layout.real_sums("scores", now).sum()) / records,
        "observed": evaluation.class_counts(now)[1] / records,
    }
