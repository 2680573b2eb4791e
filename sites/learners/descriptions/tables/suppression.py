"""Which cells of a table of counts are hidden, so that no small one can be worked out.

Primary suppression hides counts of few records; secondary suppression hides further cells, so that
nobody subtracts the shown ones from their totals (Willenborg and de Waal 2001, Elements of
Statistical Disclosure Control, chapter 6).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Tally

SMALLEST_SHOWN = 10

Mask = NDArray[np.bool_]


class SmallGroup(ConsortiumError, ValueError, code="small-group"):
    """A group is so small that not even its size may be shown."""


def hidden_cells(inner: Tally, *, smallest: int = SMALLEST_SHOWN) -> Mask:
    """Return which cells of a table with totals are hidden, shape (rows + 1, columns + 1).

    The last row and the last column are the totals. Those of the columns are the sizes of the
    groups, which stand in every table of a description: they are never hidden.

    Guarantee: no hidden cell follows from the shown ones by additions and subtractions, and the
    hidden cells of a row or a column whose total is shown add up to `smallest` or more. Zeros may
    be shown: they are records that nobody has.

    Args:
        inner: Counts without totals, shape (rows, columns); each column adds up to 0, or to
            `smallest` or more.
        smallest: The smallest count but 0 that may be shown.

    Raises:
        SmallGroup: A column adds up to less.
    """
    occupied = inner.any(axis=0)
    cells = _with_totals(inner[:, occupied])
    if ((cells[-1] > 0) & (cells[-1] < smallest)).any():
        raise SmallGroup(f"a group has fewer than {smallest} records: nothing is shown of it")
    hidden = (cells > 0) & (cells < smallest)
    while (more := _next_to_hide(cells, hidden, smallest)) is not None:
        hidden[more] = True
    # Of a group of size 0 a reader knows every cell: to hide one would protect no other.
    whole = np.zeros((hidden.shape[0], inner.shape[1] + 1), np.bool_)
    whole[:, [*np.flatnonzero(occupied), inner.shape[1]]] = hidden
    return whole


def _with_totals(inner: Tally) -> Tally:
    rows = np.concatenate([inner, inner.sum(axis=1, keepdims=True)], axis=1)
    return np.concatenate([rows, rows.sum(axis=0, keepdims=True)]).astype(np.int64)


def _next_to_hide(cells: Tally, hidden: Mask, smallest: int) -> tuple[int, int] | None:
    """Return one more cell to hide; None if what is hidden stays so."""
    line = _short_line(cells, hidden, smallest)
    if line is not None:
        return _smallest_shown(cells, hidden, line)
    for crossing in _crossings(hidden):
        found = _smallest_shown(cells, hidden, crossing)
        if found is not None:
            return found
    return None


def _short_line(cells: Tally, hidden: Mask, smallest: int) -> Mask | None:
    """Return the places of the first row, or else column, whose hidden cells add up to too little.

    None if there is none of which a further cell may be hidden.
    """
    places: Mask = np.zeros(cells.shape, np.bool_)
    may_hide = ~hidden
    may_hide[-1] = False  # the sizes of the groups
    for lines, held, counts, shown in (
        (places, hidden, cells, may_hide),
        (places.T, hidden.T, cells.T, may_hide.T),
    ):
        short = held.any(axis=1) & (_hidden_sums(counts, held) < smallest)
        found = np.flatnonzero(short & shown.any(axis=1))
        if found.size:
            lines[found[0]] = True
            return places
    return None


def _hidden_sums(cells: Tally, hidden: Mask) -> Tally:
    """Return what a reader knows that the hidden cells of each row add up to, at least.

    The total of a row is the sum of the others: of hidden ones, the others' sum is known. A hidden
    total is free: the row says nothing of its cells unless it is the only one.
    """
    inner = np.where(hidden, cells, 0)[:, :-1].sum(axis=1)
    total = np.where(hidden.sum(axis=1) > 1, cells[:, -1], 0)
    return np.asarray(np.where(hidden[:, -1], total, inner), np.int64)


def _smallest_shown(cells: Tally, hidden: Mask, places: Mask) -> tuple[int, int] | None:
    """Return the place of the smallest count that may be hidden: a total or a 0 if need be."""
    shown = places & ~hidden
    shown[-1] = False
    rows, columns = np.nonzero(shown)
    if not rows.size:
        return None
    counts = cells[rows, columns]
    order = np.lexsort((columns, rows, counts, columns == cells.shape[1] - 1, counts == 0))
    return int(rows[order[0]]), int(columns[order[0]])


def _crossings(hidden: Mask) -> Iterator[Mask]:
    """Yield, for each hidden cell that the shown ones determine, the places that would help.

    Rows and columns are the nodes of a graph, and hidden cells its edges. A cell is determined
    exactly if no circle of hidden cells goes through it: without it, its row and its column are
    not connected. The places are those that cross from what is connected with its row to the rest.
    Rows that hide the same columns are alike, so each kind is looked at once.
    """
    kinds, kind_of, number = np.unique(hidden, axis=0, return_inverse=True, return_counts=True)
    kind_of = kind_of.reshape(-1)
    near = {
        (kind, column): _near_columns(kinds, number, kind, column)
        for kind, line in enumerate(kinds)
        for column in np.flatnonzero(line).tolist()
    }
    determined = {place for place, columns in near.items() if not columns[place[1]]}
    for row, kind in enumerate(kind_of.tolist()):
        for column in np.flatnonzero(hidden[row]).tolist():
            if (kind, column) in determined:
                columns = near[kind, column]
                rows = np.asarray((hidden & columns).any(axis=1), np.bool_)
                rows[row] = True
                yield rows[:, None] != columns


def _near_columns(kinds: Mask, number: NDArray[np.intp], kind: int, column: int) -> Mask:
    """Return the columns that are connected with a row of a kind, its cell in one left out."""
    others = kinds[number > (np.arange(len(kinds)) == kind)]  # other rows than this one
    near: Mask = kinds[kind].copy()
    near[column] = False
    while True:
        further: Mask = near | others[(others & near).any(axis=1)].any(axis=0)
        if (further == near).all():
            return near
        near = further
