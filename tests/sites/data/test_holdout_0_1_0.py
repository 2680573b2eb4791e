"""The rule of version 0.1.0, as its runs need it to go on; tests/test_made_by_0_1_0.py has some."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sites.data.holdout import Mask, PersonOnBothSides, PersonRecords
from sites.data.holdout_0_1_0 import SeededSides


def held_out(persons: NDArray[np.int64], classes: NDArray[np.int64], seed: int) -> Mask:
    records = PersonRecords(persons=persons, places=np.arange(len(persons)), strata=classes)
    return SeededSides(seed).held_out(records)


def test_the_draw_is_that_of_version_0_1_0() -> None:
    drawn = held_out(np.arange(20), np.zeros(20, np.int64), 7)
    assert np.flatnonzero(drawn).tolist() == [3, 8, 12, 13]


def test_a_class_with_one_person_stays_in_training() -> None:
    persons, classes = np.array([0, 0, 1, 2]), np.array([1, 1, 0, 0])
    for seed in range(20):
        assert not held_out(persons, classes, seed)[:2].any()


def test_a_person_belongs_to_its_most_frequent_class() -> None:
    """Class 1 is that of every person here, so four of 20 are held out."""
    assert held_out(np.repeat(np.arange(20), 3), np.tile([1, 0, 1], 20), 3).sum() == 12


def test_a_split_that_came_with_the_data_goes_first() -> None:
    said = np.array([True, False])
    whole = PersonRecords(
        persons=np.array([1, 2]), places=np.arange(2), strata=np.zeros(2, np.int64), given=said
    )
    assert SeededSides(1).held_out(whole).tolist() == [True, False]
    torn = PersonRecords(
        persons=np.array([1, 1]), places=np.arange(2), strata=np.zeros(2, np.int64), given=said
    )
    with pytest.raises(PersonOnBothSides):
        SeededSides(1).held_out(torn)
