import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sites.learners.exact_numbers import as_float32_pairs, from_float32_pairs


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
