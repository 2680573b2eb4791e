"""Pairs of records of one site in which it is known who had the event first (Harrell 1982)."""

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.evaluation.pairs import PairCounts


def concordant_pairs(times: Vector, events: NDArray[np.bool_], risks: Vector) -> PairCounts:
    """Count pairs in which one record had the event while the other was still watched.

    A pair is concordant if the first has the higher risk, undecided if both have the same. Of two
    records that ended at the same time, one with the event and one without, the event is first; two
    events at the same time are no pair.

    Args:
        times: When each record ended, shape (n,).
        events: Whether with the event, shape (n,).
        risks: Predicted, shape (n,).
    """
    n = len(times)
    ranks = np.unique(risks, return_inverse=True)[1].astype(np.int64)
    # The moment of an end: at one time, all events go before all other ends.
    moments = np.unique(2 * np.unique(times, return_inverse=True)[1] + ~events, return_inverse=True)
    order = np.argsort(moments[1], kind="stable")
    moment, rank, event = moments[1][order], ranks[order], events[order]
    last = np.searchsorted(moment, moment, side="right")  # where later ends begin, for each record
    below, equal = _among_later(rank, np.where(event, last, n))
    total = int((n - last)[event].sum())
    return PairCounts(concordant=int(below), undecided=int(equal), total=total)


def _among_later(ranks: Tally, starts: Tally) -> tuple[int, int]:
    """Return how many later records, from `starts[i]` on, are below record i, and equal to it.

    A binary tree over the places: each node holds its ranks in order, so that a count takes
    O(log n) searches, all records of a level at once (O(n log^2 n) in all).
    """
    n = len(ranks)
    size = 1 << max(n - 1, 0).bit_length() if n else 1
    padded = np.full(size, n + 1, np.int64)
    padded[:n] = ranks
    below = equal = 0
    at, width = starts.copy(), 1
    while width <= size:
        # A node of this level is wholly after `at` and its parent is not: it is taken as a whole.
        node = at // width
        taken = np.flatnonzero((at < n) & ((node % 2 == 1) | (width == size)))
        if len(taken):
            rows = np.sort(padded.reshape(-1, width), axis=1)
            keyed = (rows + np.arange(len(rows))[:, None] * (n + 2)).ravel()
            wanted = ranks[taken] + node[taken] * (n + 2)
            left = np.searchsorted(keyed, wanted, side="left")
            right = np.searchsorted(keyed, wanted, side="right")
            below += int((left - node[taken] * width).sum())
            equal += int((right - left).sum())
            at[taken] = (node[taken] + 1) * width
        width *= 2
    return below, equal
