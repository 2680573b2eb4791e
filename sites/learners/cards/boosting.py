"""An additive model on the bins of a card: the curves of all features move in each exchange.

The log-odds of the first class are a constant and, for each feature, the height of its curve at
the record's bin. Each site sums first and second derivatives of the log loss by bin; every opened
sum is over a bin with at least ten records of each class. A step goes along the first over the
second derivatives, as in boosting, for all features at once. As features overlap, the step is
shorter than that of each alone; how much follows from the last two sums (Barzilai & Borwein 1988,
in the metric of the second derivatives). If a step made the loss larger, its half is tried. The
loss is convex, so this goes on to its minimum.

Heights have a small ridge penalty. Where a direction is asked, curves are projected on it after
each step by pooling adjacent violators (Ayer et al. 1955), as in spectral projected gradients
(Birgin, Martinez & Raydan 2000).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Tally, Vector
from sites.learners.cards.merging import MOST_BINS
from sites.learners.cards.plan import Direction
from sites.learners.cards.state import CardState
from sites.learners.counted_tables import TableRecords
from sites.statistics.monotone import rising
from sites.statistics.tally import UNIT

RIDGE = 20.0  # as if so much of the second derivative spoke for a height of 0
_STEEPEST = 30.0  # log-odds, at which a probability is within 1e-13 of 0 or 1
_LARGEST_LOSS = 32.0
_LOW_BITS = 16
GRADIENT_UNIT = 2.0**-16  # of first derivatives with noise
_FIRST_STEP = 4  # with noise, the share of what each bin alone would go is one over this
_LN_2 = 0.6931471805599453


@dataclass(frozen=True, eq=False)
class Sums:
    """What an exchange says of the loss at the heights of a state.

    Args:
        gradient: First derivatives with the sign turned round, shape (1 + n_features * MOST_BINS,),
            the constant first.
        curvature: Second derivatives, of the same shape.
        loss: The sum of the log losses.
    """

    gradient: Vector
    curvature: Vector
    loss: float


def sums_size(n_features: int) -> int:
    """Return how many integers a site sends: two for each sum."""
    return 2 * (2 * (n_features * MOST_BINS + 1) + 1)


def count_sums(state: CardState, records: TableRecords) -> Tally:
    """Return a site's sums at the heights of a state, shape (sums_size(n_features),).

    Each record adds at most 1 in size to a sum of first derivatives, 1/4 to one of second, and 1 to
    the loss, which is divided by 32. Each is rounded to 2^-32, record by record, and kept in two
    integers: multiples of 2^-16, and the rest. With fewer than 2^25 records no integer reaches
    2^41, whatever the records are.

    Guarantee: the tallies of two sites add up to that of both, exactly.
    """
    codes = state.codes(records.columns)
    log_odds = _log_odds(state, codes)
    is_first = np.asarray(records.labels, np.int64) == 0
    share = 1.0 / (1.0 + np.exp(-log_odds))
    losses = np.log1p(np.exp(np.where(is_first, -log_odds, log_odds))) / _LARGEST_LOSS
    slots = codes + np.arange(len(codes))[:, None] * MOST_BINS
    first = _sums_by_slot(is_first - share, slots)
    second = _sums_by_slot(share * (1.0 - share), slots)
    whole = _sums_by_slot(losses, slots[:0])
    high, low = (np.concatenate(parts) for parts in zip(first, second, whole, strict=True))
    return np.concatenate([high, low]).astype(np.int64)


def count_gradient(state: CardState, records: TableRecords) -> Tally:
    """Return a site's first derivatives at the heights of a state, in units of 2^-16.

    Shape (1 + n_features * MOST_BINS,): of all records, then by bin. Each record adds at most 2^16
    to the first, and to one bin of each feature, whatever the state is.
    """
    # A liar can make up a state that puts a value in a bin that there is none of.
    codes = np.clip(state.codes(records.columns), 0, MOST_BINS - 1)
    share = 1.0 / (1.0 + np.exp(-_log_odds(state, codes)))
    derivatives = (np.asarray(records.labels, np.int64) == 0) - share
    units = np.rint(derivatives / GRADIENT_UNIT)
    slots = codes + np.arange(len(codes))[:, None] * MOST_BINS
    by_feature = [
        np.bincount(row, units, (at + 1) * MOST_BINS)[at * MOST_BINS :]
        for at, row in enumerate(slots)
    ]
    return np.concatenate([[units.sum()], *by_feature]).astype(np.int64)


def _sums_by_slot(values: Vector, slots: NDArray[np.int64]) -> tuple[Vector, Vector]:
    """Return the sums of all values, then by slot: their multiples of 2^-16, and the rest."""
    units = np.rint(values / UNIT).astype(np.int64)
    parts = []
    for part in (units >> _LOW_BITS, units & (2**_LOW_BITS - 1)):
        weights = part.astype(np.float64)  # whole numbers below 2^53, whose sums lose nothing
        by_feature = [
            np.bincount(row, weights, (at + 1) * MOST_BINS)[at * MOST_BINS :]
            for at, row in enumerate(slots)
        ]
        parts.append(np.concatenate([[float(part.sum())], *by_feature]))
    return parts[0], parts[1]


def _log_odds(state: CardState, codes: NDArray[np.int64]) -> Vector:
    heights = state.heights[1:].reshape(-1, MOST_BINS)
    log_odds = np.full(codes.shape[1], state.heights[0])
    for row, height in zip(codes, heights, strict=True):
        log_odds = log_odds + height[row]  # in this order, whatever the number of records
    return np.asarray(np.clip(log_odds, -_STEEPEST, _STEEPEST), np.float64)


def read_sums(state: CardState, pooled: Tally) -> Sums:
    """Return what the sums of all sites say; a feature with one bin says nothing."""
    high, low = np.split(pooled.astype(np.float64), 2)
    totals = (high * 2.0**_LOW_BITS + low) * UNIT
    size = len(state.heights)
    speaks = np.append(True, np.repeat([one.n_bins > 1 for one in state.bins], MOST_BINS))
    return Sums(
        gradient=np.where(speaks, totals[:size], 0.0),
        curvature=np.where(speaks, totals[size : 2 * size], 0.0),
        loss=float(totals[-1]) * _LARGEST_LOSS,
    )


def next_state(state: CardState, pooled: Tally, directions: Mapping[str, Direction]) -> CardState:
    """Return the state after an exchange of sums at its heights.

    Guarantee: the loss at the anchor never rises.

    Args:
        state: The state at whose heights the sites counted.
        pooled: The sums of all sites.
        directions: Of the share of the second class, by feature, where one is asked.
    """
    sums, heights = read_sums(state, pooled), state.heights
    ridge = np.append(0.0, np.full(len(heights) - 1, RIDGE))
    loss = sums.loss + _total(ridge * heights * heights) / 2
    taken = replace(state, exchanges=state.exchanges + 1)
    if state.exchanges > 1 and loss > state.loss:
        return replace(taken, heights=(heights + state.anchor) / 2)
    gradient = sums.gradient - ridge * heights
    metric = np.maximum(sums.curvature + ridge, UNIT)
    alone = _projected(state, heights + gradient / metric, metric, directions)
    step = _step(state, gradient, metric)
    moved = _projected(state, heights + step * gradient / metric, metric, directions)
    return replace(
        taken,
        heights=moved,
        anchor=heights,
        gradient=gradient,
        loss=loss,
        pull=float(np.abs(alone - heights).max()),
    )


def first_noisy_step(state: CardState, directions: Mapping[str, Direction]) -> CardState:
    """Return the state after the step that follows from the counts of its bins alone.

    With all curves at 0, the first derivatives are the records of the first class, less the share
    of that class times all records.
    """
    share = int(state.totals[0]) / max(int(state.totals.sum()), 1)
    gradient = np.zeros(len(state.heights))
    for at, one in enumerate(state.bins):
        held = slice(1 + at * MOST_BINS, 1 + at * MOST_BINS + one.n_bins)
        gradient[held] = one.counts[0] - share * one.counts.sum(axis=0)
    return _noisy_step(state, gradient, directions)


def next_noisy_state(
    state: CardState, pooled: Tally, directions: Mapping[str, Direction]
) -> CardState:
    """Return the state after an exchange of first derivatives with noise at its heights.

    Second derivatives are not counted: those of each bin at its own share stand for them. The
    loss is not counted either: steps become shorter, so that noise dies out (Robbins & Monro
    1951).

    Args:
        state: The state at whose heights the sites counted.
        pooled: The sums of all sites, as `count_gradient` gives them.
        directions: Of the share of the second class, by feature, where one is asked.
    """
    taken = replace(state, exchanges=state.exchanges + 1)
    return _noisy_step(taken, np.asarray(pooled * GRADIENT_UNIT, np.float64), directions)


def _noisy_step(
    state: CardState, gradient: Vector, directions: Mapping[str, Direction]
) -> CardState:
    ridge = np.append(0.0, np.full(len(state.heights) - 1, RIDGE))
    speaks, curvature = speaking_slots(state), np.zeros(len(state.heights))
    curvature[0] = _own_curvature(state.totals[:, None])[0]
    for at, one in enumerate(state.bins):
        held = slice(1 + at * MOST_BINS, 1 + at * MOST_BINS + one.n_bins)
        curvature[held] = _own_curvature(one.counts)
    metric = np.maximum(curvature + ridge, 1.0)
    along = np.where(speaks, gradient - ridge * state.heights, 0.0)
    moved = _projected(
        state,
        state.heights + along / metric / (_FIRST_STEP - 1 + state.exchanges),
        metric,
        directions,
    )
    return replace(state, heights=moved, anchor=moved)


def _own_curvature(counts: Tally) -> Vector:
    """Return the second derivatives of bins at the share of their own records, shape (n_bins,)."""
    first, second = np.maximum(counts, 0).astype(np.float64)
    return np.asarray(first * second / np.maximum(first + second, 1.0), np.float64)


def speaking_slots(state: CardState) -> NDArray[np.bool_]:
    """Return which heights move: the constant, and the bins of features with several.

    Shape (1 + n_features * MOST_BINS,).
    """
    places, n_bins = np.arange(MOST_BINS), [one.n_bins for one in state.bins]
    return np.concatenate([[True], *((n > 1) & (places < n) for n in n_bins)])


def _step(state: CardState, gradient: Vector, metric: Vector) -> float:
    """Return how far to go, as a share of what each bin alone would go.

    The first step is short enough for features that say all the same.
    """
    shortest = 1.0 / (1 + sum(one.n_bins > 1 for one in state.bins))
    moved, change = state.heights - state.anchor, state.gradient - gradient
    along, across = _total(moved * change), _total(change * change / metric)
    if state.exchanges == 1 or not (along > 0 and across > 0):
        return shortest
    return max(along / across, shortest)


def _projected(
    state: CardState, heights: Vector, metric: Vector, directions: Mapping[str, Direction]
) -> Vector:
    """Return the nearest heights of which all curves go in the directions that are asked."""
    found = heights.copy()
    for at, one in enumerate(state.bins):
        direction = directions.get(one.feature.name)
        if direction is not None:
            start = 1 + at * MOST_BINS
            held = slice(start, start + len(one.edges) + 1)
            # the log-odds of the first class rise where the share of the second falls
            sign = 1.0 if direction == "down" else -1.0
            found[held] = sign * rising(sign * heights[held], metric[held])
    return found


def log_odds_nearby(totals: Tally) -> float:
    """Return ln(records of the first class / of the second) to within 0.12, without a logarithm.

    It is where the constant starts; 0 if there is no record of one class. Logarithms differ in
    their last bit from machine to machine, and a state must not.
    """
    if totals.min() <= 0:
        return 0.0
    first, second = (math.frexp(count) for count in totals.tolist())
    # log2(m 2^e) is near e - 2 + 2 m for m in [0.5, 1), by at most 0.09
    doublings = (first[1] + 2 * first[0]) - (second[1] + 2 * second[0])
    return doublings * _LN_2


def _total(values: Matrix | Vector) -> float:
    """Return the sum, added up in order: numpy's own adds in an order that depends on the CPU."""
    return float(np.cumsum(values)[-1])
