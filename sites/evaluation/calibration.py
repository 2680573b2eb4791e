"""Whether predictions mean what they say: pooled reliability, from counts and sums by bin."""

from dataclasses import dataclass

import numpy as np

from privacy.layout import Tally, Vector
from sites.statistics.histograms import bins_of
from sites.statistics.tally import UNIT, ImpossibleTally, Metric, fixed_point

BINS = 16


def bin_of(predictions: Vector) -> Tally:
    """Return the reliability bin of predictions in [0, 1]: it holds its lower edge."""
    return bins_of(predictions, BINS)


def sums_by_bin(predictions: Vector, values: Vector) -> Tally:
    """Return the fixed-point sums of `values` by reliability bin, shape (2 * BINS,)."""
    return fixed_point(values, groups=bin_of(predictions), size=BINS)


@dataclass(frozen=True)
class Reliability:
    """What was predicted and what came, by bin of equal width over [0, 1].

    Args:
        counts: Records in each bin, shape (BINS,), at least one in all for `ece`.
        predicted: Sums of their predictions.
        observed: Sums of what came: events, or values.
    """

    counts: Vector
    predicted: Vector
    observed: Vector

    def check(self, examples: int) -> None:
        """Refuse sums that no `examples` predictions in [0, 1] have.

        Raises:
            ImpossibleTally: The bins hold other than that many records, or a bin's sum is more
                than one a record.
        """
        most = self.counts * (1 + UNIT)
        if self.counts.sum() != examples:
            raise ImpossibleTally(f"reliability bins count other than {examples} records")
        if (self.predicted > most).any() or (self.observed > most).any():
            raise ImpossibleTally("predictions or outcomes add up to more than one a record")

    def ece(self) -> Metric:
        """Return the expected calibration error (Naeini et al. 2015).

        Over the bins, the mean distance of mean prediction from observed mean, weighted by
        records. What is observed must be a count: only the predictions are rounded.
        """
        gaps = np.abs(self.predicted - self.observed).sum() / self.counts.sum()
        return Metric(float(gaps), UNIT / 2)

    def curve(self, *, low: float = 0.0, high: float = 1.0) -> dict[str, list[float]]:
        """Return mean prediction and observed mean of each bin that holds records, scaled."""
        held = self.counts > 0
        counts, width = self.counts[held], high - low
        return {
            "count": counts.tolist(),
            "predicted": (low + width * self.predicted[held] / counts).tolist(),
            "observed": (low + width * self.observed[held] / counts).tolist(),
        }
