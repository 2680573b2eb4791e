"""Life tables against textbook formulas, a product limit by hand, and statsmodels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from sites.statistics.life_tables import LifeTable, exposures, log_rank, steps_of

GRID = (1.0, 2.0, 3.5, 5.0)
records = st.lists(st.tuples(st.floats(0, 6), st.booleans(), st.integers(0, 2)), max_size=40)


def parts_of(rows: list[tuple[float, bool, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    times = np.array([row[0] for row in rows], np.float64)
    return times, np.array([row[1] for row in rows], bool), np.array([row[2] for row in rows], int)


@given(records)
def test_the_tables_of_sites_add_up_to_the_table_of_all(
    rows: list[tuple[float, bool, int]],
) -> None:
    times, events, sites = parts_of(rows)
    whole = LifeTable.of(times, events, GRID)
    parts = [LifeTable.of(times[sites == s], events[sites == s], GRID) for s in range(3)]
    assert_array_equal(sum(one.events for one in parts), whole.events)
    assert_array_equal(sum(one.withdrawn for one in parts), whole.withdrawn)
    assert whole.events.sum() + whole.withdrawn.sum() == len(times)


@given(records)
def test_the_curve_is_that_of_times_rounded_up_to_the_grid(
    rows: list[tuple[float, bool, int]],
) -> None:
    times, events, _ = parts_of(rows)
    table = LifeTable.of(times, events, GRID)
    left = 1.0
    for step, end in enumerate(GRID):
        start = GRID[step - 1] if step else -1.0
        at_risk = (times > start).sum() if step else len(times)
        died = (events & (times <= end) & (times > start)).sum()
        left *= 1 - died / max(at_risk, 1)
        assert table.at_risk[step] == at_risk
        assert_allclose(table.survival[step], left)
    low, high = table.interval()
    assert ((low >= 0) & (low <= table.survival + 1e-12)).all()
    assert ((high <= 1) & (high >= table.survival - 1e-12)).all()


def test_curve_errors_and_test_are_those_of_statsmodels() -> None:
    rng = np.random.default_rng(4)
    times = rng.choice(np.array(GRID), 200)
    events, group = rng.random(200) < 0.6, rng.integers(0, 3, 200)
    table, oracle = LifeTable.of(times, events, GRID), SurvfuncRight(times, events.astype(int))
    assert_allclose(table.survival, oracle.surv_prob)
    finite = np.isfinite(table.variance)
    assert_allclose((table.survival * np.sqrt(table.variance))[finite], oracle.surv_prob_se[finite])
    chi_square, _ = survdiff(times, events.astype(int), group)
    found = log_rank([LifeTable.of(times[group == g], events[group == g], GRID) for g in range(3)])
    assert_allclose(found.chi_square, chi_square)
    assert found.degrees == 2
    assert sum(found.observed) == events.sum()
    assert_allclose(sum(found.expected), events.sum())


def test_the_restricted_mean_is_the_area_under_the_curve() -> None:
    """Of 4 records, one has the event in each of the first two steps."""
    table = LifeTable(np.array([1, 1, 0, 0]), np.array([0, 0, 0, 0, 2]))
    mean, error = table.restricted_mean(GRID, 3)
    assert mean == pytest.approx(1 * 1.0 + 1 * 0.75 + 1.5 * 0.5)
    # Greenwood by hand: areas after each step, squared, times d / (n (n - d)).
    assert error**2 == pytest.approx((0.75 + 0.75) ** 2 / (4 * 3) + 0.75**2 / (3 * 2))
    assert table.median(GRID) == 2.0
    assert LifeTable(np.array([1]), np.array([0, 3])).median((1.0,)) is None


@given(st.integers(1, 40), st.integers(1, 3))
def test_a_curve_at_exactly_one_half_has_its_median_there(half: int, copies: int) -> None:
    """One event a step, nobody withdrawn: rounding of the curve chooses another step for some."""
    times = np.repeat(np.arange(1.0, 2 * half + 1), copies)
    grid = tuple(np.arange(1.0, 2 * half + 1).tolist())
    assert LifeTable.of(times, np.ones(len(times), bool), grid).median(grid) == half


@pytest.mark.parametrize("n", [0, 3])
def test_without_events_the_curve_stays_up_and_nothing_is_compared(n: int) -> None:
    table = LifeTable(np.zeros(4, np.int64), np.array([0, 0, 0, 0, n]))
    assert table.survival.tolist() == [1.0] * 4
    assert [one.tolist() for one in table.interval()] == [[1.0] * 4, [1.0] * 4]
    assert table.restricted_mean(GRID, 4) == (5.0, 0.0)
    assert log_rank([table, table]).degrees == 0
    assert log_rank([table, table]).chi_square == 0.0


@given(st.lists(st.floats(0, 9), max_size=9))
def test_a_record_is_watched_in_all_steps_together_until_its_end(times: list[float]) -> None:
    watched = exposures(np.array(times, np.float64), GRID)
    assert_allclose(watched.sum(axis=1), np.minimum(times, GRID[-1]))
    assert (watched >= 0).all()


def test_a_step_holds_its_end() -> None:
    assert steps_of(np.array([0.0, 1.0, 1.1, 5.0, 5.1]), GRID).tolist() == [0, 0, 1, 3, 4]
