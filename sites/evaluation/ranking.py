"""How well scores rank: figures from two score histograms, with what the bins leave open.

Inside a bin nobody knows the order of the scores. Every bound here is the widest that any order
and any ties within bins allow, computed from the histograms themselves.
"""

import numpy as np

from privacy.layout import Tally, Vector
from sites.statistics.tally import Metric


def roc_auc(negatives: Tally, positives: Tally) -> Metric:
    """Return the area under the ROC curve: how often a positive outranks a negative.

    Pairs in one bin count half (Mann and Whitney 1947); the bound is half the share of such
    pairs. Both histograms must hold a record.
    """
    lower, upper = negatives.astype(np.float64), positives.astype(np.float64)
    pairs = lower.sum() * upper.sum()
    above = upper.sum() - np.cumsum(upper)
    undecided = lower @ upper / 2
    return Metric(float((lower @ above + undecided) / pairs), float(undecided / pairs))


def pr_auc(negatives: Tally, positives: Tally) -> Metric:
    """Return average precision: the precision at each positive, averaged over the positives.

    With `a` positives and `b` negatives above a bin of `p` and `n`, its positives add at most
    p (a+p) / (a+p+b), tied and first, and at least the sum over i of (a+i) / (a+i+b+n), apart
    and last, which is p - (b+n) (H(a+b+n+p) - H(a+b+n)). The difference of harmonic numbers is
    at most ln((a+b+n+p+1/2) / (a+b+n+1/2)), as 1/x is convex. The value takes the precision in
    the middle of the bin for all of them. The positives must hold a record.
    """
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


def ks(negatives: Tally, positives: Tally) -> Metric:
    """Return the Kolmogorov-Smirnov distance between the scores of the two classes.

    The value is the largest difference of the distribution functions at an edge of a bin; in
    between it can grow at most as if all scores of one class came first. Both histograms must
    hold a record.
    """
    lower, upper = negatives / negatives.sum(), positives / positives.sum()
    after = np.cumsum(lower) - np.cumsum(upper)
    before = np.concatenate([[0.0], after[:-1]])
    at_edges = float(np.abs(after).max())
    within = max(float((before + lower).max()), float((upper - before).max()))
    return Metric(at_edges, max(within - at_edges, 0.0))


def roc_curve(negatives: Tally, positives: Tally) -> dict[str, list[float]]:
    """Return the ROC curve at the edges of bins, from the highest threshold to the lowest.

    The lists are as long as there are bins with a record, and one more for the start.
    """
    thresholds, false, true = _above(negatives, positives)
    return {
        "threshold": thresholds.tolist(),
        "false_positive_rate": (false / negatives.sum()).tolist(),
        "true_positive_rate": (true / positives.sum()).tolist(),
    }


def pr_curve(negatives: Tally, positives: Tally) -> dict[str, list[float]]:
    """Return precision and recall at the edges of bins, from the highest threshold down."""
    thresholds, false, true = (values[1:] for values in _above(negatives, positives))
    return {
        "threshold": thresholds.tolist(),
        "precision": (true / (true + false)).tolist(),
        "recall": (true / positives.sum()).tolist(),
    }


def _above(negatives: Tally, positives: Tally) -> tuple[Vector, Vector, Vector]:
    """Thresholds from 1 down, with the negatives and positives that score at least so much."""
    held = np.flatnonzero((negatives + positives)[::-1])
    false = np.cumsum(negatives[::-1])[held]
    true = np.cumsum(positives[::-1])[held]
    thresholds = 1.0 - (held + 1) / len(negatives)
    return (
        np.concatenate([[1.0], thresholds]),
        np.concatenate([[0.0], false]),
        np.concatenate([[0.0], true]),
    )
