"""Pooled reliability diagrams and calibration error, from counts and sums by bin."""

from dataclasses import dataclass

import numpy as np

from privacy.layout import Tally, Vector
from sites.statistics.histograms import bins_of
from sites.statistics.tally import UNIT, ImpossibleTally, Metric, fixed_point

BINS = 16


def reliability_bins(predictions: Vector) -> Tally:
    """Return the reliability bin of each prediction in [0, 1]; a bin holds its lower edge."""
    return bins_of(predictions, BINS)


def sums_by_bin(predictions: Vector, values: Vector) -> Tally:
    """Return the fixed-point sums of `values` by reliability bin, shape (2 * BINS,)."""
    return fixed_point(values, groups=reliability_bins(predictions), size=BINS)


@dataclass(frozen=True)
class Reliability:
    """Predictions and outcomes by bin of the prediction, of equal width over [0, 1].

    Args:
        counts: Records in each bin, shape (BINS,), at least one in all for `calibration_error`.
        predicted: Sums of their predictions, shape (BINS,).
        observed: Sums of their outcomes (events, or values), shape (BINS,).
    """

    counts: Vector
    predicted: Vector
    observed: Vector

    def check(self, examples: int) -> None:
        """Check that predictions in [0, 1] of so many records can have these sums.

        Args:
            examples: Records counted elsewhere in the same tally.

        Raises:
            ImpossibleTally: The bins hold another number of records, or a bin's sum is more
                than 1 per record.
        """
        # Each record's value was rounded to UNIT, so that it may count slightly above 1.
        most = self.counts * (1 + UNIT)
        if self.counts.sum() != examples:
            raise ImpossibleTally(f"the reliability bins do not hold {examples} records")
        if (self.predicted > most).any() or (self.observed > most).any():
            raise ImpossibleTally("predictions or outcomes add up to more than 1 per record")

    def calibration_error(self) -> Metric:
        """Return the expected calibration error (Naeini et al. 2015).

        It is the mean over the bins, weighted by records, of the distance between mean prediction
        and observed mean. The outcomes must be counts: the error bound covers the rounding of the
        predictions only.
        """
        # count / n * |predicted / count - observed / count|: the counts cancel.
        gaps = np.abs(self.predicted - self.observed).sum() / self.counts.sum()
        return Metric(float(gaps), UNIT / 2)

    def curve(self, *, low: float = 0.0, high: float = 1.0) -> dict[str, list[float]]:
        """Return count, mean prediction and observed mean of each bin that holds records.

        The means are scaled from [0, 1] to [low, high].
        """
        held = self.counts > 0
        counts, width = self.counts[held], high - low
        return {
            "count": counts.tolist(),
            "predicted": (low + width * self.predicted[held] / counts).tolist(),
            "observed": (low + width * self.observed[held] / counts).tolist(),
        }
