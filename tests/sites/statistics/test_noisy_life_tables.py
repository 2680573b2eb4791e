"""Curves from noisy counts are curves, and say how far they can be believed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.statistics.life_tables import LifeTable
from sites.statistics.noisy_life_tables import NoisyLifeTable

GRID = tuple(float(step) for step in range(1, 13))


def exact(seed: int, n: int) -> LifeTable:
    rng = np.random.default_rng(seed)
    return LifeTable.of(rng.exponential(8.0, n), rng.random(n) < 0.7, GRID)


def noisy(table: LifeTable, deviation: float, seed: int) -> NoisyLifeTable:
    rng = np.random.default_rng(seed)

    def drawn(counts: np.ndarray) -> np.ndarray:
        return counts + np.rint(rng.normal(scale=deviation, size=counts.shape)).astype(np.int64)

    by_class = drawn(np.array([table.events.sum(), table.withdrawn.sum()]))
    return NoisyLifeTable(
        drawn(table.events),
        drawn(table.withdrawn),
        records=int(by_class.sum()),
        spread=2,
        deviation=deviation,
    )


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 2000),
    deviation=st.sampled_from([0.5, 5.0, 50.0, 1e6]),
)
def test_a_curve_only_falls_and_is_a_share_whatever_the_noise(
    seed: int, n: int, deviation: float
) -> None:
    found = noisy(exact(seed, n), deviation, seed)
    low, high = found.interval()
    for curve in (found.survival, low, high):
        assert ((curve >= 0) & (curve <= 1)).all()
    assert (np.diff(np.append(1.0, found.survival)) <= 1e-12).all()
    assert (low <= found.survival + 1e-12).all()
    assert (found.survival <= high + 1e-12).all()
    mean = found.restricted_mean(GRID, 6)
    assert (mean is None) == (found.n_known < 6)
    assert mean is None or (0 <= mean[0] <= 6 and mean[1] >= 0)


@given(seed=st.integers(0, 10_000))
def test_with_hardly_any_noise_the_curve_is_that_of_kaplan_and_meier(seed: int) -> None:
    table = exact(seed, 500)
    found = NoisyLifeTable(table.events, table.withdrawn, 500, 2, deviation=1e-6)
    np.testing.assert_allclose(found.at_risk, table.at_risk, atol=1e-6)
    known = found.n_known
    assert known > 6
    np.testing.assert_allclose(found.survival[:known], table.survival[:known], atol=1e-9)
    reach = np.exp(1.96 * np.sqrt(table.variance[:known]))
    np.testing.assert_allclose(found.interval()[0][:known], table.survival[:known] / reach, 1e-3)
    assert found.median(GRID) == table.median(GRID)
    assert found.restricted_mean(GRID, 6) == pytest.approx(table.restricted_mean(GRID, 6), abs=1e-3)


def test_the_noise_of_numbers_at_risk_is_as_stated() -> None:
    table = exact(1, 1000)
    drawn = [noisy(table, 20.0, seed) for seed in range(1500)]
    apart = np.array([one.at_risk - table.at_risk for one in drawn])
    np.testing.assert_allclose(apart.std(axis=0), drawn[0].at_risk_deviations, rtol=0.08)
    assert apart.std(axis=0)[0] < 30  # of 25 counts it would be 100


def test_intervals_hold_the_exact_curve_as_often_as_they_say() -> None:
    """Of the true curve, of which records are drawn anew, with noise beside chance."""
    truth = np.exp(-np.array(GRID) / 8.0)
    held = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        died = rng.exponential(8.0, 1500)
        left = np.ceil(rng.exponential(20.0, 1500))  # at declared times, so that no curve is off
        table = LifeTable.of(np.minimum(died, left), died <= left, GRID)
        found = noisy(table, 8.0, seed)
        low, high = found.interval()
        place = 3
        assert found.n_known > place
        held.append(bool(low[place] <= truth[place] <= high[place]))
    assert np.mean(held) > 0.93


def test_where_noise_drowns_those_who_are_watched_nothing_is_known() -> None:
    found = noisy(exact(1, 50), 100.0, 3)
    assert found.n_known == 0
    assert (found.survival == 1).all()
    assert found.median(GRID) is None
    assert found.restricted_mean(GRID, 6) is None
    low, _ = found.interval()
    assert not low.any()
