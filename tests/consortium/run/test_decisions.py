"""What is said of probabilities and of a threshold follows from the figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.run.decisions import calibration_sentence, one_sided_warning


@given(st.floats(0, 1), st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted))
def test_probabilities_are_called_right_within_chance_and_else_by_their_side(
    predicted: float, interval: list[float]
) -> None:
    low, high = interval
    said = calibration_sentence(predicted, (low + high) / 2, (low, high), class_balance="none")
    assert ("are right within chance" in said) == (low <= predicted <= high)
    assert ("are too low" in said) == (predicted < low)
    assert ("are too high" in said) == (predicted > high)


@pytest.mark.parametrize(
    ("predicted", "observed", "inflated"),
    [(0.5, 0.1, True), (0.05, 0.1, False), (0.5, 0.9, True), (0.95, 0.9, False)],
)
def test_balanced_classes_are_named_where_they_inflate_the_rare_class(
    predicted: float, observed: float, *, inflated: bool
) -> None:
    interval = (observed - 0.01, observed + 0.01)
    said = calibration_sentence(predicted, observed, interval, class_balance="weights")
    assert ("class-balance=weights" in said) == inflated


def test_a_threshold_that_separates_nobody_is_told_with_the_number_of_records() -> None:
    assert "flags none of the 1,200 held-out records" in one_sided_warning("none", 1200)
    assert "flags all of the 1,200 held-out records" in one_sided_warning("all", 1200)
