import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from privacy.errors import number_of
from sites.data.holdout import HELD_OUT_SHARE, KeyedSides, Mask, PersonOnBothSides, PersonRecords

RECORDS = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 3)), min_size=1, max_size=60)
KEYS = st.binary(min_size=32, max_size=32)
MANY = 20_000
DRAWN = [2, 5, 8, 12, 15]
DIGEST = "43c6636978ddd6c92d28e2ff570b77ee"


def of(
    persons: NDArray[np.str_], strata: NDArray[np.int64] | None = None, given: Mask | None = None
) -> PersonRecords:
    return PersonRecords(
        persons=persons,
        places=np.arange(2, len(persons) + 2),
        strata=np.zeros(len(persons), np.int64) if strata is None else strata,
        given=given,
    )


def split_up(records: list[tuple[int, int]]) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    persons = np.array([f"p{person}" for person, _ in records])
    return persons, np.array([code for _, code in records], np.int64)


@given(records=RECORDS, key=KEYS)
def test_no_person_is_on_both_sides(records: list[tuple[int, int]], key: bytes) -> None:
    persons, strata = split_up(records)
    held_out = KeyedSides(key).held_out(of(persons, strata))
    assert not set(persons[held_out]) & set(persons[~held_out])


@given(records=RECORDS, key=KEYS, others=RECORDS)
def test_a_persons_side_is_that_of_the_person_alone(
    records: list[tuple[int, int]], key: bytes, others: list[tuple[int, int]]
) -> None:
    """Neither labels, nor other persons, nor the order of records have a say."""
    persons, strata = split_up(records)
    together, other_strata = split_up(others + records)
    whole = KeyedSides(key).held_out(of(together, other_strata))[len(others) :]
    np.testing.assert_array_equal(KeyedSides(key).held_out(of(persons, strata)), whole)


@pytest.mark.parametrize("number", range(3))
def test_everybody_has_the_same_chance(number: int) -> None:
    """Within five standard deviations of a fifth."""
    persons = np.array([str(one) for one in range(MANY)])
    share = KeyedSides(bytes([number]) * 32).held_out(of(persons)).mean()
    deviation = np.sqrt(HELD_OUT_SHARE * (1 - HELD_OUT_SHARE) / MANY)
    assert abs(share - HELD_OUT_SHARE) < 5 * deviation


def test_another_secret_holds_out_other_persons() -> None:
    persons = np.array([str(one) for one in range(100)])
    draws = {KeyedSides(bytes([key]) * 32).held_out(of(persons)).tobytes() for key in range(10)}
    assert len(draws) == 10


def test_the_rule_is_the_same_on_every_machine_and_for_ever() -> None:
    persons = np.array([f"p{one}" for one in range(20)])
    rule = KeyedSides(bytes(range(32)))
    assert np.flatnonzero(rule.held_out(of(persons))).tolist() == DRAWN
    assert rule.digest("p0").hex() == DIGEST


@given(records=RECORDS, sides=st.lists(st.booleans(), min_size=60, max_size=60), key=KEYS)
def test_a_given_split_is_kept_if_and_only_if_nobody_is_on_both_sides(
    records: list[tuple[int, int]], sides: list[bool], key: bytes
) -> None:
    persons, _ = split_up(records)
    said = np.array(sides[: len(persons)])
    both = set(persons[said]) & set(persons[~said])
    asked = of(persons, given=said)
    if not both:
        np.testing.assert_array_equal(KeyedSides(key).held_out(asked), said)
        return
    with pytest.raises(PersonOnBothSides, match=number_of(len(both), "person")) as refusal:
        KeyedSides(key).held_out(asked)
    assert refusal.value.counts == {"persons": len(both)}
    first = np.flatnonzero(np.isin(persons, list(both)))[0] + 2
    assert f"rows {first}" in str(refusal.value)
