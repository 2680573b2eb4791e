"""Which cells are hidden, found by looking at one line and one cell after the other: slow, plain.

What `sites.learners.descriptions.tables.suppression` hides must be the same.
"""

from collections.abc import Iterator

import numpy as np

from privacy.layout import Tally
from sites.learners.descriptions.tables.suppression import SMALLEST_SHOWN, Mask


def hidden_one_by_one(cells: Tally, *, smallest: int = SMALLEST_SHOWN) -> Mask:
    """Return which cells of a table with its totals are hidden."""
    empty = [column for column in range(cells.shape[1] - 1) if not cells[-1, column]]
    cells = np.delete(cells, empty, axis=1)
    hidden: Mask = (cells > 0) & (cells < smallest)
    while (more := _next_to_hide(cells, hidden, smallest)) is not None:
        hidden[more] = True
    for column in empty:
        hidden = np.insert(hidden, column, False, axis=1)
    return hidden


def _next_to_hide(cells: Tally, hidden: Mask, smallest: int) -> tuple[int, int] | None:
    """Return one more cell to hide; None if what is hidden stays so."""
    for line in _lines(cells.shape):
        held = [place for place in line if hidden[place]]
        # The total of a line is the sum of the others: of hidden ones, the others' sum is known.
        if held and _hidden_sum(cells, held, line) < smallest:
            found = _smallest_shown(cells, hidden, line)
            if found is not None:
                return found
    for row, column in zip(*np.nonzero(hidden), strict=True):
        near = _reached(hidden, int(row), without=(int(row), int(column)))
        if int(column) not in near[1]:
            crossing = [
                (r, c)
                for r in range(cells.shape[0])
                for c in range(cells.shape[1])
                if (r in near[0]) != (c in near[1])
            ]
            found = _smallest_shown(cells, hidden, crossing)
            if found is not None:
                return found
    return None


def _lines(shape: tuple[int, ...]) -> Iterator[list[tuple[int, int]]]:
    """Yield the places of each row, then of each column; the total stands last."""
    rows, columns = shape
    for row in range(rows):
        yield [(row, column) for column in range(columns)]
    for column in range(columns):
        yield [(row, column) for row in range(rows)]


def _hidden_sum(cells: Tally, held: list[tuple[int, int]], line: list[tuple[int, int]]) -> int:
    """Return what a reader knows that the hidden cells of a line add up to, at least."""
    inner = sum(int(cells[place]) for place in held if place != line[-1])
    if line[-1] not in held:
        return inner
    # A hidden total is free: the line says nothing of its cells unless it is the only one.
    return int(cells[line[-1]]) if len(held) > 1 else 0


def _smallest_shown(
    cells: Tally, hidden: Mask, places: list[tuple[int, int]]
) -> tuple[int, int] | None:
    """Return the place of the smallest count that may be hidden: a total or a 0 if need be."""
    last = (cells.shape[0] - 1, cells.shape[1] - 1)
    shown = [place for place in places if not hidden[place] and place[0] != last[0]]
    if not shown:
        return None

    def price(place: tuple[int, int]) -> tuple[bool, bool, int, tuple[int, int]]:
        return int(cells[place]) == 0, place[1] == last[1], int(cells[place]), place

    return min(shown, key=price)


def _reached(hidden: Mask, row: int, *, without: tuple[int, int]) -> tuple[set[int], set[int]]:
    """Return the rows and columns that hidden cells connect with a row, one cell left out.

    A cell is determined by the shown ones exactly if no circle of hidden cells goes through it.
    """
    rows, columns, new = {row}, set[int](), [("row", row)]
    while new:
        kind, at = new.pop()
        line = hidden[at] if kind == "row" else hidden[:, at]
        for other in np.flatnonzero(line).tolist():
            place = (at, other) if kind == "row" else (other, at)
            seen = columns if kind == "row" else rows
            if place != without and other not in seen:
                seen.add(other)
                new.append(("column" if kind == "row" else "row", other))
    return rows, columns
