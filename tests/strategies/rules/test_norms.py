import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.rules.inputs import NonFiniteUpdate
from strategies.rules.norms import LANES, Scaled, clip_scales, row_norms


@pytest.mark.parametrize("dim", [1, 2, 3, 100, LANES - 1, LANES, LANES + 1, 3 * LANES + 17])
@pytest.mark.parametrize("centred", [False, True])
def test_the_oracle_is_exact_arithmetic(dim: int, centred: bool) -> None:
    rng = np.random.default_rng(dim)
    updates, centre = rng.normal(size=(2, dim)), rng.normal(size=dim)
    norms = row_norms(updates, centre if centred else None)
    for row, norm in zip(updates - centre if centred else updates, norms, strict=True):
        exact = math.sqrt(sum(Fraction(value) ** 2 for value in row.tolist()))
        assert norm == pytest.approx(exact, rel=1e-14)


@given(seed=st.integers(0, 99), n_sites=st.integers(1, 5), dim=st.integers(1, 50))
def test_a_norm_has_the_same_bits_alone_and_among_others(seed: int, n_sites: int, dim: int) -> None:
    updates = np.random.default_rng(seed).normal(size=(n_sites, dim)).astype(np.float32)
    together = row_norms(updates)
    assert [row_norms(updates[i : i + 1])[0] for i in range(n_sites)] == together.tolist()


def test_a_norm_of_what_is_no_number_is_refused() -> None:
    with pytest.raises(NonFiniteUpdate):
        row_norms(np.array([[1.0, np.nan]]))


@settings(max_examples=60)
@given(
    rows=st.lists(st.lists(st.floats(-1e30, 1e30), min_size=3, max_size=3), min_size=1, max_size=4),
    clip_norm=st.floats(1e-3, 1e3),
)
def test_clipping_bounds_the_norm_and_keeps_the_direction(
    rows: list[list[float]], clip_norm: float
) -> None:
    updates = np.array(rows)
    norms = row_norms(updates)
    clipped = Scaled(updates, clip_scales(norms, clip_norm))[:, :]
    assert np.all(row_norms(clipped) <= clip_norm * (1 + 1e-14))
    within = norms <= clip_norm
    assert np.array_equal(clipped[within], updates[within])
    assert np.all(clipped * updates >= 0)


def test_a_zero_update_stays_zero() -> None:
    """Flower divides by the norm and fails."""
    assert clip_scales(np.zeros(2), 1.0).tolist() == [1.0, 1.0]


def test_scaled_rows_are_read_like_an_array() -> None:
    updates = np.arange(12, dtype=np.float32).reshape(3, 4)
    scales = np.array([1.0, 0.5, 0.1])
    lazy, full = Scaled(updates, scales), updates.astype(np.float64) * scales[:, np.newaxis]
    assert lazy.shape == full.shape
    assert lazy.dtype == full.dtype
    assert np.array_equal(lazy[1:3, 1:3], full[1:3, 1:3])
