"""Numbers that only rise are the nearest ones."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

from sites.statistics.monotone import rising


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.integers(0, 1000))
def test_they_are_those_of_isotonic_regression(values: list[float], seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.1, 9, len(values))
    found = rising(np.array(values), weights)
    assert (np.diff(found) >= -1e-9).all()
    wanted = isotonic_regression(values, sample_weight=weights)
    np.testing.assert_allclose(found, wanted, atol=1e-8)
