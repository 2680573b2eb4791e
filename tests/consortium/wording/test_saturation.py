"""Who reads of values that were cut off learns how many, where, and what to set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.wording.saturation import saturation_warning


def test_nothing_is_said_of_none() -> None:
    assert saturation_warning({}, first_scale=1.0) == ""


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({1: 1}, "1\N{NO-BREAK SPACE}value of the sites' updates was"),
        ({1: 3, 2: 4}, "7\N{NO-BREAK SPACE}values of the sites' updates were"),
    ],
)
def test_the_number_is_that_of_all_rounds(values: dict[int, int], told: str) -> None:
    assert saturation_warning(values, first_scale=1.0).startswith(told)


@given(rounds=st.sets(st.integers(1, 10**5), min_size=1, max_size=8))
def test_few_rounds_are_named(rounds: set[int]) -> None:
    said = saturation_warning(dict.fromkeys(rounds, 2), first_scale=1.0)
    assert f"{', '.join(str(one) for one in sorted(rounds))}. The model" in said


def test_of_many_rounds_the_number_is_named() -> None:
    said = saturation_warning(dict.fromkeys(range(3, 90), 1), first_scale=1.0)
    assert "in 87 rounds from 3 to 89." in said


def test_a_first_round_that_is_cut_off_needs_a_larger_first_scale() -> None:
    """The scales after it are too small for the same reason."""
    said = saturation_warning({1: 5, 2: 1}, first_scale=0.25)
    assert "Set first-scale higher, to 4 say" in said
    assert "learning-rate" not in said


@pytest.mark.parametrize("uncounted", [0, 2])
def test_rounds_that_did_not_count_are_told_of(uncounted: int) -> None:
    said = saturation_warning({1: 5}, first_scale=1.0, uncounted=uncounted)
    assert ("other rounds counted no such values: there may be more." in said) == bool(uncounted)


@pytest.mark.parametrize("liars", [0, 2])
def test_where_liars_are_expected_the_values_may_be_theirs(liars: int) -> None:
    said = saturation_warning({4: 5}, first_scale=1.0, liars=liars)
    assert ("sites that lie" in said) == (liars > 0)


def test_later_rounds_that_are_cut_off_do_not() -> None:
    said = saturation_warning({4: 5}, first_scale=0.25)
    assert "first-scale" not in said
    assert "Set" not in said
    assert "scale-rule=following" in said
    assert "learning-rate" in said
