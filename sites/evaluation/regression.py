"""Pooled evaluation of regression, from fixed-point sums and a histogram of errors."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.evaluation import calibration, metric_values
from sites.evaluation.calibration import Reliability
from sites.evaluation.input_checks import bounded_labels, finite_predictions
from sites.evaluation.metric_values import Figures, Undefined
from sites.schema.tables import NumberLabel
from sites.statistics.tally import UNIT, ImpossibleTally, Metric, TallyLayout, fixed_point, mean

BINS = 1024
_PLOT_BINS = 64
_EMPTY = "there are no held-out records"
_NAMES = ("mae", "rmse", "r2", "bias", "median_absolute_error", "share_at_bound")


@dataclass(frozen=True)
class RegressionEvaluation:
    """Turns predicted numbers into a tally, and a pooled tally into metrics in the label's unit.

    Guarantee: the tallies of sites add up to the tally of their records, exactly; a mean is
    right to 2**-33 of the declared range. A prediction outside the declared bounds counts as the
    nearest bound, and the share of predictions at a bound is a metric of its own.

    Args:
        label: The predicted number, with its bounds.
    """

    label: NumberLabel

    pair_parts: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts of the tally."""
        return TallyLayout(
            {
                "errors": BINS,
                "at_bound": 1,
                "absolute": 2,
                "square": 2,
                "label": 2,
                "label_square": 2,
                "count_by_bin": calibration.BINS,
                "predicted_by_bin": 2 * calibration.BINS,
                "label_by_bin": 2 * calibration.BINS,
            }
        )

    def tally(self, predictions: NDArray[Any], labels: NDArray[Any]) -> Tally:
        """Return the tally of these records.

        Args:
            predictions: Numbers in the label's unit, shape (n,).
            labels: Numbers within the label's bounds, shape (n,).

        Raises:
            ConsortiumError: Predictions are not finite or not one per record; a label is missing
                or out of bounds; or there are 2**25 records or more.
        """
        # Everything is counted on the agreed scale, where `low` is 0 and `high` is 1, so that one
        # unit of fixed point fits labels of any size. Errors lie in [-1, 1].
        low, high = self.label.low, self.label.high
        came = bounded_labels(labels, low=low, high=high)
        limited = np.clip(finite_predictions(predictions, came.shape), low, high)
        predicted = bounded_labels(limited, low=low, high=high)
        errors = predicted - came
        at_bound = (predicted == 0.0) | (predicted == 1.0)
        bins = np.minimum(((errors + 1.0) * (BINS // 2)).astype(np.int64), BINS - 1)
        return self.layout.join(
            {
                "errors": np.bincount(bins, minlength=BINS).astype(np.int64),
                "at_bound": np.array([at_bound.sum()], np.int64),
                "absolute": fixed_point(np.abs(errors)),
                "square": fixed_point(errors**2),
                "label": fixed_point(came),
                "label_square": fixed_point(came**2),
                "count_by_bin": np.bincount(
                    calibration.reliability_bins(predicted), minlength=calibration.BINS
                ).astype(np.int64),
                "predicted_by_bin": calibration.sums_by_bin(predicted, predicted),
                "label_by_bin": calibration.sums_by_bin(predicted, came),
            }
        )

    def check(self, tally: Tally) -> None:
        """Check that records can have this tally, of one site or pooled.

        Raises:
            ImpossibleTally: A shape, a sign or a sum is impossible, or counts disagree.
        """
        self.layout.check(tally)
        n = self.num_examples(tally)
        if self.layout.count("at_bound", tally) > n:
            raise ImpossibleTally(f"more predictions are at a bound than there are records, {n}")
        largest = dict.fromkeys(("absolute", "square", "label", "label_square"), 1.0)
        metric_values.check_means(self.layout, tally, examples=n, largest=largest)
        self._reliability(tally).check(n)

    def num_examples(self, tally: Tally) -> int:
        """Return the number of records counted."""
        return self.layout.count("errors", tally)

    def class_counts(self, tally: Tally) -> tuple[int, ...]:
        """Return nothing: a regression has no classes."""
        return ()

    def metrics(self, tally: Tally) -> dict[str, Metric]:
        """Return the metrics that the records define, by name.

        In the label's unit: `mae`, `rmse`, `median_absolute_error` (from 1,024 bins) and `bias`
        (mean of prediction minus label). Without unit: `r2`, and `share_at_bound`, the share of
        predictions at a bound of the label or beyond.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        return metric_values.defined_metrics(self._figures(tally))

    def undefined_reasons(self, tally: Tally) -> dict[str, str]:
        """Return by name why the records do not define the other metrics."""
        return metric_values.undefined_reasons(self._figures(tally))

    def curves(self, tally: Tally) -> dict[str, Any]:
        """Return points to plot in the label's unit, as plain JSON values.

        `errors` (64 bins of prediction minus label) and `calibration` (16 bins by prediction:
        mean prediction, mean label, records).

        Raises:
            ImpossibleTally: No records have this tally.
        """
        self.check(tally)
        errors = self.layout.part("errors", tally).reshape(_PLOT_BINS, -1).sum(axis=1)
        edges = np.linspace(-self._width, self._width, _PLOT_BINS + 1)
        reliability = self._reliability(tally)
        return {
            "errors": {"edges": edges.tolist(), "counts": errors.tolist()},
            "calibration": reliability.curve(low=self.label.low, high=self.label.high),
        }

    def _reliability(self, tally: Tally) -> Reliability:
        return Reliability(
            self.layout.part("count_by_bin", tally).astype(np.float64),
            self.layout.real_sums("predicted_by_bin", tally),
            self.layout.real_sums("label_by_bin", tally),
        )

    @property
    def _width(self) -> float:
        return self.label.high - self.label.low

    def _figures(self, tally: Tally) -> Figures:
        self.check(tally)
        n = self.num_examples(tally)
        if n == 0:
            return dict.fromkeys(_NAMES, Undefined(_EMPTY))
        predicted = float(self.layout.real_sums("predicted_by_bin", tally).sum())
        bias = mean(predicted - self.layout.real_sum("label", tally), n, scale=self._width)
        return {
            "mae": mean(self.layout.real_sum("absolute", tally), n, scale=self._width),
            "rmse": self._rmse(tally),
            "r2": self._r2(tally),
            "bias": Metric(bias.value, 2 * bias.error_bound),
            "median_absolute_error": self._median(tally),
            "share_at_bound": Metric(self.layout.count("at_bound", tally) / n),
        }

    def _rmse(self, tally: Tally) -> Metric:
        # The square root is taken of both ends of the interval: it is not linear.
        square = mean(self.layout.real_sum("square", tally), self.num_examples(tally))
        value = math.sqrt(square.value)
        lowest = math.sqrt(max(square.value - square.error_bound, 0.0))
        highest = math.sqrt(square.value + square.error_bound)
        return Metric(value * self._width, max(highest - value, value - lowest) * self._width)

    def _r2(self, tally: Tally) -> Metric | Undefined:
        """Return 1 - SSE / SST; the worst case over both sums gives the error bound."""
        n = self.num_examples(tally)
        error, label, label_square = (
            self.layout.real_sum(name, tally) / n for name in ("square", "label", "label_square")
        )
        # A mean is off by UNIT / 2 at most. In label_square - label**2 the first term is off by as
        # much, the second by twice as much, as labels are at most 1: together 1.5 * UNIT.
        variance, slack = label_square - label * label, 1.5 * UNIT
        if variance <= slack:
            return Undefined("the labels are equal, or too close to tell them apart")
        value = 1 - error / variance
        lowest = 1 - (error + UNIT / 2) / (variance - slack)
        highest = 1 - max(error - UNIT / 2, 0.0) / (variance + slack)
        return Metric(value, max(highest - value, value - lowest))

    def _median(self, tally: Tally) -> Metric:
        """Return the median absolute error, from the bins of the one or two middle errors."""
        # Bins of the signed error are folded at 0: the i-th bin above 0 and the i-th bin below it
        # hold the errors of the same size. Their width is 2 / BINS of the declared range.
        errors = self.layout.part("errors", tally)
        sizes = np.cumsum(errors[BINS // 2 :] + errors[: BINS // 2][::-1])
        n = int(sizes[-1])
        middle = np.searchsorted(sizes, [(n + 1) // 2, n // 2 + 1])
        half_bin = self._width / BINS
        return Metric(float(middle.mean() * 2 * half_bin + half_bin), half_bin)
