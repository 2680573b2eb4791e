import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sites.comparison.categories import compare_codes, compare_missing, compare_values
from sites.schema.tables import Category

GRADES = Category(name="grade", values=("a", "b", "c", "d"))
SEX = Category(name="sex", values=("female", "male"))
OTHERS = np.array([700, 200, 80, 20])


def test_shifted_codes_are_told() -> None:
    found = compare_codes(GRADES, np.roll(OTHERS, 1), OTHERS)
    assert found is not None
    assert (found.kind, found.what, found.alarming) == ("codes", "shifted by 1", True)


def test_codes_turned_round_are_told() -> None:
    found = compare_codes(GRADES, OTHERS[::-1], OTHERS)
    assert found is not None
    assert found.what == "turned round"


def test_exchanged_values_are_told_where_one_is_rare() -> None:
    found = compare_codes(SEX, np.array([10, 190]), np.array([1900, 100]))
    assert found is not None
    assert found.what == "exchanged"


def test_another_clientele_is_no_mistake() -> None:
    assert compare_codes(SEX, np.array([3, 97]), np.array([320, 680])) is None


@given(st.lists(st.integers(0, 7), min_size=4, max_size=4))
def test_few_records_say_nothing_of_codes(own: list[int]) -> None:
    few = np.array(own)
    if few.sum() < 8:
        assert compare_codes(GRADES, few, OTHERS) is None


def test_a_value_that_nobody_else_has_is_told_and_holds_nobody() -> None:
    found = compare_values(GRADES, np.array([1, 1, 1, 1]), np.array([700, 200, 80, 0]))
    assert found is not None
    assert not found.alarming
    assert found.sentence == "nobody else has 'd' in grade"
    assert compare_values(GRADES, np.array([1, 1, 1, 0]), OTHERS) is None
    assert compare_values(GRADES, np.array([1, 1, 1, 1]), np.array([7, 2, 8, 0])) is None


def test_missing_values_that_stand_out_are_told_and_hold_nobody() -> None:
    found = compare_missing("age", np.array([90, 10]), np.array([100, 900]))
    assert found is not None
    assert not found.alarming
    assert found.sentence == "age is missing in 90 % of the records, elsewhere in 10 %"
    less = compare_missing("age", np.array([0, 100]), np.array([500, 500]))
    assert less is not None
    assert less.what == "less"
    assert compare_missing("age", np.array([20, 80]), np.array([100, 900])) is None
    assert compare_missing("age", np.array([4, 0]), np.array([0, 900])) is None
