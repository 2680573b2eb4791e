import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sites.data.holdout import PersonOnBothSides, given_hold_out, hold_out

RECORDS = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 3)), min_size=1, max_size=60)


def split_up(records: list[tuple[int, int]]) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    persons = np.array([f"p{person}" for person, _ in records])
    return persons, np.array([code for _, code in records], np.int64)


@given(records=RECORDS, seed=st.integers(0, 2**32))
def test_no_person_is_on_both_sides(records: list[tuple[int, int]], seed: int) -> None:
    persons, classes = split_up(records)
    held_out = hold_out(persons, classes, seed=seed, share=0.5)
    assert not set(persons[held_out]) & set(persons[~held_out])


@given(records=RECORDS, seed=st.integers(0, 2**32))
def test_the_order_of_records_does_not_matter(records: list[tuple[int, int]], seed: int) -> None:
    persons, classes = split_up(records)
    rows = np.random.default_rng(seed).permutation(len(records))
    np.testing.assert_array_equal(
        hold_out(persons[rows], classes[rows], seed=seed),
        hold_out(persons, classes, seed=seed)[rows],
    )


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4), seed=st.integers(0, 2**32))
def test_each_class_gives_its_share_and_keeps_a_person_in_training(
    sizes: list[int], seed: int
) -> None:
    classes = np.repeat(np.arange(len(sizes)), sizes)
    held_out = hold_out(np.arange(len(classes)), classes, seed=seed)
    for code, size in enumerate(sizes):
        assert abs(held_out[classes == code].sum() - 0.2 * size) <= 0.5
        assert not held_out[classes == code].all()


def test_a_class_with_one_person_stays_in_training() -> None:
    """However many records the person has, and however large the share."""
    persons, classes = np.array(["a", "a", "b", "c"]), np.array([1, 1, 0, 0])
    for seed in range(20):
        assert not hold_out(persons, classes, seed=seed, share=0.9)[:2].any()


def test_a_person_belongs_to_its_most_frequent_class() -> None:
    """Class 1 is that of every person here, so four of 20 are held out."""
    persons = np.repeat(np.arange(20), 3)
    assert hold_out(persons, np.tile([1, 0, 1], 20), seed=3).sum() == 12


def test_another_seed_holds_out_other_persons() -> None:
    persons, classes = np.arange(100), np.zeros(100, np.int64)
    draws = {hold_out(persons, classes, seed=seed).tobytes() for seed in range(10)}
    assert len(draws) == 10


def test_the_draw_is_the_same_on_every_machine() -> None:
    held_out = hold_out(np.arange(20), np.zeros(20, np.int64), seed=7)
    assert np.flatnonzero(held_out).tolist() == [3, 8, 12, 13]


@given(records=RECORDS, sides=st.lists(st.booleans(), min_size=60, max_size=60))
def test_a_given_split_is_kept_if_and_only_if_nobody_is_on_both_sides(
    records: list[tuple[int, int]], sides: list[bool]
) -> None:
    persons, _ = split_up(records)
    held_out = np.array(sides[: len(persons)])
    both = set(persons[held_out]) & set(persons[~held_out])
    if not both:
        np.testing.assert_array_equal(given_hold_out(persons, held_out), held_out)
        return
    with pytest.raises(PersonOnBothSides, match=f"{len(both)} persons") as refusal:
        given_hold_out(persons, held_out)
    assert refusal.value.counts == {"persons": len(both)}
