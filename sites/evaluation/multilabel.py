"""Pooled evaluation of multi-label classification: a text may have several labels, or none."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.evaluation import metric_values
from sites.evaluation.input_checks import (
    NotProbabilities,
    ShapesDiffer,
    UndeclaredLabel,
    finite_predictions,
)
from sites.evaluation.metric_values import Figures, Undefined, ratio
from sites.schema.texts import MultiLabel
from sites.statistics.tally import ImpossibleTally, Metric, TallyLayout

THRESHOLD = 0.5
_EMPTY = "there are no held-out records"
_NO_TRUE = "no held-out record has it"
_NO_PREDICTED = "never predicted"
_NOTHING = "no held-out record has a label, and none was predicted"


@dataclass(frozen=True)
class LabelsEvaluation:
    """Turns one probability per label into a tally, and a pooled tally into metrics.

    Guarantee: the tallies of sites add up to the tally of their records, exactly, and every
    metric is exact. A label is predicted at a probability of 0.5 or more. A mean over labels
    covers those that held-out records have, and the absent ones are named.

    Args:
        label: The labels.
    """

    label: MultiLabel

    pair_parts: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts of the tally."""
        n_labels = len(self.label.labels)
        return TallyLayout(
            {"records": 1, "all_right": 1, "right": n_labels, "spurious": n_labels}
            | {"missed": n_labels}
        )

    def tally(self, predictions: NDArray[Any], labels: NDArray[Any]) -> Tally:
        """Return the tally of these records.

        Args:
            predictions: Probabilities, shape (n, n_labels).
            labels: 1 where a record has a label, else 0, shape (n, n_labels).

        Raises:
            ConsortiumError: Predictions are not finite, not probabilities or not one row per
                record; or a label is neither 0 nor 1.
        """
        if labels.ndim != 2 or labels.shape[1] != len(self.label.labels):
            raise ShapesDiffer(
                f"labels need {len(self.label.labels)} columns per record, got {labels.shape}"
            )
        if not np.isin(labels, (0, 1)).all():
            raise UndeclaredLabel("each label must be 1 if the record has it, else 0")
        shares = finite_predictions(predictions, labels.shape)
        if shares.min(initial=0.0) < 0.0 or shares.max(initial=1.0) > 1.0:
            raise NotProbabilities("predictions must be probabilities in [0, 1], some are outside")
        predicted, true = shares >= THRESHOLD, labels.astype(np.bool_)
        return self.layout.join(
            {
                "records": np.array([len(true)]),
                "all_right": np.array([(predicted == true).all(axis=1).sum()]),
                "right": (predicted & true).sum(axis=0),
                "spurious": (predicted & ~true).sum(axis=0),
                "missed": (~predicted & true).sum(axis=0),
            }
        )

    def check(self, tally: Tally) -> None:
        """Check that records can have this tally, of one site or pooled.

        Raises:
            ImpossibleTally: A shape, a sign or a count is impossible.
        """
        self.layout.check(tally)
        right, spurious, missed = self._counts(tally)
        n = self.num_examples(tally)
        if (right + spurious + missed > n).any() or self.layout.count("all_right", tally) > n:
            raise ImpossibleTally(f"a count is larger than {n} records allow")

    def num_examples(self, tally: Tally) -> int:
        """Return the number of records counted."""
        return self.layout.count("records", tally)

    def class_counts(self, tally: Tally) -> tuple[int, ...]:
        """Return the number of records that have each label."""
        right, _, missed = self._counts(tally)
        return tuple(int(count) for count in right + missed)

    def metrics(self, tally: Tally) -> dict[str, Metric]:
        """Return the metrics that the records define, by name.

        `macro_f1` (mean over the labels that held-out records have), `micro_f1` (over all
        labels of all records), `subset_accuracy` (records with every label right).

        Raises:
            ImpossibleTally: No records have this tally.
        """
        return metric_values.defined_metrics(self._figures(tally))

    def undefined_reasons(self, tally: Tally) -> dict[str, str]:
        """Return by name why the records do not define the other metrics."""
        absent = {
            f"class {name}": "has no held-out record: it is in no mean over labels"
            for name, count in zip(self.label.labels, self.class_counts(tally), strict=True)
            if count == 0
        }
        return {**metric_values.undefined_reasons(self._figures(tally)), **absent}

    def curves(self, tally: Tally) -> dict[str, Any]:
        """Return `labels`: the counts and metrics of each label, as plain JSON values.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        self.check(tally)
        counts = zip(self.label.labels, *self._counts(tally), strict=True)
        return {
            "labels": {
                name: {
                    "support": int(right + missed),
                    "right": int(right),
                    "spurious": int(spurious),
                    "missed": int(missed),
                    **{
                        figure: metric.value
                        for figure, metric in metric_values.defined_metrics(
                            _label_figures(right, spurious, missed)
                        ).items()
                    },
                }
                for name, right, spurious, missed in counts
            }
        }

    def _figures(self, tally: Tally) -> Figures:
        self.check(tally)
        n = self.num_examples(tally)
        if n == 0:
            return dict.fromkeys(("macro_f1", "micro_f1", "subset_accuracy"), Undefined(_EMPTY))
        right, spurious, missed = self._counts(tally)
        held = right + missed > 0
        # F1 = 2 right / (predicted + true), where predicted + true = 2 right + spurious + missed.
        f1 = 2 * right[held] / (2 * right + spurious + missed)[held]
        wrong = int(spurious.sum() + missed.sum())
        return {
            "macro_f1": Metric(float(f1.mean())) if held.any() else Undefined(_NO_TRUE),
            "micro_f1": ratio(2 * int(right.sum()), 2 * int(right.sum()) + wrong, _NOTHING),
            "subset_accuracy": ratio(self.layout.count("all_right", tally), n, _EMPTY),
        }

    def _counts(self, tally: Tally) -> tuple[Tally, Tally, Tally]:
        right, spurious, missed = (
            self.layout.part(name, tally) for name in ("right", "spurious", "missed")
        )
        return right, spurious, missed


def _label_figures(right: int, spurious: int, missed: int) -> Figures:
    return {
        "precision": ratio(right, right + spurious, _NO_PREDICTED),
        "recall": ratio(right, right + missed, _NO_TRUE),
        "f1": ratio(2 * right, 2 * right + spurious + missed, _NOTHING),
    }
