from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from privacy.layout import Matrix
from strategies.rules.inputs import LARGEST, NonFiniteUpdate
from strategies.rules.pairwise_distances import central_rows, distances_from, measure_distances


def brute_force(updates: NDArray[Any]) -> Matrix:
    full = updates.astype(np.float64)
    return np.array([[((a - b) ** 2).sum() for b in full] for a in full])


def clouds(seed: int, dim: int) -> dict[str, Matrix]:
    """Arrangements in which |a|^2 + |b|^2 - 2ab would lose its digits."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(12, dim))
    far = honest + 1e8
    one_far = honest.copy()
    one_far[0] = 1e30
    half_far = honest.copy()
    half_far[:6] = 1e12 * rng.normal(size=dim) + 1e3 * honest[:6]
    twins = honest.copy()
    twins[1::2] = twins[::2] + 1e-9 * honest[1::2]
    hidden = honest.copy()
    hidden[0, ::16] = np.median(honest[:, ::16], axis=0)  # the sample takes it for the middle
    hidden[0, 1::16] = 1e25
    nested = honest[:1] + honest * 10.0 ** -np.arange(12)[:, np.newaxis]
    return {
        "honest": honest,
        "far-from-zero": far,
        "one-far": one_far,
        "half-far": half_far,
        "twins": twins,
        "hidden": hidden,
        "nested": nested,
    }


@pytest.mark.parametrize("name", clouds(0, 2))
@pytest.mark.parametrize("dim", [3, 50, 20_000])
def test_distances_are_those_of_brute_force_to_ten_digits(name: str, dim: int) -> None:
    updates = clouds(7, dim)[name]
    np.testing.assert_allclose(measure_distances(updates).squared, brute_force(updates), rtol=1e-10)


def test_float32_updates_are_measured_in_float64() -> None:
    updates = clouds(8, 5000)["far-from-zero"].astype(np.float32)
    np.testing.assert_allclose(measure_distances(updates).squared, brute_force(updates), rtol=1e-10)


def test_duplicates_are_at_distance_zero_exactly() -> None:
    updates = np.random.default_rng(9).normal(size=(6, 100)) * 1e6
    updates[3:] = updates[:3]
    squared = measure_distances(updates).squared
    assert np.array_equal(squared[:3, 3:].diagonal(), np.zeros(3))
    assert np.array_equal(squared, squared.T)


@pytest.mark.parametrize("n_sites", [1, 2])
def test_few_sites_and_equal_ones_have_distances(n_sites: int) -> None:
    assert (
        measure_distances(np.ones((n_sites, 4))).squared.tolist()
        == np.zeros((n_sites, n_sites)).tolist()
    )


def test_products_are_those_of_differences_from_the_centre() -> None:
    updates = np.random.default_rng(10).normal(size=(7, 300))
    geometry = measure_distances(updates)
    centred = updates - updates[geometry.centre]
    np.testing.assert_allclose(geometry.products, centred @ centred.T, atol=1e-10)


def test_the_centre_is_not_the_liar() -> None:
    updates = np.random.default_rng(11).normal(size=(7, 300))
    updates[2] *= 1e9
    assert measure_distances(updates).centre != 2


@pytest.mark.parametrize("name", clouds(0, 2))
@pytest.mark.parametrize("dim", [3, 20_000])
def test_distances_from_some_rows_are_those_of_brute_force_to_ten_digits(
    name: str, dim: int
) -> None:
    updates = clouds(12, dim)[name]
    rows = [7, 0, 3]
    np.testing.assert_allclose(
        distances_from(updates, rows), brute_force(updates)[rows], rtol=1e-10
    )


def test_the_most_central_rows_are_those_nearest_to_the_median() -> None:
    updates = np.array([0.0, 5.0, 1.0, -1.5, 90.0])[:, np.newaxis] * np.ones(40)
    assert central_rows(updates, 3).tolist() == [2, 0, 3]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_float32_value_that_is_no_number_shows_in_the_squares(value: float) -> None:
    updates = np.ones((5, 40_000), np.float32)
    updates[3, -1] = value
    with pytest.raises(NonFiniteUpdate, match=r"rows \[3\]"):
        measure_distances(updates)


def test_the_largest_float32_values_have_distances() -> None:
    updates = np.full((3, 40_000), LARGEST, np.float32)
    updates[1] *= -1
    np.testing.assert_allclose(measure_distances(updates).squared, brute_force(updates), rtol=1e-10)
