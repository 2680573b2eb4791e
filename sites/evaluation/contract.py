"""Pooled evaluation: a site turns predictions into counts; pooled counts become metrics anywhere.

Metrics are never averages of the sites' metrics. Each is computed from the sum of the sites'
tallies, as if all held-out records were in one place, with a bound on its error.
"""

from typing import Any, Protocol

from numpy.typing import NDArray

from privacy.layout import Tally
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.entities import EntityEvaluation
from sites.evaluation.multiclass import ClassesEvaluation
from sites.evaluation.multilabel import LabelsEvaluation
from sites.evaluation.pairs import PairCounts
from sites.evaluation.regression import RegressionEvaluation
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.schema.tables import ClassLabel, NumberLabel
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


def evaluation_for(schema: AnySchema) -> Evaluation:
    """Return the evaluation for the schema's label."""
    match schema.label:
        case NumberLabel() as number:
            return RegressionEvaluation(number)
        case ClassLabel() as label:
            return BinaryEvaluation(label) if label.binary else ClassesEvaluation(label)
        case MultiLabel() as several:
            return LabelsEvaluation(several)
        case EntityLabel(types=types):
            return EntityEvaluation(types)


def scores_are_binned(evaluation: Evaluation) -> bool:
    """Return whether the evaluation counts scores by bins that can follow the scores."""
    return isinstance(evaluation, BinaryEvaluation)


def in_bins(evaluation: Evaluation, bins: ScoreBins) -> Evaluation:
    """Return the evaluation that counts scores by these bins; the same one if it bins none."""
    return evaluation.in_bins(bins) if isinstance(evaluation, BinaryEvaluation) else evaluation


def pair_counts(evaluation: Evaluation, tally: Tally) -> PairCounts:
    """Return the pairs of a negative and a positive record; none if scores are not binned."""
    return evaluation.pairs(tally) if isinstance(evaluation, BinaryEvaluation) else PairCounts()


def bins_after(evaluation: Evaluation, tally: Tally) -> ScoreBins:
    """Return the bins for the next evaluation, from the pooled tally of this one."""
    if isinstance(evaluation, BinaryEvaluation):
        return evaluation.following_bins(tally)
    return EQUAL_BINS
