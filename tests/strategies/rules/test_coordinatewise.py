from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.layout import Matrix, Vector
from strategies.rules.coordinatewise import coordinate_median, trimmed_mean


def updates_of(seed: int, n_sites: int, dim: int = 33) -> Matrix:
    return np.random.default_rng(seed).standard_cauchy((n_sites, dim))


@given(seed=st.integers(0, 999), n_sites=st.integers(1, 40))
def test_the_oracle_of_the_median_is_numpys(seed: int, n_sites: int) -> None:
    updates = updates_of(seed, n_sites)
    result = coordinate_median(updates, np.ones(n_sites))
    np.testing.assert_allclose(result, np.median(updates, axis=0), rtol=1e-15)


@given(seed=st.integers(0, 999), num_byzantine=st.integers(0, 9), more=st.integers(1, 9))
def test_the_oracle_of_the_trimmed_mean_is_the_formula(
    seed: int, num_byzantine: int, more: int
) -> None:
    n_sites = 2 * num_byzantine + more
    updates = updates_of(seed, n_sites)
    kept = np.sort(updates, axis=0)[num_byzantine : n_sites - num_byzantine]
    result = trimmed_mean(updates, np.ones(n_sites), num_byzantine=num_byzantine)
    np.testing.assert_allclose(result, kept.mean(axis=0), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("rule", [coordinate_median, trimmed_mean])
@settings(max_examples=60)
@given(
    seed=st.integers(0, 999),
    num_byzantine=st.integers(1, 4),
    more=st.integers(1, 4),
    data=st.data(),
)
def test_liars_cannot_leave_the_honest_range(
    rule: Callable[..., Vector], seed: int, num_byzantine: int, more: int, data: st.DataObject
) -> None:
    """To the last bit, whatever they send: no tolerance."""
    n_sites = 2 * num_byzantine + more
    updates = updates_of(seed, n_sites, 5).astype(np.float32)
    lies = st.lists(
        st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=5, max_size=5
    )
    for row in range(num_byzantine):
        updates[row] = data.draw(lies)
    honest = updates[num_byzantine:].astype(np.float64)
    result = rule(updates, np.ones(n_sites), num_byzantine=num_byzantine)
    assert np.all(honest.min(axis=0) <= result)
    assert np.all(result <= honest.max(axis=0))


@pytest.mark.parametrize("rule", [coordinate_median, trimmed_mean])
def test_the_order_of_sites_does_not_matter_to_the_last_bit(rule: Callable[..., Vector]) -> None:
    updates = updates_of(1, 11, 1000)
    order = np.random.default_rng(2).permutation(11)
    results = [rule(rows, np.ones(11), num_byzantine=2) for rows in (updates, updates[order])]
    assert results[0].tobytes() == results[1].tobytes()


@pytest.mark.parametrize("rule", [coordinate_median, trimmed_mean])
def test_there_is_one_zero(rule: Callable[..., Vector]) -> None:
    """CPUs differ in which of -0.0 and 0.0 is the smaller."""
    for zeros in ([-0.0, 0.0, -0.0], [0.0, -0.0, -0.0], [-0.0, -0.0, -0.0]):
        result = rule(np.array([zeros]).T, np.ones(3), num_byzantine=1)
        assert not np.signbit(result).any()


def test_every_site_counts_once_cut_off_or_not() -> None:
    """FedTrimmedAvg with its default share and 4 sites trims nothing."""
    updates = np.array([[1.0], [2.0], [3.0], [1e6]])
    assert trimmed_mean(updates, np.ones(4), num_byzantine=1).tolist() == [2.5]
