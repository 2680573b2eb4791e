"""Histograms of numbers on an agreed [0, 1] scale, their quantiles and distances."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector


@dataclass(frozen=True, kw_only=True)
class Distance:
    """How much the distributions of one column differ between two sites.

    Both measures are 0 for equal distributions and 1 for distributions without overlap.

    Args:
        total_variation: Half the sum of the absolute differences of the shares.
        jensen_shannon: Square root of the Jensen-Shannon divergence in bits (Lin 1991).
    """

    total_variation: float
    jensen_shannon: float


def bins_of(values: Vector, n_bins: int) -> Tally:
    """Return the bin of each value in [0, 1]; a bin holds its lower edge, the last one also 1."""
    return np.minimum((values * n_bins).astype(np.int64), n_bins - 1)


def histograms(values: Vector, groups: NDArray[np.int64], *, n_groups: int, n_bins: int) -> Tally:
    """Return how many values of each group lie in each bin of [0, 1], shape (n_groups, n_bins).

    Args:
        values: Numbers in [0, 1], shape (n,). A bin holds its lower edge, the last one also 1.
        groups: The group of each value, shape (n,), in 0 to n_groups - 1.
        n_groups: Number of groups.
        n_bins: Number of bins of equal width.
    """
    cells = groups * n_bins + bins_of(values, n_bins)
    counts = np.bincount(cells, minlength=n_groups * n_bins)
    return counts.reshape(n_groups, n_bins).astype(np.int64)


def quantile(histogram: Tally, q: float) -> tuple[float, float, float]:
    """Return lower edge, estimate and upper edge for the q-quantile of a histogram.

    Guarantee: the q-quantile, which is the smallest value that at least a share `q` of all values
    does not exceed, lies between the first and the last of the three numbers. The middle one
    assumes that values are spread evenly over the bin.

    Args:
        histogram: Counts by bin of equal width over [0, 1], at least one in all.
        q: A share, in [0, 1].
    """
    # The q-quantile is the value of rank ceil(q n), counted from 1. Of the count values in its
    # bin it is number rank - (values in lower bins), each taken at the middle of its part.
    cumulative = np.cumsum(histogram)
    rank = max(math.ceil(q * int(cumulative[-1])), 1)
    held = int(np.searchsorted(cumulative, rank))
    count = int(histogram[held])
    inside = (rank - int(cumulative[held]) + count - 0.5) / count
    n_bins = len(histogram)
    return held / n_bins, (held + inside) / n_bins, (held + 1) / n_bins


def distance(one: Tally, other: Tally) -> Distance:
    """Return the distance between two histograms; both must hold a record."""
    shares = one / one.sum(), other / other.sum()
    middle = (shares[0] + shares[1]) / 2
    divergence = (_relative_entropy(shares[0], middle) + _relative_entropy(shares[1], middle)) / 2
    return Distance(
        total_variation=min(float(np.abs(shares[0] - shares[1]).sum() / 2), 1.0),
        jensen_shannon=math.sqrt(min(max(divergence, 0.0), 1.0)),
    )


def _relative_entropy(shares: Vector, reference: Vector) -> float:
    """Return the Kullback-Leibler divergence in bits; empty bins add 0."""
    held = shares > 0
    return float((shares[held] * np.log2(shares[held] / reference[held])).sum())
