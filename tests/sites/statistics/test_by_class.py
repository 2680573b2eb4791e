import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.layout import Tally
from sites.schema.tables import Category, ClassLabel, Number, NumberLabel, Schema
from sites.statistics.by_class import ClassedStatistics, ClassHistograms, bins_of_column
from sites.statistics.tables import TableStatistics
from sites.statistics.tally import ImpossibleTally

AGE = Number(name="age", low=0, high=120, missing=True)
CITY = Category(name="city", values=("rome", "oslo", "bern"), missing=True)
SCHEMA = Schema(
    name="clinic",
    person="patient",
    features=(AGE, CITY),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)
COSTS = SCHEMA.model_copy(update={"label": NumberLabel(column="cost", low=0, high=9)})
MANY = SCHEMA.model_copy(
    update={"label": ClassLabel(column="code", classes=tuple(map(str, range(11))))}
)
CLASSED, PLAIN = ClassedStatistics(SCHEMA), TableStatistics(SCHEMA)

Row = tuple[float, int, int]
rows = st.lists(
    st.tuples(
        st.sampled_from([math.nan, 0.0, 120.0]) | st.floats(0, 120),
        st.integers(-1, 2),
        st.integers(0, 1),
    ),
    max_size=30,
)


def tally(records: list[Row], statistics: ClassedStatistics | TableStatistics = CLASSED) -> Tally:
    ages, cities, labels = (
        np.array([row[i] for row in records], float if i == 0 else np.int64) for i in range(3)
    )
    columns = {"age": ages, "city": cities}
    return statistics.tally(columns, labels, persons=len(records))


@given(rows, rows)
def test_tallies_of_sites_add_up_to_that_of_all_records(one: list[Row], other: list[Row]) -> None:
    assert (tally(one) + tally(other) == tally(one + other)).all()
    CLASSED.check(tally(one) + tally(other))


@given(rows)
def test_all_that_is_read_of_the_first_parts_is_the_same_as_without_classes(
    records: list[Row],
) -> None:
    """So constants, and models, do not depend on whether a run counts by class."""
    counted, plain = tally(records), tally(records, PLAIN)
    assert (counted[: PLAIN.layout.size] == plain).all()
    assert CLASSED.constants(counted) == PLAIN.constants(plain)
    assert CLASSED.describe(counted) == PLAIN.describe(plain)
    assert CLASSED.quantiles(counted, 0.5) == PLAIN.quantiles(plain, 0.5)
    assert CLASSED.distances(counted, counted) == PLAIN.distances(plain, plain)


@given(rows)
def test_the_histograms_of_all_classes_make_that_of_the_column(records: list[Row]) -> None:
    by_class = ClassHistograms(SCHEMA)
    counted, plain = tally(records)[PLAIN.layout.size :], tally(records, PLAIN)
    for name in ("age", "city"):
        whole = PLAIN.layout.part(f"{name}/histogram", plain)
        assert (by_class.of(name, counted).sum(axis=0) == whole).all()


def test_zeros_by_class_are_of_a_site_that_counted_before() -> None:
    counted = tally([(40.0, 1, 0)])
    counted[PLAIN.layout.size :] = 0
    CLASSED.check(counted)


@given(rows)
def test_a_tally_without_classes_is_read_as_one_with_zeros(records: list[Row]) -> None:
    plain = tally(records, PLAIN)
    CLASSED.check(plain)
    assert CLASSED.constants(plain) == PLAIN.constants(plain)


def test_a_tally_of_another_length_is_refused() -> None:
    with pytest.raises(ImpossibleTally):
        CLASSED.check(np.zeros(PLAIN.layout.size + 1, np.int64))


def test_more_records_by_class_than_in_all_are_impossible() -> None:
    counted = tally([(40.0, 1, 0)])
    counted[PLAIN.layout.size :] *= 2
    with pytest.raises(ImpossibleTally, match="age counts more records by class"):
        CLASSED.check(counted)


@pytest.mark.parametrize("schema", [COSTS, MANY])
def test_a_number_and_many_classes_have_no_histograms_by_class(schema: Schema) -> None:
    assert ClassedStatistics(schema).layout.sizes == TableStatistics(schema).layout.sizes
    assert not len(ClassHistograms(schema).tally({"age": np.zeros(0)}, np.zeros(0)))


def test_a_missing_value_is_in_no_bin() -> None:
    assert bins_of_column(AGE, np.array([np.nan, 0.0, 120.0])).tolist() == [-1, 0, 31]
    assert bins_of_column(CITY, np.array([-1, 2])).tolist() == [-1, 2]
