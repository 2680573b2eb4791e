import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sites.training.person_cap import capped_rows

PERSONS = st.lists(st.sampled_from("abcde"), max_size=40)


@given(PERSONS, st.integers(1, 5), st.integers(0, 9))
def test_each_person_keeps_as_many_records_as_allowed(
    persons: list[str], at_most: int, seed: int
) -> None:
    whose = np.array(persons, np.str_)
    kept = capped_rows(whose, at_most=at_most, seed=seed)
    assert kept.tolist() == sorted(set(kept.tolist()))
    for one in set(persons):
        assert (whose[kept] == one).sum() == min(persons.count(one), at_most)


@given(PERSONS, st.integers(1, 5), st.integers(0, 9))
def test_without_one_person_the_records_of_all_others_are_the_same(
    persons: list[str], at_most: int, seed: int
) -> None:
    whose, rows = np.array(persons, np.str_), np.arange(len(persons))
    others = whose != "a"
    kept = capped_rows(whose, at_most=at_most, seed=seed)
    left = rows[others][capped_rows(whose[others], at_most=at_most, seed=seed)]
    assert left.tolist() == [row for row in kept.tolist() if others[row]]
