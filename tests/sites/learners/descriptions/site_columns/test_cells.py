"""What one site would show: columns without small cells, and numbers that tell no single value."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sites.learners.descriptions.group_counts import GroupCounts
from sites.learners.descriptions.site_columns.cells import OwnCells
from sites.schema.tables import ClassLabel, Number, Schema
from tests.sites.learners.descriptions.described import (
    CLASSES,
    ENDS,
    NUMBERS,
    Records,
    drawn,
    statistics_of,
)

VALUES = st.lists(st.floats(-50, 1000, allow_nan=False), min_size=20, max_size=60)
WEIGHT = Number(name="weight", low=-50, high=1000, missing=True)
ONE_NUMBER = Schema(
    name="t",
    person="p",
    features=(WEIGHT,),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)
OWN = OwnCells(GroupCounts(ONE_NUMBER))


def weighed(values: NDArray[np.float64]) -> Records:
    """Return records of two classes in turn."""
    return Records({"weight": values}, np.arange(len(values)) % 2)


@pytest.mark.parametrize("schema", [CLASSES, NUMBERS, ENDS])
@given(st.integers(0, 200), st.integers(0, 100))
def test_cells_are_those_of_the_pool_where_a_site_is_alone(
    schema: Schema, n: int, seed: int
) -> None:
    counts, records = GroupCounts(schema), drawn(schema, n, seed)
    own = OwnCells(counts)
    cells, pooled = own.of(records), counts.tally(records, statistics_of(schema, records))
    np.testing.assert_array_equal(own.layout.part("records", cells), own.pooled_records(pooled))
    for item in own.described:
        np.testing.assert_array_equal(own.cells(item, cells), own.pooled_cells(item, pooled))


@given(VALUES)
def test_a_mean_and_a_deviation_are_told_to_a_tenth_of_the_deviation(values: list[float]) -> None:
    given_ = np.array(values)
    told = OWN.moments(WEIGHT, OWN.of(weighed(given_)))
    parts = (given_, given_[0::2], given_[1::2])
    for (mean, deviation), part in zip(told, parts, strict=True):
        spread = part.std(ddof=1)
        allowed = max(spread / 20, 1050 / 2**28) * 1.001
        assert abs(mean - part.mean()) <= allowed
        assert abs(deviation - spread) <= allowed


def test_of_a_thousand_values_a_digit_more_is_told() -> None:
    values = np.linspace(0, 1000, 2_002)
    told = [OWN.moments(WEIGHT, OWN.of(weighed(one)))[0] for one in (values, values[:1_001:2])]
    assert told == [(500.0, 288.0), (250.0, 140.0)]


@given(VALUES, st.randoms())
def test_the_order_of_records_does_not_matter(values: list[float], random: object) -> None:
    pairs = [*zip(values, [at % 2 for at in range(len(values))], strict=True)]
    random.shuffle(pairs)  # type: ignore[attr-defined]
    mixed = Records(
        {"weight": np.array([one for one, _ in pairs])}, np.array([ill for _, ill in pairs])
    )
    np.testing.assert_array_equal(OWN.of(mixed), OWN.of(weighed(np.array(values))))


def spread(n: int) -> NDArray[np.float64]:
    return np.linspace(0, 100, n)


def test_a_number_is_shown_if_nothing_of_it_stands_out() -> None:
    missing, outlier = spread(60), spread(60)
    missing[:4], outlier[0] = np.nan, 1000
    cases: list[tuple[NDArray[np.float64], bool]] = [
        (spread(60), True),
        (np.concatenate([spread(60), np.full(60, np.nan)]), True),
        (missing, False),  # four missing values
        (outlier, False),  # one value carries the deviation
        ((np.arange(60) // 2 % 3).astype(np.float64), False),  # three values: it tells their counts
        (np.where(np.arange(60) % 2, np.nan, spread(60)), False),  # a class without a value
    ]
    for values, shown in cases:
        assert OWN.columns_to_show(weighed(values)).tolist() == [shown]


class Family(Records):
    """Records of which many are one person's."""

    @property
    def persons(self) -> NDArray[np.str_]:
        """The same for ten records each."""
        return (np.arange(len(self.labels)) // 10).astype(np.str_)


def test_a_cell_is_as_small_as_it_has_persons() -> None:
    """Sixty records of six persons are six."""
    many = Family(weighed(spread(60)).columns, np.arange(60) % 2)
    assert not OWN.columns_to_show(many).any()
    assert not OWN.has_enough(many)
    assert OWN.has_enough(weighed(spread(20)))
    assert not OWN.has_enough(weighed(spread(19)))


@dataclass(frozen=True)
class Owned(Records):
    """Records of which it is said whose they are."""

    owners: NDArray[np.str_] = field(default_factory=lambda: np.array([], np.str_))

    @property
    def persons(self) -> NDArray[np.str_]:
        """As it was said."""
        return self.owners


def with_much_of_one_person(share: float, own: NDArray[np.float64]) -> Owned:
    """Sixty persons with a record each, and one person with so large a share of each class."""
    labels = np.arange(60) % 2
    n = round(30 * share / (1 - share))
    values = np.concatenate([spread(60), np.resize(own, 2 * n)])
    owners = np.array([*map(str, range(60)), *["patient"] * n, *["other"] * n])
    columns = {"weight": values}
    return Owned(columns, np.concatenate([labels, np.repeat([0, 1], n)]), owners)


def test_what_is_mostly_of_one_person_is_not_shown() -> None:
    """Many records of one person would make the mean, or the number, that person's own."""
    much = with_much_of_one_person(0.9, np.linspace(40, 60, 270))
    assert not OWN.has_enough(much)
    assert OWN.columns_to_show(much).tolist() == [False]
    some = with_much_of_one_person(0.2, np.linspace(40, 60, 8))
    assert OWN.has_enough(some)
    assert OWN.columns_to_show(some).tolist() == [True]
    # A fifth of the records, which are all far away, carries most of the variance.
    far = with_much_of_one_person(0.2, np.full(8, 900.0))
    assert OWN.has_enough(far)
    assert OWN.columns_to_show(far).tolist() == [False]


def test_values_of_few_persons_are_as_few_as_these_are() -> None:
    """Thirty persons, of whom each has the same two values: their means are one number."""
    values = np.tile([10.0, 90.0], 60)
    pairs = Owned(
        {"weight": values}, np.repeat([0, 1], 60), np.repeat(np.arange(60), 2).astype(np.str_)
    )
    assert OWN.has_enough(pairs)
    assert OWN.columns_to_show(pairs).tolist() == [False]


def test_cells_that_no_site_may_show_are_not_possible() -> None:
    own = OWN.of(weighed(spread(60)))
    shown = np.array([True])
    assert OWN.are_possible(own, shown)
    for part, at, wrong in (
        ("records", 0, 1),
        ("weight/cells", 0, -25),
        ("weight/cells", 3, 4),
        ("weight/moments", 0, 10_000),
        ("weight/moments", 0, -200),
        ("weight/moments", 1, 2**31),
    ):
        spoilt = own.copy()
        OWN.layout.part(part, spoilt)[at] += wrong
        assert not OWN.are_possible(spoilt, shown), part
    assert not OWN.are_possible(own, np.array([False]))
    assert OWN.are_possible(OWN.without_columns(own, np.array([False])), np.array([False]))
