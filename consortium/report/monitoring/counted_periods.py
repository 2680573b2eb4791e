"""The later periods that were counted for a run's model, each beside what the model learned from.

Where the coordinator has no statistics of training, as under encryption between institutions,
columns are compared with those of the first period.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from consortium.report.elements.run_reader import Recorded
from consortium.run.directory import RunDirectory
from privacy.layout import Tally
from sites.evaluation.groups.columns import EvaluationWithColumns
from sites.evaluation.periods import Counted, PeriodFigures
from sites.schema.tables import Schema
from sites.statistics.tables import TableStatistics

WAITS = "site-refused.period-waits"


@dataclass(frozen=True, kw_only=True)
class CountedPeriod:
    """A later period of a model.

    Args:
        name: Of the period.
        sites: Whose records were counted.
        waiting: Sites with too few new records of a class: they wait for the next period.
        absent: All other members that were not counted.
        figures: How it differs from before; None if nothing was released.
        columns_since: The period with whose columns these are compared; empty if it is with those
            of training.
    """

    name: str
    sites: tuple[str, ...]
    waiting: tuple[str, ...]
    absent: tuple[str, ...]
    figures: PeriodFigures | None
    columns_since: str = ""


def counted_periods(run: RunDirectory) -> tuple[CountedPeriod, ...]:
    """Return the periods that were counted for the model of a run, by name.

    Raises:
        BadRunDirectory: A file is missing or invalid.
    """
    found = [(one.path.name, Recorded.read(one)) for one in run.counted_periods()]
    ended = [(name, recorded) for name, recorded in found if recorded.is_finished]
    return tuple(_beside(Recorded.read(run), ended)) if ended else ()


def _beside(judged: Recorded, periods: list[tuple[str, Recorded]]) -> Iterator[CountedPeriod]:
    schema = judged.charter.table
    before, since = _before(judged), ""
    for name, recorded in periods:
        now = _now(recorded)
        if not isinstance(schema, Schema) or now is None:
            yield _period(name, recorded, None)
            continue
        if before.columns is None:
            before = Counted(
                evaluation=before.evaluation, scores=before.scores, columns=now.columns
            )
            since = name
        figures = PeriodFigures.of(schema, before=before, now=now)
        yield _period(name, recorded, figures, since)


def _period(
    name: str, recorded: Recorded, figures: PeriodFigures | None, since: str = ""
) -> CountedPeriod:
    counted = recorded.evaluated_sites
    refused = {one.site for one in recorded.summary.quarantined if one.code == WAITS}
    left = [one for one in recorded.charter.names if one not in counted]
    return CountedPeriod(
        name=name,
        sites=tuple(one for one in recorded.charter.names if one in counted),
        waiting=tuple(one for one in left if one in refused),
        absent=tuple(one for one in left if one not in refused),
        figures=figures,
        columns_since=since,
    )


def _before(judged: Recorded) -> Counted:
    """Return what is known of the records that the model learned from, and was judged on."""
    evaluated = judged.pooled_evaluation
    if evaluated is not None and not judged.evaluation.num_examples(evaluated):
        evaluated = None
    columns = judged.model.statistics if judged.model else judged.pooled_statistics
    return Counted(
        evaluation=judged.evaluation, scores=evaluated, columns=_known_columns(judged, columns)
    )


def _known_columns(judged: Recorded, statistics: Tally | None) -> Tally | None:
    """Return statistics without classes; None if nothing was counted."""
    schema = judged.charter.table
    if statistics is None or not isinstance(schema, Schema):
        return None
    fitted = TableStatistics(schema).layout.fitted(statistics)
    return fitted if np.any(fitted) else None


def _now(recorded: Recorded) -> Counted | None:
    """Return what a period counted; None if it was withheld."""
    evaluation, tally = recorded.grouped_evaluation, recorded.evaluation_by_group
    if not isinstance(evaluation, EvaluationWithColumns) or tally is None:
        return None
    if not evaluation.num_examples(tally):
        return None
    return Counted(
        evaluation=evaluation.base,
        scores=evaluation.of_all(tally),
        columns=evaluation.of_columns(tally),
        unlabelled=evaluation.of_unlabelled(tally),
    )
