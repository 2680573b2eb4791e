"""Pooled evaluation: a site turns predictions into counts; pooled counts become metrics anywhere.

Metrics are never averages of the sites' metrics. Each is computed from the sum of the sites'
tallies, as if all held-out records were in one place, with a bound on its error.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from privacy.layout import Tally
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.entities import EntityEvaluation
from sites.evaluation.groups.columns import EvaluationWithColumns
from sites.evaluation.groups.subgroups import GroupedEvaluation, subgroups_of
from sites.evaluation.multiclass import ClassesEvaluation
from sites.evaluation.multilabel import LabelsEvaluation
from sites.evaluation.pairs import PairCounts
from sites.evaluation.regression import RegressionEvaluation
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.evaluation.survival import SurvivalEvaluation
from sites.plans import BadPlan, Counting
from sites.schema.tables import ClassLabel, EventTimeLabel, NumberLabel, Schema
from sites.schema.texts import AnySchema, EntityLabel, MultiLabel
from sites.statistics.tally import Metric, TallyLayout

__all__ = ["Evaluation", "Metric", "evaluation_for"]


class Evaluation(Protocol):
    """Turns predictions into a tally, and a pooled tally into metrics.

    Guarantee: the tallies of sites add up to the tally of all their records, exactly. A site
    with one class only, or without records, adds what it has.
    """

    @property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts of the tally."""

    @property
    def pair_parts(self) -> tuple[str, ...]:
        """The parts that count pairs of records: those of two sets are more than each set's own."""

    def tally(self, predictions: NDArray[Any], labels: NDArray[Any]) -> Tally:
        """Return the tally of these records; callers pass held-out records only."""

    def check(self, tally: Tally) -> None:
        """Raise `ImpossibleTally` if no records can have this tally."""

    def num_examples(self, tally: Tally) -> int:
        """Return the number of records counted."""

    def class_counts(self, tally: Tally) -> tuple[int, ...]:
        """Return the number of records of each class; empty for a regression."""

    def metrics(self, tally: Tally) -> dict[str, Metric]:
        """Return the metrics that the records define, by name."""

    def undefined_reasons(self, tally: Tally) -> dict[str, str]:
        """Return by name why the records do not define the other metrics."""

    def curves(self, tally: Tally) -> dict[str, Any]:
        """Return points to draw, as plain JSON values."""


_PLAIN = Counting()


def evaluation_for(schema: AnySchema, counting: Counting = _PLAIN) -> Evaluation:
    """Return the evaluation for the schema's label.

    Args:
        schema: Of the records.
        counting: Whether it counts by groups too, and every column.

    Raises:
        UnknownSubgroup: A name is not that of a category of the schema.
        BadPlan: Columns are to be counted of records that have none.
    """
    base, groups = _evaluation_of_label(schema), subgroups_of(schema, counting.subgroups)
    if not counting.columns:
        return GroupedEvaluation(base, groups) if groups else base
    if not isinstance(schema, Schema):
        raise BadPlan("a later period is counted by columns, and these records are texts")
    return EvaluationWithColumns(base, groups, schema)


def _evaluation_of_label(schema: AnySchema) -> Evaluation:
    match schema.label:
        case NumberLabel() as number:
            return RegressionEvaluation(number)
        case EventTimeLabel() as label:
            return SurvivalEvaluation(label)
        case ClassLabel() as label:
            return BinaryEvaluation(label) if label.binary else ClassesEvaluation(label)
        case MultiLabel() as several:
            return LabelsEvaluation(several)
        case EntityLabel(types=types):
            return EntityEvaluation(types)


def scores_are_binned(evaluation: Evaluation) -> bool:
    """Return whether the evaluation counts scores by bins that can follow the scores."""
    return isinstance(base_of(evaluation), BinaryEvaluation)


def base_of(evaluation: Evaluation) -> Evaluation:
    """Return the evaluation of all records, without groups."""
    return evaluation.base if isinstance(evaluation, GroupedEvaluation) else evaluation


def base_part(evaluation: Evaluation, tally: Tally) -> Tally:
    """Return the part of a tally that is of all records."""
    return evaluation.of_all(tally) if isinstance(evaluation, GroupedEvaluation) else tally


def tally_by_group(
    evaluation: Evaluation,
    predictions: NDArray[Any],
    labels: NDArray[Any],
    columns: Mapping[str, NDArray[Any]],
) -> Tally:
    """Return the tally of records, with that of each group where the evaluation has groups.

    Args:
        evaluation: With or without groups.
        predictions: One for each record.
        labels: One for each record.
        columns: The columns that say which group a record is of.
    """
    if isinstance(evaluation, GroupedEvaluation):
        return evaluation.tally_by_group(predictions, labels, columns)
    return evaluation.tally(predictions, labels)


def without_small_groups(evaluation: Evaluation, tally: Tally, fewest: int) -> Tally:
    """Return a tally without the counts of groups with fewer records of a class."""
    if isinstance(evaluation, GroupedEvaluation):
        return evaluation.without_small_groups(tally, fewest)
    return tally


def in_bins(evaluation: Evaluation, bins: ScoreBins) -> Evaluation:
    """Return the evaluation that counts scores by these bins; the same one if it bins none."""
    if isinstance(evaluation, GroupedEvaluation):
        return evaluation.with_base(in_bins(evaluation.base, bins))
    return evaluation.in_bins(bins) if isinstance(evaluation, BinaryEvaluation) else evaluation


def pair_counts(evaluation: Evaluation, tally: Tally) -> PairCounts:
    """Return the pairs of a negative and a positive record; none if scores are not binned."""
    base, counted = base_of(evaluation), base_part(evaluation, tally)
    return base.pairs(counted) if isinstance(base, BinaryEvaluation) else PairCounts()


def bins_after(evaluation: Evaluation, tally: Tally) -> ScoreBins:
    """Return the bins for the next evaluation, from the pooled tally of this one."""
    base = base_of(evaluation)
    if isinstance(base, BinaryEvaluation):
        return base.following_bins(base_part(evaluation, tally))
    return EQUAL_BINS
