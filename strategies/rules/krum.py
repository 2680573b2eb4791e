"""Krum, Multi-Krum and Bulyan: trust the updates that have near neighbours."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Vector
from strategies.rules.inputs import Rows, admit, blocks, width_for
from strategies.rules.pairwise_distances import measure_distances
from strategies.rules.sorting_networks import sort_columns, sorting_network

TIE = 1e-9  # relative difference below which two scores count as equal: BLAS is not exact


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
    n_sites, dim = admit(updates, weights, num_byzantine=num_byzantine, needs=krum_sites)
    winner = _select_rows(updates, num_byzantine, 1, renewed=False)[0]
    result = np.empty(dim)
    for columns, block in blocks(updates, width_for(n_sites)):
        result[columns] = block[winner]
    return result


def multi_krum(updates: Rows, weights: Vector, *, num_byzantine: int) -> Vector:
    """Return the mean of the n - f - 2 updates with the least Krum scores, shape (dim,).

    Guarantee: as for `krum`, but the result is not one of the updates. n - f - 2 is the largest
    number for which Damaskinos et al. 2019 (AggregaThor) prove resilience.

    Arguments and errors are those of `krum`.
    """
    n_sites, _ = admit(updates, weights, num_byzantine=num_byzantine, needs=krum_sites)
    count = n_sites - num_byzantine - 2
    shares = np.zeros(n_sites)
    shares[_select_rows(updates, num_byzantine, count, renewed=False)] = 1 / count
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
    total = np.empty(updates.shape[1])
    for columns, block in blocks(updates, width_for(len(shares))):
        total[columns] = shares @ block
    return total


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
    neighbours = max(1, len(squared) - num_byzantine - 2)
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
