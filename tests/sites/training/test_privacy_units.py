from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sites.plans import PrivacyPlan
from sites.training.privacy_units import Units, draw_units, pad_by_person, units_of
from tests.sites.private_models import one_unit_per_record

PEOPLE = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=60)
PLAN = PrivacyPlan(noise_multiplier=1.0, clip_norm=1.0, sampling_rate=0.5, steps=1)


def rows_of(units: Units, index: int) -> list[int]:
    return units.records_of(np.array([index])).rows.tolist()


@given(PEOPLE, st.integers(1, 5), st.integers(0, 3))
def test_a_unit_holds_records_of_one_person_up_to_the_cap(
    people: list[str], at_most: int, seed: int
) -> None:
    persons = np.array(people)
    units = Units.of_persons(persons, at_most=at_most, seed=seed)
    assert len(units) == len(set(people))
    for index, name in enumerate(sorted(set(people))):
        rows = rows_of(units, index)
        assert len(rows) == len(set(rows)) == min(people.count(name), at_most)
        assert {people[row] for row in rows} == {name}


@given(PEOPLE, st.integers(1, 3))
def test_a_persons_kept_records_do_not_depend_on_other_persons(
    people: list[str], at_most: int
) -> None:
    persons = np.array(people)
    kept = {}
    for name in sorted(set(people)):
        here = np.flatnonzero(persons == name)
        alone = Units.of_persons(persons[here], at_most=at_most, seed=5)
        kept[name] = here[rows_of(alone, 0)].tolist()
    units = Units.of_persons(persons, at_most=at_most, seed=5)
    assert [rows_of(units, i) for i in range(len(units))] == [kept[n] for n in sorted(kept)]


@given(
    contents=st.lists(st.binary(max_size=2), min_size=1, max_size=30),
    extra=st.binary(max_size=2),
    place=st.integers(0, 30),
    at_most=st.integers(1, 5),
)
def test_one_record_more_takes_the_place_of_one_at_most(
    contents: list[bytes], extra: bytes, place: int, at_most: int
) -> None:
    """Wherever it stands, and whether or not the person has another one like it."""

    def kept(some: list[bytes]) -> Counter[bytes]:
        units = Units.of_persons(
            np.zeros(len(some), "U1"), at_most=at_most, seed=3, content_of=some.__getitem__
        )
        return Counter(some[row] for row in units.rows)

    before, after = kept(contents), kept([*contents[:place], extra, *contents[place:]])
    assert (after - before).total() <= 1
    assert (before - after).total() <= 1


def test_the_records_kept_under_the_cap_depend_on_the_seed() -> None:
    persons = np.zeros(100, "U1")
    kept = [tuple(rows_of(Units.of_persons(persons, at_most=9, seed=s), 0)) for s in (1, 1, 2)]
    assert kept[0] == kept[1] != kept[2]


@given(PEOPLE, st.integers(1, 9), st.integers(1, 12))
def test_batches_hold_every_unit_once_and_split_none(
    people: list[str], at_most: int, rows_at_once: int
) -> None:
    units = Units.of_persons(np.array(people), at_most=at_most, seed=0)
    everyone = np.arange(len(units))
    batches = units.batches(everyone, rows_at_once=rows_at_once)
    assert np.concatenate(batches).tolist() == everyone.tolist()
    for batch in batches:
        drawn = units.records_of(batch)
        assert len(batch) == 1 or len(drawn.rows) <= rows_at_once
        assert len(drawn.rows) == len(drawn.owners) == drawn.counts.sum()
        assert drawn.one_record_each == bool((drawn.counts == 1).all())
        assert np.bincount(drawn.owners).tolist() == drawn.counts.tolist()


def test_an_empty_draw_has_no_batches() -> None:
    units = one_unit_per_record(3)
    assert units.batches(np.array([], np.intp), rows_at_once=5) == []


def test_with_unit_record_each_record_is_a_unit_and_none_is_left_out() -> None:
    persons = np.array(["a", "a", "b"])
    by_record = PrivacyPlan(
        unit="record", noise_multiplier=1.0, clip_norm=1.0, sampling_rate=0.5, steps=1
    )
    assert len(units_of(persons, by_record)) == 3
    assert len(units_of(np.repeat(persons, 40), by_record)) == 120
    assert len(units_of(persons, PLAN)) == 2


def test_persons_are_drawn_at_the_sampling_rate_with_all_their_records() -> None:
    persons = np.repeat(np.arange(4_000), 3).astype(str)
    units = units_of(persons, PLAN)
    draws = list(draw_units(units, replace(PLAN, steps=20)))
    found = [sum(len(part.counts) for part in groups) for groups in draws]
    assert len(found) == 20
    assert abs(np.mean(found) - 2_000) < 6 * (1_000 / 20) ** 0.5
    assert np.std(found) == pytest.approx(1_000**0.5, rel=0.7)
    assert all((part.counts == 3).all() for groups in draws for part in groups)


def test_persons_with_fewer_records_are_padded_with_zeros() -> None:
    units = Units.of_persons(np.array(["a", "a", "a", "b", "c", "c"]), at_most=9, seed=0)
    drawn = units.records_of(np.arange(3))
    padded = pad_by_person(torch.arange(1.0, 7.0).reshape(6, 1), drawn)
    assert padded.tolist() == [[1, 2, 3], [4, 0, 0], [5, 6, 0]]
