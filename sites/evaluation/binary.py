"""Pooled evaluation of binary classification, from two score histograms and fixed-point sums."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.evaluation import calibration, metric_values, ranking
from sites.evaluation.calibration import Reliability
from sites.evaluation.decisions import (
    EMPTY,
    ONE_CLASS,
    Alerts,
    Confusion,
    ConfusionsAtEdges,
    confusion_at,
)
from sites.evaluation.input_checks import class_codes, probabilities
from sites.evaluation.metric_values import Figures, Undefined
from sites.evaluation.pairs import PairCounts
from sites.evaluation.score_bins import BINS, EQUAL_BINS, FIXED, ScoreBins
from sites.schema.tables import ClassLabel
from sites.statistics.tally import Metric, TallyLayout, fixed_point, mean

THRESHOLD = 0.5
ALERT_RATES = {"1_percent": 0.01, "0_1_percent": 0.001}


@dataclass(frozen=True)
class BinaryEvaluation:
    """Turns scores for the positive class into a tally, and a pooled tally into metrics.

    Guarantee: the tallies of sites, by the same bins, add up to the tally of their records,
    exactly. Counts at thresholds that are edges of bins are exact, as all multiples of 1/64 are.
    Sums are right to 2**-33 per record, and a metric that depends on the order of scores has the
    largest error bound that the bins allow. Equal scores are no error, but the bound, which cannot
    tell them from others of their bin, counts them as one.

    Args:
        label: The two classes; the second is the positive one.
        bins: By which scores are counted.
    """

    label: ClassLabel
    bins: ScoreBins = EQUAL_BINS

    pair_parts: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts of the tally."""
        return TallyLayout(
            {
                "negatives": BINS,
                "positives": BINS,
                "brier": 2,
                "log_loss": 2,
                "scores": 2 * calibration.BINS,
            }
        )

    def tally(self, predictions: NDArray[Any], labels: NDArray[Any]) -> Tally:
        """Return the tally of these records.

        Args:
            predictions: Probabilities of the positive class, shape (n,).
            labels: 0 or 1, shape (n,).

        Raises:
            ConsortiumError: Predictions are not finite, not in [0, 1] or not one per record; a
                label is not declared; or there are 2**25 records or more.
        """
        codes = class_codes(labels, 2)
        scores = probabilities(predictions, len(codes))
        cells = np.bincount(codes * BINS + self.bins.bins_of(scores), minlength=2 * BINS)
        classes = cells.astype(np.int64).reshape(2, BINS)
        # The probability of the true class: p for positives, 1 - p for negatives.
        likelihoods = np.where(codes == 1, scores, 1.0 - scores)
        return self.layout.join(
            {
                "negatives": classes[0],
                "positives": classes[1],
                "brier": fixed_point((scores - codes) ** 2),
                "log_loss": fixed_point(metric_values.log_losses(likelihoods)),
                "scores": calibration.sums_by_bin(scores, scores),
            }
        )

    def check(self, tally: Tally) -> None:
        """Check that records can have this tally, of one site or pooled.

        Raises:
            ImpossibleTally: A shape, a sign or a sum is impossible.
        """
        self.layout.check(tally)
        largest = {"brier": 1.0, "log_loss": metric_values.LARGEST_LOG_LOSS}
        metric_values.check_means(
            self.layout, tally, examples=self.num_examples(tally), largest=largest
        )
        self.reliability(tally).check(self.num_examples(tally))

    def num_examples(self, tally: Tally) -> int:
        """Return the number of records counted."""
        return sum(self.class_counts(tally))

    def class_counts(self, tally: Tally) -> tuple[int, ...]:
        """Return the number of records of each class."""
        return self.layout.count("negatives", tally), self.layout.count("positives", tally)

    def metrics(self, tally: Tally) -> dict[str, Metric]:
        """Return the metrics that the records define, by name.

        `roc_auc`, `pr_auc` (average precision), `ks`, `gini` (2 AUC - 1), `brier`, `log_loss`
        (probabilities taken as at least 1e-7), `ece` (16 bins), and at the threshold 0.5
        `accuracy`, `balanced_accuracy`, `precision`, `recall`, `specificity`, `f1`;
        and, where at most that share of the records is flagged, `recall_at_1_percent`,
        `precision_at_1_percent`, the same at `0_1_percent`, and, if the label declares costs,
        `cost_at_1_percent` and `cost_at_0_1_percent`, for each 1,000 records.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        return metric_values.defined_metrics(self._figures(tally))

    def undefined_reasons(self, tally: Tally) -> dict[str, str]:
        """Return by name why the records do not define the other metrics."""
        return metric_values.undefined_reasons(self._figures(tally))

    def following_bins(self, tally: Tally) -> ScoreBins:
        """Return the bins for the next evaluation, from the pooled tally of this one."""
        return self.bins.following(*self._histograms(tally))

    def in_bins(self, bins: ScoreBins) -> "BinaryEvaluation":
        """Return the evaluation that counts scores by these bins."""
        return replace(self, bins=bins)

    def confusion(self, tally: Tally, *, threshold: float = THRESHOLD) -> Confusion:
        """Return exact counts at the edge of a bin that is nearest to `threshold`."""
        # Scores are known by bin only, so a threshold moves to the nearest edge of a bin. A bin
        # holds its lower edge: the bins from `edge` on are the scores of at least that edge.
        edge = int(np.abs(self.bins.edges - threshold).argmin())
        negatives, positives = self._histograms(tally)
        return confusion_at(
            float(self.bins.edges[edge]),
            negatives=(int(negatives[:edge].sum()), int(negatives.sum())),
            positives=(int(positives[:edge].sum()), int(positives.sum())),
        )

    def confusions(self, tally: Tally) -> Sequence[Confusion]:
        """Return exact counts at every edge of a bin, from the threshold 0 to 1."""
        return ConfusionsAtEdges(*self._histograms(tally), self.bins.edges)

    def pairs(self, tally: Tally) -> PairCounts:
        """Return the pairs of a negative and a positive among the records counted."""
        return PairCounts.of(*self._histograms(tally))

    def reliability(self, tally: Tally) -> Reliability:
        """Return predictions and outcomes in 16 bins of the prediction."""
        # The 1,024 score bins are merged into the 16 bins of the reliability diagram.
        negatives, positives = (
            self.bins.merge(counts, calibration.BINS).astype(np.float64)
            for counts in self._histograms(tally)
        )
        return Reliability(negatives + positives, self.layout.real_sums("scores", tally), positives)

    def curves(self, tally: Tally) -> dict[str, Any]:
        """Return points to plot, as plain JSON values; a curve that is not defined is left out.

        `roc`, `precision_recall`, `calibration` (16 bins with their counts), `scores` (64 bins
        by class) and `confusion` at the threshold 0.5.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        self.check(tally)
        negatives, positives = self._histograms(tally)
        curves: dict[str, Any] = {
            "calibration": self.reliability(tally).curve(),
            "scores": {
                "edges": np.linspace(0.0, 1.0, FIXED + 1).tolist(),
                "classes": list(self.label.classes),
                "counts": [
                    self.bins.merge(counts, FIXED).tolist() for counts in (negatives, positives)
                ],
            },
            "confusion": {
                "classes": list(self.label.classes),
                "counts": self._confusion_rows(tally),
            },
        }
        if min(self.class_counts(tally)) > 0:
            edges = self.bins.edges
            curves["roc"] = ranking.roc_curve(negatives, positives, edges)
            curves["precision_recall"] = ranking.pr_curve(negatives, positives, edges)
        return curves

    def _figures(self, tally: Tally) -> Figures:
        self.check(tally)
        n = self.num_examples(tally)
        return {
            **self._ranking(tally),
            "brier": mean(self.layout.real_sum("brier", tally), n) if n else Undefined(EMPTY),
            "log_loss": mean(self.layout.real_sum("log_loss", tally), n) if n else Undefined(EMPTY),
            "ece": self.reliability(tally).calibration_error() if n else Undefined(EMPTY),
            **self.confusion(tally).figures(),
            **self._at_alert_rates(tally),
        }

    def _at_alert_rates(self, tally: Tally) -> Figures:
        found, figures = self.confusions(tally), dict[str, Metric | Undefined]()
        for name, share in ALERT_RATES.items():
            alerts = Alerts.among(found, share)
            figures[f"recall_at_{name}"] = alerts.recall()
            figures[f"precision_at_{name}"] = alerts.precision()
            if self.label.costs is not None:
                figures[f"cost_at_{name}"] = alerts.cost(self.label.costs)
        return figures

    def _ranking(self, tally: Tally) -> Figures:
        if min(self.class_counts(tally)) == 0:
            return {name: Undefined(ONE_CLASS) for name in ("roc_auc", "pr_auc", "ks", "gini")}
        negatives, positives = self._histograms(tally)
        auc = ranking.roc_auc(negatives, positives)
        return {
            "roc_auc": auc,
            "pr_auc": ranking.pr_auc(negatives, positives),
            "ks": ranking.ks_distance(negatives, positives),
            "gini": Metric(2 * auc.value - 1, 2 * auc.error_bound),
        }

    def _histograms(self, tally: Tally) -> tuple[Tally, Tally]:
        return self.layout.part("negatives", tally), self.layout.part("positives", tally)

    def _confusion_rows(self, tally: Tally) -> list[list[int]]:
        found = self.confusion(tally)
        return [
            [found.true_negatives, found.false_positives],
            [found.false_negatives, found.true_positives],
        ]
