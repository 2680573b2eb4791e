"""Laws of the agreed scale of a number, in `sites.statistics.tables`."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.schema.tables import Number
from sites.statistics.tables import OutOfBounds, scale_values, unscale_values

AGE = Number(name="age", low=0, high=120, missing=True)
DEBT = Number(name="debt", low=-1e6, high=1e6, scale="log")
ranged = st.builds(
    lambda low, width, scale: Number(name="x", low=low, high=low + width, scale=scale),
    st.floats(-1e9, 1e9),
    st.floats(1e2, 1e9),
    st.sampled_from(["linear", "log"]),
)
shares = st.floats(0, 1)


@given(ranged, shares, shares)
def test_the_scale_keeps_order_and_runs_from_0_to_1(
    number: Number, one: float, other: float
) -> None:
    values = number.low + np.array([one, other]) * (number.high - number.low)
    values = np.sort(np.clip(values, number.low, number.high))

    scaled = scale_values(number, values)

    assert 0 <= scaled[0] <= scaled[1] + 1e-15 <= 1 + 1e-15
    assert scale_values(number, np.array([number.low, number.high])).tolist() == [0.0, 1.0]


@given(ranged, shares)
def test_values_come_back_from_the_scale(number: Number, share: float) -> None:
    width = number.high - number.low
    value = min(number.low + share * width, number.high)

    back = unscale_values(number, scale_values(number, np.array([value])))

    # 1e-15 of the logarithm's range, as seen from the value.
    assert back[0] == pytest.approx(value, abs=1e-12 * (1 + abs(value)) + 1e-12 * width)


@given(ranged, st.floats(-1e300, 1e300))
def test_unscaled_predictions_never_leave_the_declared_bounds(number: Number, x: float) -> None:
    restored = unscale_values(number, np.array([x]))[0]

    assert number.low <= restored <= number.high
    if x <= 0 and number.scale == "linear":
        assert restored == number.low


def test_the_log_scale_compresses_both_signs() -> None:
    values = np.array([-1e6, -(math.e - 1), 0.0, math.e - 1, 1e6])

    scaled = scale_values(DEBT, values)

    step = 1 / math.log1p(1e6) / 2
    np.testing.assert_allclose(scaled, [0, 0.5 - step, 0.5, 0.5 + step, 1], atol=1e-15)


def test_missing_values_stay_missing_on_the_scale() -> None:
    np.testing.assert_array_equal(scale_values(AGE, np.array([math.nan, 60.0])), [math.nan, 0.5])


@pytest.mark.parametrize("value", [-0.1, 120.1, math.inf, -math.inf])
def test_values_out_of_bounds_are_refused_never_clipped(value: float) -> None:
    with pytest.raises(OutOfBounds, match=r"age must be between 0\.0 and 120\.0"):
        scale_values(AGE, np.array([60.0, value]))
