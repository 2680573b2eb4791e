"""Pooled evaluation: scores become counts at a site; pooled counts become figures anywhere.

No average of averages: every figure is computed from the sum of the sites' tallies, as if all
held-out records lay in one place, and says how far it can be off.
"""

from typing import Any, Protocol

from numpy.typing import NDArray

from privacy.layout import Tally
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.entities import EntityEvaluation
from sites.evaluation.multiclass import ClassesEvaluation
from sites.evaluation.multilabel import LabelsEvaluation
from sites.evaluation.regression import RegressionEvaluation
from sites.schema.tables import ClassLabel, NumberLabel
from sites.schema.texts import AnySchema, EntityLabel, MultiLabel
from sites.statistics.tally import Metric, TallyLayout

__all__ = ["Evaluation", "Metric", "evaluation_for"]


class Evaluation(Protocol):
    """Turns predictions into a tally, and a pooled tally into figures.

    Guarantee: the tallies of sites add up to the tally of all their records, exactly; a site
    with one class, or without records, adds what it has.
    """

    @property
    def layout(self) -> TallyLayout:
        """Names and sizes of the tally's parts."""

    def tally(self, predictions: NDArray[Any], labels: NDArray[Any]) -> Tally:
        """Return what these records add to the pooled figures; only held-out records may."""

    def check(self, tally: Tally) -> None:
        """Raise `ImpossibleTally` for what no records can have as their tally."""

    def examples(self, tally: Tally) -> int:
        """Return the number of records counted."""

    def class_counts(self, tally: Tally) -> tuple[int, ...]:
        """Return the number of records of each class; nothing for a regression."""

    def metrics(self, tally: Tally) -> dict[str, Metric]:
        """Return the figures that the records define, by name."""

    def undefined(self, tally: Tally) -> dict[str, str]:
        """Return the names of the other figures, and why the records do not define them."""

    def curves(self, tally: Tally) -> dict[str, Any]:
        """Return points to draw, as plain JSON values."""


def evaluation_for(schema: AnySchema) -> Evaluation:
    """Return the evaluation of what the schema predicts."""
    match schema.label:
        case NumberLabel() as number:
            return RegressionEvaluation(number)
        case ClassLabel() as label:
            return BinaryEvaluation(label) if label.binary else ClassesEvaluation(label)
        case MultiLabel() as several:
            return LabelsEvaluation(several)
        case EntityLabel(types=types):
            return EntityEvaluation(types)
