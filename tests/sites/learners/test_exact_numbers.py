import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sites.learners.exact_numbers import (
    LARGEST_WHOLE,
    ImpossibleState,
    as_float32_pairs,
    from_float32_pairs,
    require_finite,
    whole_numbers,
)


@given(arrays(np.float64, st.integers(0, 20), elements=st.floats(-1e30, 1e30)))
def test_a_number_comes_back_to_48_bits(values: np.ndarray) -> None:
    pairs = as_float32_pairs(values)
    assert (pairs.astype(np.float32).astype(np.float64) == pairs).all(), "a state holds float32"
    back = from_float32_pairs(pairs)
    # a low part below float32's smallest number is lost: 2^-149
    assert (np.abs(back - values) <= np.abs(values) * 2.0**-48 + 2.0**-149).all()


@given(st.lists(st.integers(-(2**48) + 1, 2**48 - 1)))
def test_whole_numbers_below_2_to_the_48_are_exact(values: list[int]) -> None:
    given_values = np.array(values, np.float64)
    assert from_float32_pairs(as_float32_pairs(given_values)).tolist() == given_values.tolist()


@given(st.lists(st.floats(allow_nan=True)))
def test_only_finite_numbers_are_a_state(values: list[float]) -> None:
    vector = np.array(values, np.float64)
    if np.isfinite(vector).all():
        assert require_finite(vector) is vector
        return
    with pytest.raises(ImpossibleState):
        require_finite(vector)


@given(
    st.lists(st.one_of(st.integers(-3, 9).map(float), st.floats(-(2.0**60), 2.0**60))),
    st.integers(-2, 2),
    st.sampled_from([3.0, LARGEST_WHOLE]),
)
def test_whole_numbers_in_range_stay_and_all_others_are_refused(
    values: list[float], low: int, high: float
) -> None:
    vector = np.array(values, np.float64)
    if all(one.is_integer() and low <= one <= high for one in values):
        assert whole_numbers("cuts", vector, low=low, high=high).tolist() == values
        return
    with pytest.raises(ImpossibleState, match="the cuts of a state"):
        whole_numbers("cuts", vector, low=low, high=high)
