"""Krum, Multi-Krum and Bulyan: trust the updates that have near neighbours."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Vector
from strategies.rules.distance_bounds import bound_distances
from strategies.rules.inputs import Rows, admit, blocks, column_slices, fits_float32, width_for
from strategies.rules.pairwise_distances import distances_from, measure_distances
from strategies.rules.separate_rows import copy_of_row, row_pieces
from strategies.rules.sorting_networks import sort_columns, sorting_network

TIE = 1e-9  # relative difference below which two scores count as equal: BLAS is not exact
_APART = 1 + 2 * TIE  # scores that differ by more are no tie, whatever the error of a distance


def krum_sites(num_byzantine: int) -> int:
    """Return the fewest sites with which a liar's nearest neighbours cannot all be liars."""
    return 2 * num_byzantine + 3


def bulyan_sites(num_byzantine: int) -> int:
    """Return the fewest sites of which enough values remain when Bulyan has dropped 4f."""
    return 4 * num_byzantine + 3


def krum(updates: Rows, weights: Vector, *, num_byzantine: int) -> Vector:
    """Return the update whose n - f - 2 nearest neighbours are nearest, shape (dim,).

    The score of a row is the sum of squared distances to its n - f - 2 nearest other rows. The row
    with the least score wins; among equal scores, the first row in lexicographic order.

    Guarantee: the result is exactly one of the updates. Let V be the mean squared distance of the
    honest updates from their mean. Whatever f liars send, the result is within
    sqrt(6 V (n - f) / (n - 2f - 2)) of that mean. (Proof: the scores of the honest rows bound the
    winner's score; sum them over its n - 2f - 2 or more honest neighbours.) Blanchard et al.
    2017, arXiv:1703.02757.

    Args:
        updates: Shape (n_sites, dim).
        weights: Shape (n_sites,), all equal.
        num_byzantine: Byzantine sites to survive, f; needs n >= 2f + 3.

    Raises:
        ConsortiumError: As `inputs.admit` and `inputs.checked_blocks` say.
    """
    n_sites, _ = admit(updates, weights, num_byzantine=num_byzantine, needs=krum_sites)
    winner = _rows_of_least_scores(updates, num_byzantine, 1)[0]
    return copy_of_row(updates, winner, width_for(n_sites))


def multi_krum(updates: Rows, weights: Vector, *, num_byzantine: int) -> Vector:
    """Return the mean of the n - f - 2 updates with the least Krum scores, shape (dim,).

    Guarantee: as for `krum`, but the result is not one of the updates. n - f - 2 is the largest
    number for which Damaskinos et al. 2019 (AggregaThor) prove resilience.

    Arguments and errors are those of `krum`.
    """
    n_sites, _ = admit(updates, weights, num_byzantine=num_byzantine, needs=krum_sites)
    count = n_sites - num_byzantine - 2
    shares = np.zeros(n_sites)
    shares[_rows_of_least_scores(updates, num_byzantine, count)] = 1 / count
    return combine(updates, shares)


def bulyan(updates: Rows, weights: Vector, *, num_byzantine: int) -> Vector:
    """Return, for each coordinate, the mean of the selected values nearest to their median.

    Krum selects n - 2f updates, one at a time from those that remain (near the end each is scored
    by at least one neighbour). For each coordinate, the n - 4f selected values nearest to the
    median are averaged; of two equally near values, the lower counts.

    Guarantee: whatever f liars send, no coordinate is further from the median of the selected
    values than the furthest honest selected value, and that median lies within the honest range.
    El Mhamdi et al. 2018, arXiv:1802.07927.

    Arguments and errors are those of `krum`, but it needs n >= 4f + 3.
    """
    n_sites, dim = admit(updates, weights, num_byzantine=num_byzantine, needs=bulyan_sites)
    selected = _select_rows(updates, num_byzantine, n_sites - 2 * num_byzantine, renewed=True)
    width = min(width_for(len(selected)), dim)
    comparators = sorting_network(len(selected), 0, len(selected))
    buffer = np.empty((len(selected) + 1, width), np.promote_types(updates.dtype, np.float32))
    result = np.empty(dim)
    for columns, block in blocks(updates, width):
        ordered = sort_columns([block[row] for row in selected], comparators, buffer)
        exact = [row.astype(np.float64) for row in ordered]
        result[columns] = _mean_near_median(exact, len(selected) - 2 * num_byzantine)
    return result


def combine(updates: Rows, shares: Vector) -> Vector:
    """Return the sum of checked rows, each times its share, shape (dim,). It uses BLAS."""
    n_sites, dim = len(shares), updates.shape[1]
    width = min(width_for(n_sites), dim)
    total, buffer = np.empty(dim), np.empty(n_sites * width)
    for columns in column_slices(dim, width):
        block = buffer[: n_sites * (columns.stop - columns.start)].reshape(n_sites, -1)
        for target, piece in zip(block, row_pieces(updates, columns), strict=True):
            target[:] = piece
        np.matmul(shares, block, out=total[columns])
    return total


