"""Adversary: a reader with pencil and paper, who knows all totals that are shown."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sites.learners.descriptions.tables.suppression import SMALLEST_SHOWN, SmallGroup, hidden_cells
from tests.sites.learners.descriptions.tables.cell_by_cell import hidden_one_by_one

COUNTS = st.one_of(st.integers(0, 12), st.integers(0, 3), st.integers(0, 500))
TABLES = (
    st.tuples(st.integers(1, 5), st.integers(1, 4))
    .flatmap(lambda shape: arrays(np.int64, shape, elements=COUNTS))
    .filter(lambda table: ((table.sum(axis=0) == 0) | (table.sum(axis=0) >= 10)).all())
)


def with_totals(inner: np.ndarray) -> np.ndarray:
    rows = np.concatenate([inner, inner.sum(axis=1, keepdims=True)], axis=1)
    return np.concatenate([rows, rows.sum(axis=0, keepdims=True)])


def determined(hidden: np.ndarray) -> set[tuple[int, int]]:
    """Return the hidden cells that the sums of rows and columns fix, by exact elimination."""
    places = [(int(row), int(column)) for row, column in np.argwhere(hidden)]
    equations = []
    for axis in (0, 1):
        for line in range(hidden.shape[axis]):
            row = []
            for place in places:
                total = place[1 - axis] == hidden.shape[1 - axis] - 1
                row.append(Fraction((-1 if total else 1) if place[axis] == line else 0))
            equations.append(row)
    reduced = _reduced(equations)
    return {
        places[next(at for at, value in enumerate(row) if value)]
        for row in reduced
        if sum(value != 0 for value in row) == 1
    }


def _reduced(rows: list[list[Fraction]]) -> list[list[Fraction]]:
    rows, done = [row[:] for row in rows], 0
    for column in range(len(rows[0]) if rows else 0):
        pivot = next((at for at in range(done, len(rows)) if rows[at][column]), None)
        if pivot is None:
            continue
        rows[done], rows[pivot] = rows[pivot], rows[done]
        rows[done] = [value / rows[done][column] for value in rows[done]]
        for at in range(len(rows)):
            if at != done and rows[at][column]:
                factor = rows[at][column]
                rows[at] = [a - factor * b for a, b in zip(rows[at], rows[done], strict=True)]
        done += 1
    return rows[:done]


@settings(max_examples=300)
@given(TABLES)
def test_no_hidden_cell_follows_from_the_shown_ones(inner: np.ndarray) -> None:
    hidden = hidden_cells(inner)
    assert not determined(hidden)
    assert not hidden[-1].any(), "the sizes of the groups stand in every table"


@given(TABLES)
@example(np.array([[1, 0], [9, 0]]))
@example(np.zeros((2, 3), np.int64))
def test_what_a_shown_total_leaves_for_the_hidden_cells_is_no_small_number(
    inner: np.ndarray,
) -> None:
    cells, hidden = with_totals(inner), hidden_cells(inner)
    for line, hides in (*zip(cells, hidden, strict=True), *zip(cells.T, hidden.T, strict=True)):
        if hides[:-1].any() and not hides[-1]:
            assert line[:-1][hides[:-1]].sum() >= SMALLEST_SHOWN


LONG = (
    st.tuples(st.integers(1, 15), st.integers(1, 4))
    .flatmap(lambda shape: arrays(np.int64, shape, elements=COUNTS))
    .filter(lambda table: ((table.sum(axis=0) == 0) | (table.sum(axis=0) >= 10)).all())
)


@given(LONG)
def test_the_same_cells_are_hidden_as_where_each_is_looked_at_by_itself(inner: np.ndarray) -> None:
    assert hidden_cells(inner).tolist() == hidden_one_by_one(with_totals(inner)).tolist()


def test_of_a_thousand_values_those_that_few_have_are_hidden() -> None:
    inner = np.repeat([[3, 40], [60, 2], [1, 1], [500, 70]], 250, axis=0)
    hidden = hidden_cells(inner)
    assert hidden[:-1][((inner > 0) & (inner < 10)).any(axis=1)].any(axis=1).all()
    assert not hidden[-1].any()


def test_of_a_small_group_nothing_is_shown() -> None:
    with pytest.raises(SmallGroup, match="fewer than 10"):
        hidden_cells(np.array([[4, 50], [3, 60]]))


@given(TABLES)
def test_small_counts_are_hidden_and_totals_of_large_ones_are_not_all(inner: np.ndarray) -> None:
    cells, hidden = with_totals(inner), hidden_cells(inner)
    small = (cells > 0) & (cells < SMALLEST_SHOWN)
    assert (hidden | ~small).all()
    if not small.any():
        assert not hidden.any(), "a table without small counts is shown whole"


def test_a_single_small_cell_takes_a_circle_with_it() -> None:
    """The textbook case: one cell, and three more that keep it hidden."""
    inner = np.array([[3, 50, 60], [40, 20, 70], [80, 90, 100]])
    hidden = hidden_cells(inner)
    assert hidden[0, 0]
    assert not hidden[-1].any()
    assert not hidden[:, -1].any()
    assert hidden.sum() == 4


def test_two_small_cells_do_not_tell_each_other() -> None:
    """Two cells of 1 that add up to 2 would both be known."""
    inner = np.array([[1, 1, 60], [40, 20, 70], [80, 90, 100]])
    assert hidden_cells(inner)[0].sum() >= 3
