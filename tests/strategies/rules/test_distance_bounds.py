from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from privacy.layout import Matrix
from strategies.rules.distance_bounds import bound_distances
from strategies.rules.inputs import NonFiniteUpdate

few = settings(max_examples=60, deadline=None)


def bounds_of(updates: NDArray[Any]) -> tuple[Matrix, Matrix]:
    bounds = bound_distances(updates)
    assert bounds is not None
    return bounds


def exact_distances(updates: NDArray[Any]) -> Matrix:
    full = updates.astype(np.longdouble)
    return np.array([[float(((a - b) ** 2).sum()) for b in full] for a in full])


def clouds(seed: int, n_sites: int, dim: int) -> dict[str, NDArray[np.float32]]:
    """Arrangements in which float32 rounds, or its errors all have one sign."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n_sites, dim))
    together = rng.normal(size=dim) * 1e3 + 1e-2 * noise
    apart = noise.copy()
    apart[: n_sites // 3] *= -1e6
    growing = np.abs(noise) + np.linspace(1, 2, dim)  # whatever is rounded off adds up
    twins = np.repeat(noise, 2, axis=0)[:n_sites]
    mixed = noise * 10.0 ** rng.integers(-30, 12, dim)
    sets = {
        "noise": noise,
        "together": together,
        "apart": apart,
        "growing": growing,
        "twins": twins,
        "mixed": mixed,
        "tiny": noise * 1e-30,
        "smaller than float32's normal range": noise * 1e-39,
        "large": noise * 1e15,
    }
    return {name: values.astype(np.float32) for name, values in sets.items()}


@pytest.mark.parametrize("name", clouds(0, 1, 1))
@few
@given(
    seed=st.integers(0, 10**6),
    n_sites=st.sampled_from([1, 2, 5, 20]),
    dim=st.sampled_from([1, 2, 63, 64, 65, 129, 5_000]),
)
def test_every_distance_lies_between_its_bounds(
    name: str, seed: int, n_sites: int, dim: int
) -> None:
    updates = clouds(seed, n_sites, dim)[name]
    low, high = bounds_of(updates)
    exact = exact_distances(updates)
    assert (low >= 0).all()
    assert (low <= exact).all()
    assert (exact <= high).all()
    assert not low.diagonal().any()
    assert not high.diagonal().any()


def test_the_bounds_hold_over_several_blocks() -> None:
    updates = clouds(1, 6, 70_001)["growing"]
    low, high = bounds_of(updates)
    exact = exact_distances(updates)
    assert ((low <= exact) & (exact <= high)).all()


@pytest.mark.parametrize("n_sites", [6, 20])
def test_distances_like_those_of_honest_sites_are_known_to_four_digits(n_sites: int) -> None:
    """With a common part ten times as long as what sets them apart, too: it is subtracted."""
    rng = np.random.default_rng(3)
    updates = (10 * rng.normal(size=2_000) + rng.normal(size=(n_sites, 2_000))).astype(np.float32)
    low, high = bounds_of(updates)
    pairs = ~np.eye(n_sites, dtype=bool)
    assert (high[pairs] < low[pairs] * (1 + 1e-4)).all()


@pytest.mark.parametrize("dtype", ["f2", "i2", "u1", ">f4"])
def test_any_dtype_that_float32_holds_is_bounded(dtype: str) -> None:
    updates = (100 * np.random.default_rng(4).random((5, 300))).astype(dtype)
    low, high = bounds_of(updates)
    exact = exact_distances(updates)
    assert ((low <= exact) & (exact <= high)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -1e25])
@pytest.mark.parametrize("column", [0, 17, 40_000])
def test_nothing_is_known_of_what_float32_cannot_square(value: float, column: int) -> None:
    """A value that is no number in the first block is refused at once, as by every rule."""
    updates = np.zeros((5, 40_001), np.float32)
    updates[3, column] = value
    try:
        assert bound_distances(updates) is None
    except NonFiniteUpdate:
        assert not np.isfinite(value)
        assert column < 40_000
