"""Adversary: a member who opens every sum by hand, and can take its own part off."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import linprog

from privacy.contribution import LARGEST_ENTRY
from sites.learners.descriptions.site_columns.cells import OwnCells
from sites.learners.descriptions.site_columns.exchange import (
    CHANGED,
    MODULUS,
    SiteColumns,
)
from sites.learners.exact_numbers import ImpossibleState
from sites.schema.tables import Schema
from sites.statistics.tally import ImpossibleTally
from tests.sites.learners.descriptions.described import CLASSES, NUMBERS, drawn
from tests.sites.learners.descriptions.site_columns.exchanged import (
    Sites,
    records_of_cells,
    ward_schema,
)

COUNTS = st.one_of(st.just(0), st.integers(1, 3), st.integers(8, 12), st.integers(10, 40))
# Counts of each site by value and class, shape (sites, values, 2).
CELLS = st.tuples(st.integers(3, 5), st.integers(2, 3)).flatmap(
    lambda shape: arrays(np.int64, (*shape, 2), elements=COUNTS)
)
ENOUGH = CELLS.filter(lambda cells: bool((cells.sum(axis=1) >= 10).all()))


def sites_of(
    cells: NDArray[np.int64], *, silent: frozenset[int] = frozenset(), crowd: int = 3
) -> Sites:
    parts = [records_of_cells(one) for one in cells]
    return Sites(ward_schema(cells.shape[1]), parts, silent=silent, crowd=crowd)


def three(small: int) -> Sites:
    """Return three sites of which the first has so many records in one cell."""
    cells = np.full((3, 2, 2), 20, np.int64)
    cells[0, 0, 0] = small
    return sites_of(cells)


def ranges(
    sums: NDArray[np.int64], totals: NDArray[np.int64], cell: tuple[int, int], small: list[int]
) -> Iterator[tuple[float, float]]:
    """Yield smallest and largest value of a cell, by linear programming, for each possible veto.

    What is unknown is a table of the other sites by value. These programs are of transport, so
    their best tables have whole numbers.

    Args:
        sums: Of each value, over the other sites, shape (values,).
        totals: Of each of these sites.
        cell: Site and value.
        small: Cells, counted row by row, one of which is from 1 to 9; none if that is known of no
            cell here.
    """
    n_sites, n_values = len(totals), len(sums)
    lines = [np.eye(n_sites, dtype=float)[row].repeat(n_values) for row in range(n_sites)]
    lines += [np.tile(np.eye(n_values)[value], n_sites) for value in range(n_values)]
    goal = np.zeros(n_sites * n_values)
    goal[cell[0] * n_values + cell[1]] = 1.0
    for veto in small or [-1]:
        bounds = [(1, 9) if at == veto else (0, None) for at in range(goal.size)]
        ends = [
            linprog(sign * goal, A_eq=np.array(lines), b_eq=[*totals, *sums], bounds=bounds)
            for sign in (1, -1)
        ]
        low, high = (one.fun for one in ends)
        if low is not None and high is not None:
            yield float(low), -float(high)


@settings(max_examples=20)
@given(ENOUGH, st.data())
@example(np.array([[[1, 10], [30, 0]], [[0, 10], [30, 0]], [[0, 10], [30, 0]]]), None)
@example(np.array([[[9, 20], [30, 20]], [[9, 20], [30, 20]], [[9, 20], [30, 20]]]), None)
def test_no_small_cell_of_a_site_that_shows_follows_from_what_a_member_knows(
    cells: NDArray[np.int64], data: st.DataObject | None
) -> None:
    """The member knows the sums, its own cells, all totals of classes, and that there is a veto."""
    standing = sites_of(cells).standing()
    vetoed = not standing.columns[0]
    assert vetoed == ((cells > 0) & (cells < 10)).any()
    if not vetoed:
        return
    reader = data.draw(st.integers(0, len(cells) - 1)) if data else 0
    others = np.delete(cells, reader, axis=0)
    own_veto = bool(((cells[reader] > 0) & (cells[reader] < 10)).any())
    n_values = cells.shape[1]
    for site, value, group in np.argwhere((others > 0) & (others < 10)).tolist():
        # The hardest case: the reader also knows that nobody has a veto for the other class.
        told = [] if own_veto else [*range(len(others) * n_values)]
        held = others[:, :, group]
        found = [*ranges(held.sum(axis=0), held.sum(axis=1), (site, value), told)]
        low, high = min(one[0] for one in found), max(one[1] for one in found)
        assert high - low > 0.5, (site, value, group)
        crowd_has = min(held[:, value].sum(), held.sum() - held[:, value].sum())
        assert high - low > min(crowd_has, 10) - 2.5, "hardly more than of any sum of a crowd"


def test_who_has_a_veto_would_tell_a_count() -> None:
    """Why nobody is told: if each of two others is known to have one to nine, 18 are nine each."""
    every: list[tuple[int, int | None]] = [(1, 9), (0, None), (1, 9), (0, None)]
    lines = [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]]
    free: list[tuple[int, int | None]] = [(0, None)] * 4
    for bounds, told in ((every, True), (free, False)):
        ends = [
            linprog([sign, 0, 0, 0], A_eq=lines, b_eq=[39, 39, 18, 60], bounds=bounds).x
            for sign in (1, -1)
        ]
        least, most = np.array(ends, np.float64)[:, 0].tolist()
        assert (least == pytest.approx(most)) == told


@given(ENOUGH, st.integers(0, 3))
def test_a_column_is_shown_of_all_or_of_none_and_then_no_cell_is_small(
    cells: NDArray[np.int64], n_silent: int
) -> None:
    sites = sites_of(cells, silent=frozenset(range(n_silent)))
    standing = sites.standing()
    n_showing = len(cells) - n_silent
    allowed = n_showing >= 3 and n_silent in (0, 3)
    assert bool(standing.withheld) != allowed
    shown = allowed and not ((cells[n_silent:] > 0) & (cells[n_silent:] < 10)).any()
    assert standing.columns.tolist() == [shown]
    own, item = sites.columns.own, sites.columns.own.described[0]
    for place, told in enumerate(standing.cells):
        if place < n_silent or not allowed:
            assert not told.any()
        else:
            expected = cells[place] if shown else np.zeros_like(cells[place])
            np.testing.assert_array_equal(own.cells(item, told), expected)
            np.testing.assert_array_equal(
                own.layout.part("records", told), cells[place].sum(axis=0)
            )


@given(st.integers(3, 6), st.integers(0, 6), st.integers(2, 7))
def test_the_silent_are_none_or_a_crowd_and_so_are_those_that_show(
    n_showing: int, n_silent: int, crowd: int
) -> None:
    cells = np.full((n_showing + n_silent, 2, 2), 10, np.int64)
    sites = sites_of(cells, silent=frozenset(range(n_silent)), crowd=crowd)
    standing, needed = sites.standing(), max(crowd, 3)
    assert (not standing.withheld) == (
        n_showing >= needed and (n_silent == 0 or n_silent >= needed)
    )
    assert standing.cells.any() == (not standing.withheld)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(0, 2**32))
def test_the_sum_of_vetoes_tells_whether_there_is_one(vetoes: list[bool], seed: int) -> None:
    columns = three(20).columns
    many = SiteColumns(columns.counts, tuple(f"s{at}" for at in range(len(vetoes))))
    rng = np.random.default_rng(seed)
    tallies = [many.vetoes(np.array([not one]), rng) for one in vetoes]
    pooled = np.stack(tallies).sum(axis=0)
    assert pooled.max() < LARGEST_ENTRY
    rests = many.layout.part("vetoes", pooled) % MODULUS
    assert rests.any() == any(vetoes)


def test_the_sum_of_vetoes_does_not_tell_how_many_there_are() -> None:
    """The rest is uniform with one veto and with four, and so is what is above it."""
    made = three(20).columns
    columns = SiteColumns(made.counts, ("a", "b", "c", "d", "e"))
    rng = np.random.default_rng(7)

    def summed(n_vetoes: int) -> NDArray[np.int64]:
        shown = [np.array([place >= n_vetoes]) for place in range(5)]
        sums = [np.stack([columns.vetoes(one, rng) for one in shown]) for _ in range(1_500)]
        return np.array([columns.layout.part("vetoes", one.sum(axis=0))[0] for one in sums])

    one, four = summed(1), summed(4)
    for low, high in ((one % MODULUS, four % MODULUS), (one // MODULUS, four // MODULUS)):
        edges = np.quantile(low, np.linspace(0, 1, 11)[1:-1])
        counted = np.bincount(np.searchsorted(edges, high), minlength=10)
        assert (np.abs(counted - 150) < 5 * np.sqrt(2 * 150)).all()


def test_who_says_that_it_showed_for_others_or_something_else_ends_it_for_all() -> None:
    fresh = three(20)
    code = fresh.standing().code
    for remembered, withheld in (
        ((0, 0, 0), ""),
        ((code, code, code), ""),
        ((code, 0, 0), ""),
        ((code + 1, 0, 0), "other-before"),
        ((code, code, CHANGED), "other-before"),
    ):
        again = replace(fresh, remembered=remembered)
        assert again.standing().withheld == withheld
        assert again.standing().cells.any() == (not withheld)


@given(st.frozensets(st.integers(0, 6)), st.frozensets(st.integers(0, 6)))
def test_two_descriptions_of_one_charter_tell_no_more_than_one(
    silent: frozenset[int], later: frozenset[int]
) -> None:
    """Adversary: members whose policies change in between; sites remember what they showed."""
    cells = np.full((7, 2, 2), 20, np.int64)
    first = sites_of(cells, silent=silent)
    before = first.standing()
    remembered = [0 if before.withheld or at in silent else before.code for at in range(7)]
    second = replace(first, silent=later, remembered=remembered).standing()
    if not before.withheld and not second.withheld:
        assert silent == later
        np.testing.assert_array_equal(before.cells, second.cells)


@pytest.mark.parametrize("schema", [CLASSES, NUMBERS])
def test_the_pool_is_that_of_a_description_without_columns_of_sites(schema: Schema) -> None:
    parts = [drawn(schema, 300, seed) for seed in range(4)]
    sites = Sites(schema, parts)
    vectors = sites.vectors()
    for vector in vectors[1:]:
        counted = sites.columns.standing(vector).counted
        np.testing.assert_array_equal(
            counted,
            sum(sites.columns.counts.tally(one, sites.statistics) for one in parts),
        )
    stages = [sites.columns.standing(vector).stage for vector in vectors]
    assert stages == [0, 1, 2, 3]
    assert all(later == earlier + 1 for earlier, later in pairwise(stages))
    nothing = np.zeros(sites.columns.layout.size, np.int64)
    np.testing.assert_array_equal(
        sites.learner.move(vectors[-1], sites.statistics, nothing), vectors[-1]
    )


@pytest.mark.parametrize(
    ("done", "part", "at", "wrong"),
    [
        (0, "1/head", 1, 1),  # it says of another one that it shows
        (0, "0/head", 0, 1),
        (2, "0/cells", 0, 1),  # another number of records than it counted
        (2, "1/cells", 2, -15),  # a small cell
    ],
)
def test_what_no_site_can_say_is_refused_in_words(
    done: int, part: str, at: int, wrong: int
) -> None:
    sites = three(20)
    columns, vector = sites.columns, sites.vectors()[done]
    standing = columns.standing(vector)
    says = [sites.third(place, standing) if done else sites.first(place) for place in range(3)]
    pooled = np.stack(says).sum(axis=0)
    columns.move(vector, pooled)
    columns.layout.part(part, pooled)[at] += wrong
    with pytest.raises(ImpossibleTally):
        columns.move(vector, pooled)


def test_figures_where_none_may_be_shown_are_refused() -> None:
    sites = replace(three(20), silent=frozenset({0}))
    vectors, columns = sites.vectors(), sites.columns
    pooled = np.zeros(columns.layout.size, np.int64)
    columns.layout.part("1/cells", pooled)[:] = OwnCells(columns.counts).of(sites.parts[1])
    with pytest.raises(ImpossibleTally, match="no site may show any"):
        columns.move(vectors[2], pooled)


@pytest.mark.parametrize("number", [0.5, -1.0, 2.0**60])
def test_a_state_that_no_run_has_is_refused(number: float) -> None:
    columns = three(20).columns
    vector = np.zeros(2 * columns.state_size)
    vector[3] = number
    with pytest.raises(ImpossibleState):
        columns.standing(vector)
    stage = np.zeros(2 * columns.state_size)
    stage[0] = 4
    with pytest.raises(ImpossibleState):
        columns.standing(stage)


def test_what_a_silent_site_sends_tells_nothing_of_it() -> None:
    sites = replace(three(20), silent=frozenset({0}))
    columns = sites.columns
    assert not columns.tells_of_a_site(sites.first(0))
    for telling in (
        sites.first(1),
        columns.vetoes(np.array([True]), np.random.default_rng(1)),
        columns.shown_tally(1, columns.own.of(sites.parts[1]), np.array([True])),
    ):
        assert columns.tells_of_a_site(telling)
