import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from privacy.layout import Matrix, Vector
from strategies.rules.geometric_median import geometric_median

few = settings(max_examples=30)


def objective(point: Vector, updates: Matrix, weights: Vector) -> float:
    return float(weights @ np.linalg.norm(updates - point, axis=1))


@few
@given(seed=st.integers(0, 9999), n_sites=st.integers(1, 12), dim=st.integers(1, 6))
def test_the_oracle_is_scipy(seed: int, n_sites: int, dim: int) -> None:
    """No minimiser finds a point with less weighted distance, to nine digits."""
    rng = np.random.default_rng(seed)
    updates, weights = rng.standard_t(2, (n_sites, dim)), rng.uniform(0.2, 3, n_sites)
    result = geometric_median(updates, weights)
    starts = [np.median(updates, axis=0), updates.mean(axis=0), result, *updates]
    best = min(
        minimize(objective, start, (updates, weights), method="Nelder-Mead").fun
        for start in starts[:4]
    )
    best = min(best, *(objective(start, updates, weights) for start in starts))
    assert objective(result, updates, weights) <= best * (1 + 1e-9)


@few
@given(seed=st.integers(0, 9999), n_sites=st.integers(3, 30), dim=st.sampled_from([2, 5, 200]))
def test_no_direction_leads_down(seed: int, n_sites: int, dim: int) -> None:
    """First-order optimality: the pulls balance, or one update outweighs all pulls on it."""
    rng = np.random.default_rng(seed)
    updates, weights = rng.normal(size=(n_sites, dim)), rng.uniform(0.2, 3, n_sites)
    result = geometric_median(updates, weights)
    gaps = updates - result
    distances = np.linalg.norm(gaps, axis=1)
    there = distances < 1e-6
    pull = (gaps[~there].T / distances[~there]) @ weights[~there]
    assert np.linalg.norm(pull) <= weights[there].sum() + 1e-4 * weights.sum()


def test_a_triangle() -> None:
    """Fermat's point of an equilateral triangle is its centre."""
    angles = 2 * np.pi * np.arange(3) / 3
    updates = 5 + np.column_stack([np.cos(angles), np.sin(angles)])
    np.testing.assert_allclose(geometric_median(updates, np.ones(3)), [5.0, 5.0], atol=1e-9)


def test_a_wide_angle_takes_the_corner_exactly() -> None:
    """When one angle is 120 degrees or more, the median is that corner."""
    updates = np.array([[0.0, 0.0], [1.0, 0.1], [-1.0, 0.1]])
    assert geometric_median(updates, np.ones(3)).tolist() == [0.0, 0.0]


def test_the_majority_in_one_point_wins_exactly() -> None:
    updates = np.array([[1.0, 2.0]] * 3 + [[1e30, -1e30]] * 2)
    assert geometric_median(updates, np.ones(5), num_byzantine=2).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("distance", [1e9, 1e20, 1e37])
@pytest.mark.parametrize(("n_sites", "liars"), [(9, 4), (9, 1), (95, 47)])
def test_how_far_away_liars_are_does_not_matter(distance: float, n_sites: int, liars: int) -> None:
    """Only their direction matters, and no digits are lost."""
    rng = np.random.default_rng(3)
    near = rng.normal(size=(n_sites, 40))
    far, direction = near.copy(), rng.normal(size=40) / np.sqrt(40)
    near[:liars], far[:liars] = 1e7 * direction, distance * direction
    results = [
        geometric_median(rows, np.ones(n_sites), num_byzantine=liars) for rows in (near, far)
    ]
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)


def test_liars_may_be_many_if_they_weigh_little() -> None:
    updates = np.random.default_rng(6).normal(size=(9, 40))
    updates[:6] = 1e30
    weights = np.array([1.0] * 6 + [8.0] * 3)
    assert np.abs(geometric_median(updates, weights)).max() < 5


def test_a_liar_that_hides_in_the_middle_of_a_sample_costs_no_digits() -> None:
    rng = np.random.default_rng(4)
    updates = rng.normal(size=(7, 160))
    hidden = updates.copy()
    hidden[0, ::16] = np.median(updates[:, ::16], axis=0)
    hidden[0, 1::16] = 1e25
    result = geometric_median(hidden, np.ones(7), num_byzantine=1)
    gaps = (hidden - result)[1:]
    pull = (gaps / np.linalg.norm(gaps, axis=1, keepdims=True)).sum(axis=0)
    pull += hidden[0] / np.linalg.norm(hidden[0])  # so far away that the result is as zero
    assert np.linalg.norm(pull) < 1e-6


def test_a_weight_is_worth_as_many_sites() -> None:
    rng = np.random.default_rng(5)
    updates = rng.normal(size=(4, 6))
    weighted = geometric_median(updates, np.array([1.0, 2.0, 4.0, 1.0]))
    repeated = geometric_median(np.repeat(updates, [1, 2, 4, 1], axis=0), np.ones(8))
    np.testing.assert_allclose(weighted, repeated, atol=1e-7)


def test_two_sites_meet_halfway() -> None:
    """Every point between them is a median; which one must not depend on their order."""
    for rows in ([[0.0], [1.0]], [[1.0], [0.0]]):
        assert geometric_median(np.array(rows), np.ones(2))[0] == pytest.approx(0.5)
