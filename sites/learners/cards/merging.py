"""Merge fine bins into those of a card: from counts by class alone, the same at every site.

Bins that follow each other are merged until each meets the floor, then until each pair differs:
ChiMerge (Kerber 1992), with pooled adjacent violators where a direction is asked (Ayer et al.
1955). A merge is always of neighbours, so a later step undoes nothing of an earlier one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.cards.plan import Direction

FEWEST_OF_CLASS = 10
# Each bin has a 20th of the records or more, so that no feature has more bins.
MOST_BINS = 20
CLEAR = 2.0  # deviations of the noise of a count, of which a bin has at least as many
# Neighbours whose shares differ by less stay together: 1 % of the chi-square with one degree.
LEAST_DIFFERENCE = 6.635

Starts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Merged:
    """The bins of one feature of a card.

    Guarantee: every bin has ten records of each class or more, and a 20th of all records; or there
    is one bin, which holds everything.

    Args:
        places: The bin of each fine bin, shape (size,), the one of missing values last.
        counts: Records of the first and of the second class by bin, shape (2, n_bins). Records
            with a missing value are in them only if missing values have their own bin.
    """

    places: NDArray[np.int64]
    counts: Tally

    @property
    def n_bins(self) -> int:
        """How many bins there are, at least one."""
        return int(self.counts.shape[1])


def merge_number(
    counts: Tally, direction: Direction | None = None, *, noise: float = 0.0
) -> Merged:
    """Return the bins of a number, each a range; missing values may have one of their own.

    Args:
        counts: Records of each class by fine bin, shape (2, size): ranges in ascending order, left
            over bins with zeros, then missing values.
        direction: Whether the share of the second class rises or falls from bin to bin, if either
            is asked. The bin of missing values is none of these.
        noise: Variance of the noise of a count of one class in a fine bin.
    """
    return _merged(counts, np.arange(counts.shape[1] - 1), direction, noise)


def merge_category(counts: Tally, *, noise: float = 0.0) -> Merged:
    """Return the bins of a category, each a set of values with similar shares.

    Values are merged in the order of their shares of the second class; those that nobody has stand
    where the share of all records is.

    Args:
        counts: Records of each class by value, shape (2, n_values + 1), missing values last.
        noise: Variance of the noise of a count of one class of a value.
    """
    shares = _shares(counts[:, :-1], otherwise=_shares(counts.sum(axis=1, keepdims=True))[0])
    return _merged(counts, np.argsort(shares, kind="stable"), None, noise)


def _merged(
    counts: Tally, order: NDArray[np.int64], direction: Direction | None, noise: float
) -> Merged:
    n_records, ordered = int(counts.sum()), counts[:, order]
    starts = _merge_to_floor(ordered, n_records, noise)
    if direction is not None:
        starts = _merge_violators(ordered, starts, rising=direction == "up")
    starts = _merge_similar(ordered, starts, noise)
    bins = np.add.reduceat(ordered, starts, axis=1)
    places = np.zeros(counts.shape[1], np.int64)
    begins = _middle_of_gaps(ordered, starts)
    places[order] = np.searchsorted(begins, np.arange(len(order)), side="right") - 1
    missing = counts[:, -1:]
    if _under_floor(bins, n_records, _variances(noise, ordered, starts)).any():
        return Merged(np.zeros_like(places), counts.sum(axis=1, keepdims=True))
    if not _under_floor(missing, n_records, np.full(1, noise, np.float64)).any():
        places[-1] = bins.shape[1]
        return Merged(places, np.concatenate([bins, missing], axis=1))
    # Too few to say anything of their own: they stand where they say least, and in no count, which
    # could turn a direction round.
    apart = np.abs(_shares(bins) - _shares(counts.sum(axis=1, keepdims=True)))
    places[-1] = apart.argmin()
    return Merged(places, bins)


def _merge_to_floor(counts: Tally, n_records: int, noise: float) -> Starts:
    """Join the smallest bin under the floor to the more similar neighbour, until there is none."""
    starts = np.arange(counts.shape[1])
    while len(starts) > 1:
        bins = np.add.reduceat(counts, starts, axis=1)
        variances = _variances(noise, counts, starts)
        under = _under_floor(bins, n_records, variances)
        if not under.any():
            break
        records = bins.sum(axis=0)
        place = int(np.where(under, records, records.max() + 1).argmin())
        apart = np.concatenate([[np.inf], _differences(bins, variances), [np.inf]])
        starts = np.delete(starts, place if apart[place] <= apart[place + 1] else place + 1)
    return starts


def _merge_violators(counts: Tally, starts: Starts, *, rising: bool) -> Starts:
    """Join neighbours whose shares go the wrong way, until there are none."""

    def first_wrong(bins: Tally, widths: Starts) -> int | None:
        steps = np.diff(_shares(bins)) * (1.0 if rising else -1.0)
        return int((steps < 0).argmax()) if (steps < 0).any() else None

    return _merge_while(counts, starts, first_wrong)


def _merge_similar(counts: Tally, starts: Starts, noise: float) -> Starts:
    """Join the two most similar neighbours, until all differ."""

    def most_similar(bins: Tally, widths: Starts) -> int | None:
        differences = _differences(bins, np.asarray(noise * widths, np.float64))
        place = int(differences.argmin())
        return place if differences[place] < LEAST_DIFFERENCE else None

    return _merge_while(counts, starts, most_similar)


def _merge_while(
    counts: Tally, starts: Starts, found: Callable[[Tally, Starts], int | None]
) -> Starts:
    while len(starts) > 1:
        place = found(np.add.reduceat(counts, starts, axis=1), _widths(counts, starts))
        if place is None:
            break
        starts = np.delete(starts, place + 1)
    return starts


def _middle_of_gaps(counts: Tally, starts: Starts) -> Starts:
    """Move each start to the middle of the fine bins before it that nobody is in.

    So a record whose value nobody had is in the bin that is nearer to it.
    """
    held = np.flatnonzero(counts.sum(axis=0))
    if len(starts) == 1:
        return starts
    after = np.searchsorted(held, starts[1:])
    return np.append(0, (held[after - 1] + held[after] + 1) // 2)


def _widths(counts: Tally, starts: Starts) -> Starts:
    """Return how many fine bins each bin has, shape (n_bins,)."""
    return np.diff(np.append(starts, counts.shape[1]))


def _variances(noise: float, counts: Tally, starts: Starts) -> Vector:
    return np.asarray(noise * _widths(counts, starts), np.float64)


def _under_floor(bins: Tally, n_records: int, variances: Vector) -> NDArray[np.bool_]:
    """Return which bins have too few of a class, or do not stand out of the noise of its count."""
    few = bins.min(axis=0) < np.maximum(FEWEST_OF_CLASS, CLEAR * np.sqrt(variances))
    small = bins.sum(axis=0) * MOST_BINS < n_records
    return np.asarray(few | small)


def _shares(bins: Tally, otherwise: float = 0.0) -> Vector:
    """Return the share of the second class in each bin; `otherwise` where nobody is."""
    records = bins.sum(axis=0).astype(np.float64)
    shares = np.full(records.shape, otherwise)
    np.divide(bins[1].astype(np.float64), records, out=shares, where=records > 0)
    return shares


def _differences(bins: Tally, variances: Vector) -> Vector:
    """Return the chi-square of each pair of neighbours, shape (n_bins - 1,); 0 if undefined.

    Noise makes shares differ. So each is divided by how much more they vary than without it.
    """
    first, second = bins.astype(np.float64)
    a, b, c, d = first[:-1], second[:-1], first[1:], second[1:]
    crossed = a * d - b * c
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    differences = np.zeros(len(a))
    np.divide((a + b + c + d) * crossed * crossed, margins, out=differences, where=margins > 0)
    return differences / (1.0 + _noise_over_chance(bins, variances))


def _noise_over_chance(bins: Tally, variances: Vector) -> Vector:
    """Return the variance of a difference of shares by noise, over that by chance.

    Shape (n_bins - 1,); 0 where there is no noise.

    Args:
        bins: Records of each class, shape (2, n_bins).
        variances: Of the noise of the count of one class, shape (n_bins,).
    """
    records = np.maximum(bins.sum(axis=0), 1).astype(np.float64)
    both = records[:-1] + records[1:]
    shares = np.clip((bins[1, :-1] + bins[1, 1:]) / both, 0.01, 0.99)
    by_chance = shares * (1.0 - shares) * (1.0 / records[:-1] + 1.0 / records[1:])
    of_share = variances / (records * records)
    spread = (of_share[:-1] + of_share[1:]) * (shares * shares + (1.0 - shares) * (1.0 - shares))
    return np.asarray(spread / by_chance, np.float64)
