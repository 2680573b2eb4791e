"""Sorting networks: order statistics of every column at once, one vector operation at a time."""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Comparator: TypeAlias = tuple[int, int]


@cache
def sorting_network(n_rows: int, first: int, stop: int) -> tuple[Comparator, ...]:
    """Return comparators that put ranks `first` to `stop - 1` of `n_rows` in place.

    Guarantee: after each pair (low, high) in turn has been put in order, places `first` to
    `stop - 1` hold what sorting would put there. This is Batcher's odd-even merge sort (1968)
    without the comparators that those places do not depend on.
    """
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
    """Return rows in which each column of the block is ordered, as far as the network orders.

    Args:
        block: Rows, each of shape (width,), no NaN.
        comparators: Of `sorting_network`, for as many rows.
        buffer: Shape (n_rows + 1, width or more), overwritten; the rows are views of it.
    """
    *rows, spare = (row[: len(block[0])] for row in buffer)
    for row, values in zip(rows, block, strict=True):
        np.copyto(row, values)
    for low, high in comparators:
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return rows