def _rows_of_least_scores(updates: Rows, num_byzantine: int, count: int) -> list[int]:
    """Return the indices of the rows with the least scores, in any order.

    Guarantee: they are those that `_select_rows` returns. Bounds of the distances decide most of
    them; only the rows that they leave open are measured exactly.
    """
    bounds = bound_distances(updates) if fits_float32(updates) else None
    if bounds is not None:
        low, high = (_scores(one, num_byzantine) for one in bounds)
        sure, open_ = _divide(low, high, count)
        missing = count - len(sure)
        if len(open_) <= max(2, len(low) // 10):  # of more, all distances are measured as fast
            found = _nearest_apart(updates, num_byzantine, open_, missing)
            if found is not None:
                return [*sure, *found]
    return _select_rows(updates, num_byzantine, count, renewed=False)


def _divide(low: Vector, high: Vector, count: int) -> tuple[list[int], list[int]]:
    """Return the rows that are selected in any case, and those of which the bounds leave it open.

    Rows are selected one by one, each with a score of at most 1 + TIE times the least that remains.
    So a row is selected if fewer than `count` others may have a score as low as that. And it is not
    selected if the scores of `count` others are certainly below it by more.
    """
    rivals = np.searchsorted(np.sort(low), high * _APART, side="right")  # the row itself is one
    certain = rivals <= count
    beaten = np.searchsorted(np.sort(high * _APART), low, side="left") >= count
    return np.flatnonzero(certain).tolist(), np.flatnonzero(~(certain | beaten)).tolist()


def _nearest_apart(
    updates: Rows, num_byzantine: int, rows: list[int], count: int
) -> list[int] | None:
    """Return those `count` of the rows that have the least scores; None if that is a tie."""
    if count in (0, len(rows)):
        return rows[:count]
    scores = _scores(distances_from(updates, rows), num_byzantine)
    order = scores.argsort()
    last, next_ = scores[order[count - 1 : count + 1]]
    if next_ <= last * _APART:
        return None
    return [rows[place] for place in order[:count]]


def _select_rows(updates: Rows, num_byzantine: int, count: int, *, renewed: bool) -> list[int]:
    """Return the indices of the rows with the least scores.

    If `renewed`, the rows that remain are scored anew after each selection.
    """
    squared = measure_distances(updates).squared
    remaining = list(range(len(squared)))
    scores = _scores(squared, num_byzantine)
    selected: list[int] = []
    while len(selected) < count:
        place = _lowest_score(scores, squared[np.ix_(remaining, remaining)], updates, remaining)
        selected.append(remaining.pop(place))
        if renewed:
            scores = _scores(squared[np.ix_(remaining, remaining)], num_byzantine)
        else:
            scores = np.delete(scores, place)
    return selected


def _scores(squared: Matrix, num_byzantine: int) -> Vector:
    """Return the scores of some rows from their distances to all, shape (n_rows, n_sites)."""
    neighbours = max(1, squared.shape[1] - num_byzantine - 2)
    # The first of each sorted row is the distance to itself, zero.
    scores: Vector = np.sort(squared, axis=1)[:, 1 : 1 + neighbours].sum(axis=1)
    return scores


def _lowest_score(scores: Vector, squared: Matrix, updates: Rows, rows: list[int]) -> int:
    """Return the index of the least score; among equal ones, of the lexicographically first row."""
    # BLAS may sum in another order on another machine, so scores that differ by rounding are ties,
    # and the rows themselves decide. Equal rows are removed first: they can never be told apart.
    tied = np.flatnonzero(scores <= scores.min() * (1 + TIE))
    twins = np.tril(squared[np.ix_(tied, tied)] == 0, -1).any(axis=1)
    tied = tied[~twins]
    reading = blocks(updates, width_for(updates.shape[0]))
    while len(tied) > 1:  # without twins, some block tells the rows apart
        _, block = next(reading)
        values = block[np.array(rows)[tied]]
        while (differing := (values != values[0]).any(axis=0)).any():
            column = values[:, differing.argmax()]
            first = column == column.min()
            values, tied = values[first], tied[first]
    return int(tied[0])


def _mean_near_median(ordered: list[NDArray[np.float64]], count: int) -> Vector:
    """Return the mean of the `count` values nearest to the median of each column.

    Of two equally near values the lower counts.
    """
    last = len(ordered)
    twice_median = ordered[(last - 1) // 2] + ordered[last // 2]
    mean = _sum_of_rows(ordered[:count])
    # The values are sorted, so the nearest ones to the median are a window of neighbours. It moves
    # on by one as long as the value that it loses is further from the median than the one that it
    # gains: median - lost > gained - median, with one rounding on each side, so that ties stay
    # ties.
    for start in range(last - count):
        further = twice_median > ordered[start] + ordered[start + count]
        np.copyto(mean, _sum_of_rows(ordered[start + 1 : start + 1 + count]), where=further)
    return mean / count


def _sum_of_rows(rows: Sequence[NDArray[np.float64]]) -> Vector:
    total = np.zeros_like(rows[0])
    for row in rows:
        total += row
    return total
