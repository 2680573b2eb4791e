"""Sorting networks: order statistics of all columns at once, by vector operations on rows.

Minimum and maximum of whole rows are vectorised, and faster than sorting each short column.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Comparator: TypeAlias = tuple[int, int]


@cache
def sorting_network(n_rows: int, first: int, stop: int) -> tuple[Comparator, ...]:
    """Return comparators that put ranks `first` to `stop - 1` of `n_rows` in place.

    Guarantee: after the pairs (low, high) have been put in order one after the other, positions
    `first` to `stop - 1` hold what sorting would put there. This is Batcher's odd-even merge sort
    (1968) without the comparators on which those positions do not depend.
    """
    # Read backwards: a comparator matters only if one of its positions is needed later.
    needed = set(range(first, stop))
    kept: list[Comparator] = []
    for low, high in reversed(_merge_sort(n_rows)):
        if low in needed or high in needed:
            needed |= {low, high}
            kept.append((low, high))
    return tuple(reversed(kept))


def _merge_sort(n_rows: int) -> list[Comparator]:
    comparators: list[Comparator] = []
    run = 1
    while run < n_rows:
        reach = run
        while reach >= 1:
            comparators += [
                (low, low + reach)
                for low in range(reach % run, n_rows - reach)
                if (low - reach % run) // reach % 2 == 0
                and low // (2 * run) == (low + reach) // (2 * run)
            ]
            reach //= 2
        run *= 2
    return comparators


def sort_columns(
    block: Sequence[NDArray[Any]] | NDArray[Any],
    comparators: tuple[Comparator, ...],
    buffer: NDArray[Any],
) -> list[NDArray[Any]]:
    """Return the rows with each column sorted, as far as the network sorts.

    Args:
        block: Rows, each of shape (width,), without NaN.
        comparators: From `sorting_network`, for as many rows.
        buffer: Shape (n_rows + 1, width or more); it is overwritten, and the result is views of it.
    """
    # The spare row takes each minimum and then swaps places with a row: nothing is copied or
    # allocated per comparator.
    *rows, spare = (row[: len(block[0])] for row in buffer)
    for row, values in zip(rows, block, strict=True):
        np.copyto(row, values)
    for low, high in comparators:
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return rows
