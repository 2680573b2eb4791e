"""Ranking metrics from the score histograms of two classes, with error bounds.

The order of the scores within a bin is unknown. Every error bound here is the largest that any
order, and any ties, within the bins allow; it is computed from the histograms themselves.
"""

import numpy as np

from privacy.layout import Tally, Vector
from sites.evaluation.pairs import PairCounts
from sites.statistics.tally import Metric


def roc_auc(negatives: Tally, positives: Tally) -> Metric:
    """Return the area under the ROC curve: the share of pairs in which the positive ranks higher.

    Both histograms must hold a record.
    """
    return PairCounts.of(negatives, positives).auc


def pr_auc(negatives: Tally, positives: Tally) -> Metric:
    """Return average precision: the precision at each positive, averaged over the positives.

    The value takes, for all positives of a bin, the precision in the middle of the bin. The
    histogram of the positives must hold a record.

    For the error bound, take a bin of p positives and n negatives, with a positives and b
    negatives in higher bins. Its positives add most if they are tied and rank first in the bin:
    p (a+p) / (a+p+b). They add least if they are not tied and rank last: the sum over i from 1
    to p of (a+i) / (a+i+b+n), which is p - (b+n) (H(a+b+n+p) - H(a+b+n)) with harmonic numbers H.
    As 1/x is convex, that difference is at most ln((a+b+n+p+1/2) / (a+b+n+1/2)).
    """
    # From the highest bin down; bins without positives add nothing.
    held = positives[::-1] > 0
    n, p = (counts[::-1][held].astype(np.float64) for counts in (negatives, positives))
    below = np.cumsum(negatives[::-1])[held].astype(np.float64)  # b + n
    b, a = below - n, np.cumsum(p) - p
    most = p * (a + p) / (a + p + b)
    least = p - below * np.log1p(p / (a + below + 0.5))
    middle = a + (p + 1) / 2
    typical = p * middle / (middle + b + n / 2)
    highest, lowest, value = (float(each.sum() / p.sum()) for each in (most, least, typical))
    return Metric(value, max(highest - value, value - lowest))


def ks_distance(negatives: Tally, positives: Tally) -> Metric:
    """Return the Kolmogorov-Smirnov distance between the scores of the two classes.

    The value is the largest difference between the distribution functions at an edge of a bin.
    Within a bin the difference grows most if all scores of one class come first, which gives the
    error bound. Both histograms must hold a record.
    """
    lower, upper = negatives / negatives.sum(), positives / positives.sum()
    after = np.cumsum(lower) - np.cumsum(upper)
    before = np.concatenate([[0.0], after[:-1]])
    at_edges = float(np.abs(after).max())
    within = max(float((before + lower).max()), float((upper - before).max()))
    return Metric(at_edges, max(within - at_edges, 0.0))


def roc_curve(negatives: Tally, positives: Tally, edges: Vector) -> dict[str, list[float]]:
    """Return the ROC curve at the edges of bins, from the highest threshold to the lowest.

    There is one point per bin that holds a record, after the starting point (0, 0).

    Args:
        negatives: Records in each bin, shape (n_bins,).
        positives: The same of the other class.
        edges: Of the bins, shape (n_bins + 1,).
    """
    thresholds, false, true = _counts_above(negatives, positives, edges)
    return {
        "threshold": thresholds.tolist(),
        "false_positive_rate": (false / negatives.sum()).tolist(),
        "true_positive_rate": (true / positives.sum()).tolist(),
    }


def pr_curve(negatives: Tally, positives: Tally, edges: Vector) -> dict[str, list[float]]:
    """Return precision and recall at the edges of bins, from the highest threshold down."""
    thresholds, false, true = (values[1:] for values in _counts_above(negatives, positives, edges))
    return {
        "threshold": thresholds.tolist(),
        "precision": (true / (true + false)).tolist(),
        "recall": (true / positives.sum()).tolist(),
    }


def _counts_above(
    negatives: Tally, positives: Tally, edges: Vector
) -> tuple[Vector, Vector, Vector]:
    """Return thresholds from 1 down, with the negatives and positives that score at least that."""
    held = np.flatnonzero((negatives + positives)[::-1])
    false = np.cumsum(negatives[::-1])[held]
    true = np.cumsum(positives[::-1])[held]
    thresholds = edges[-2::-1][held]
    return (
        np.concatenate([[1.0], thresholds]),
        np.concatenate([[0.0], false]),
        np.concatenate([[0.0], true]),
    )
