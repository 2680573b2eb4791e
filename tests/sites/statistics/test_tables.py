import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.schema.tables import (
    Category,
    ClassLabel,
    EventTimeLabel,
    Number,
    NumberLabel,
    Schema,
)
from sites.statistics.normalisation import Constants, Standard
from sites.statistics.tables import (
    BINS,
    ColumnsDiffer,
    TableStatistics,
    UndeclaredCategory,
    scale_values,
)
from sites.statistics.tally import UNIT, ImpossibleTally

AGE = Number(name="age", low=0, high=120, unit="years", missing=True)
DEBT = Number(name="debt", low=-1e6, high=1e6, unit="EUR", scale="log", missing=True)
CITY = Category(name="city", values=("rome", "oslo", "bern"), missing=True)
ILL = ClassLabel(column="ill", classes=("no", "yes"))
COST = NumberLabel(column="cost", low=10, high=20, unit="EUR")
CLASSES = TableStatistics(
    Schema(name="clinic", person="patient", features=(AGE, DEBT, CITY), label=ILL)
)
NUMBERS = TableStatistics(Schema(name="clinic", person="patient", features=(AGE, CITY), label=COST))

Row = tuple[float, float, int, int]
rows = st.lists(
    st.tuples(
        st.sampled_from([math.nan, 0.0, 120.0, 3.75, 7.5]) | st.floats(0, 120),
        st.sampled_from([math.nan, 0.0, -1e6, 1e6]) | st.floats(-1e6, 1e6),
        st.integers(-1, 2),
        st.integers(0, 1),
    ),
    max_size=40,
)


def tally_of(found: list[Row]) -> Tally:
    age, debt, city, ill = (np.array([row[i] for row in found]) for i in range(4))
    columns = {"age": age.astype(float), "debt": debt.astype(float), "city": city.astype(int)}
    return CLASSES.tally(columns, ill.astype(int), persons=len(found))


def ages(*values: float) -> Tally:
    return tally_of([(value, 1.0, 0, 1) for value in values])


def costs(*values: float) -> Tally:
    n = len(values)
    columns = {"age": np.full(n, 50.0), "city": np.zeros(n, int)}
    return NUMBERS.tally(columns, np.array(values), persons=n)


shares = st.floats(0, 1)


@given(rows, st.integers(0, 40), st.randoms(use_true_random=False))
def test_the_tallies_of_sites_add_up_to_the_tally_of_all_records(
    found: list[Row], cut: int, random: Any
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)

    pooled = tally_of(shuffled[:cut]) + tally_of(shuffled[cut:])

    np.testing.assert_array_equal(pooled, tally_of(found))


@given(rows)
def test_means_and_deviations_equal_those_of_the_pooled_values(found: list[Row]) -> None:
    constants = CLASSES.constants(tally_of(found))

    for place, number in enumerate((AGE, DEBT)):
        values = np.array([row[place] for row in found])
        held = scale_values(number, values[~np.isnan(values)])
        standard = constants.numbers[number.name]
        if not len(held):
            by_bounds = Standard(0.5, math.sqrt(1 / 12))
            assert standard == (Standard(0.0, 1.0) if found else by_bounds)
            continue
        assert standard.mean == pytest.approx(held.mean(), abs=UNIT)
        if number.name in constants.guarded:
            assert standard.deviation == 1.0
            assert held.var() <= 3 * UNIT
        else:
            assert standard.deviation**2 == pytest.approx(held.var(), abs=1.5 * UNIT)


@given(rows)
def test_counts_equal_those_of_the_pooled_records(found: list[Row]) -> None:
    tally = tally_of(found)

    columns = CLASSES.describe(tally)["columns"]

    cities = [row[2] for row in found]
    assert columns["city"]["counts"] == [cities.count(code) for code in range(3)]
    assert columns["city"]["missing"] == cities.count(-1)
    assert columns["age"]["missing"] == sum(math.isnan(row[0]) for row in found)
    assert sum(columns["age"]["counts"]) + columns["age"]["missing"] == len(found)
    ill = sum(row[3] for row in found)
    assert CLASSES.constants(tally).class_counts == (len(found) - ill, ill)


@given(rows, shares)
def test_quantiles_are_within_their_bounds(found: list[Row], q: float) -> None:
    quantiles = CLASSES.quantiles(tally_of(found), q)

    for place, name in enumerate(("age", "debt")):
        held = np.sort([row[place] for row in found if not math.isnan(row[place])])
        assert (name in quantiles) == (len(held) > 0)
        if len(held):
            exact = held[max(math.ceil(q * len(held)), 1) - 1]
            metric = quantiles[name]
            assert abs(metric.value - exact) <= metric.error_bound * (1 + 1e-9) + 1e-9


def test_constants_are_the_same_bytes_for_the_same_tally() -> None:
    """Known bits: a platform with other bits would train another model."""
    constants = CLASSES.constants(ages(1.0, 2.0, 3.5, math.nan) * 12_345)

    standard = constants.numbers["age"]
    assert standard.mean.hex() == "0x1.27d27d1555555p-6"
    assert standard.deviation.hex() == "0x1.188ca22513a25p-7"


@given(rows.filter(len), st.integers(1, 2**20))
def test_constants_do_not_depend_on_how_many_equal_sites_there_are(
    found: list[Row], sites: int
) -> None:
    tally = tally_of(found)

    one, many = CLASSES.constants(tally), CLASSES.constants(tally * sites)

    assert one.guarded == many.guarded
    for name, standard in one.numbers.items():
        assert many.numbers[name].mean == pytest.approx(standard.mean, rel=1e-12)
        assert many.numbers[name].deviation == pytest.approx(standard.deviation, rel=1e-4)


def test_a_column_that_is_missing_everywhere_is_not_scaled_and_is_named() -> None:
    constants = CLASSES.constants(ages(math.nan, math.nan))

    assert constants.numbers["age"] == Standard(mean=0.0, deviation=1.0)
    assert constants.guarded["age"].startswith("no record has a value")


@pytest.mark.parametrize("value", [0.0, 120.0, 41.3])
def test_a_column_with_one_value_is_centred_but_not_scaled_and_is_named(value: float) -> None:
    constants = CLASSES.constants(ages(*[value] * 7))

    assert constants.numbers["age"].deviation == 1.0
    assert constants.numbers["age"].mean == pytest.approx(value / 120, abs=UNIT)
    assert constants.guarded["age"].startswith("the values are equal")


def test_a_tally_without_records_can_be_described_and_scales_by_bounds() -> None:
    tally = tally_of([])

    assert CLASSES.constants(tally).guarded.keys() == {"age", "debt"}
    assert CLASSES.quantiles(tally, 0.5) == {}
    assert "quantiles" not in CLASSES.describe(tally)["columns"]["age"]


def test_a_number_to_predict_is_scaled_like_any_other() -> None:
    constants = NUMBERS.constants(costs(12.0, 14.0))

    assert constants.class_counts == ()
    assert constants.label.mean == pytest.approx(0.3, abs=UNIT)
    assert constants.label.deviation == pytest.approx(0.1, abs=1e-8)
    assert constants.numbers.keys() == {"age"}


def test_classes_need_no_scaling() -> None:
    assert CLASSES.constants(ages(1.0)).label == Standard()
    assert Constants(numbers={}).label == Standard(mean=0.0, deviation=1.0)


def test_a_description_is_in_the_units_of_the_columns() -> None:
    described = CLASSES.describe(ages(30.0, 60.0, 60.0, 90.0))

    assert (described["records"], described["persons"], described["label"]) == (4, 4, "ill")
    age = described["columns"]["age"]
    assert (age["unit"], age["edges"][0], age["edges"][-1]) == ("years", 0.0, 120.0)
    assert age["mean"] == pytest.approx(60)
    assert age["deviation"] == pytest.approx(math.sqrt(450))
    assert [item["q"] for item in age["quantiles"]] == [0.05, 0.25, 0.5, 0.75, 0.95]
    assert age["quantiles"][2]["value"] == pytest.approx(60, abs=120 / BINS)
    assert json.loads(json.dumps(described, allow_nan=False)) == described


def test_a_number_on_the_log_scale_is_described_by_quantiles_alone() -> None:
    """A mean of logarithms is not a mean of euros."""
    debt = CLASSES.describe(ages(1.0))["columns"]["debt"]

    assert {"mean", "deviation"}.isdisjoint(debt)
    assert debt["edges"][0] == -1e6
    assert all(low < high for low, high in zip(debt["edges"], debt["edges"][1:], strict=False))


def test_equal_values_have_no_deviation() -> None:
    assert CLASSES.describe(ages(5.0, 5.0))["columns"]["age"]["deviation"] == 0.0


@given(rows.filter(len), rows.filter(len))
def test_distances_are_symmetric_and_0_to_oneself(one: list[Row], other: list[Row]) -> None:
    mine, yours = tally_of(one), tally_of(other)

    apart, back, none = (
        CLASSES.distances(a, b) for a, b in ((mine, yours), (yours, mine), (mine, mine))
    )

    assert list(apart) == ["age", "debt", "city", "ill"]
    for name, found in apart.items():
        assert found.total_variation == pytest.approx(back[name].total_variation)
        assert found.jensen_shannon == pytest.approx(back[name].jensen_shannon)
        assert 0 <= found.total_variation <= 1
        assert none[name].total_variation == none[name].jensen_shannon == 0


def test_a_site_that_lacks_every_value_of_a_column_has_distance_1() -> None:
    found = CLASSES.distances(ages(math.nan, math.nan), ages(40.0))

    assert found["age"].total_variation == found["age"].jensen_shannon == 1.0
    assert found["ill"].total_variation == 0.0


def test_a_site_without_records_is_not_compared() -> None:
    assert CLASSES.distances(ages(), ages(1.0)) == {}
    assert CLASSES.distances(ages(1.0), ages()) == {}


def columns(**changes: NDArray[Any] | None) -> dict[str, NDArray[Any]]:
    usual = {"age": np.array([1.0]), "debt": np.array([1.0]), "city": np.array([0]), **changes}
    return {name: values for name, values in usual.items() if values is not None}


@pytest.mark.parametrize(
    "given_columns",
    [
        columns(age=None),
        columns(height=np.array([1.0])),
        columns(age=np.array([1.0, 2.0])),
        columns(age=np.array([[1.0]])),
    ],
    ids=["missing", "unknown", "longer", "two-dimensional"],
)
def test_columns_other_than_those_agreed_are_refused(
    given_columns: dict[str, NDArray[Any]],
) -> None:
    with pytest.raises(ColumnsDiffer):
        CLASSES.tally(given_columns, np.array([0]), persons=1)


@pytest.mark.parametrize("code", [3, -2, 0.0, math.nan])
def test_codes_without_a_declared_value_are_refused(code: float) -> None:
    with pytest.raises(UndeclaredCategory, match="city"):
        CLASSES.tally(columns(city=np.array([code])), np.array([0]), persons=1)
    with pytest.raises(UndeclaredCategory, match="ill"):
        CLASSES.tally(columns(), np.array([code]), persons=1)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("persons", 1),
        ("records", 1),
        ("age/missing", 1),
        ("city/histogram", 1),
        ("age/sum", 2**20),
        ("age/square", 2**20),
        ("age/sum", -30_000),
    ],
)
def test_counts_that_contradict_each_other_are_refused(name: str, change: int) -> None:
    tally = ages(12.0, 60.0)
    CLASSES.layout.part(name, tally)[0] += change

    for read in (CLASSES.constants, CLASSES.describe, lambda t: CLASSES.distances(t, t)):
        with pytest.raises(ImpossibleTally):
            read(tally)
    with pytest.raises(ImpossibleTally):
        CLASSES.quantiles(tally, 0.5)


@given(rows, st.data())
def test_any_entries_give_constants_or_a_typed_refusal(found: list[Row], data: Any) -> None:
    """A hostile tally never becomes NaN, a warning or another error."""
    tally = tally_of(found)
    for place in data.draw(st.lists(st.integers(0, len(tally) - 1), max_size=3)):
        tally[place] = data.draw(st.integers(-3, 3) | st.sampled_from([2**41 - 1, -(2**41)]))

    try:
        constants = CLASSES.constants(tally)
        described = CLASSES.describe(tally)
    except ImpossibleTally:
        return
    for standard in constants.numbers.values():
        assert np.isfinite([standard.mean, standard.deviation]).all()
        assert standard.deviation > 0
    assert json.dumps(described, allow_nan=False)


def test_a_label_of_two_columns_is_counted_as_a_class_and_as_a_number() -> None:
    ended = EventTimeLabel(column="end", classes=("alive", "dead"), time="days", high=20)
    agreed = Schema(
        name="s", person="p", features=(Number(name="age", low=0, high=9),), label=ended
    )
    statistics = TableStatistics(agreed)
    columns, labels = {"age": np.array([1.0, 2.0, 3.0])}, np.array([[1.0, 5], [0, 10], [1, 20]])
    tally = statistics.tally(columns, labels, persons=3)
    described = statistics.describe(tally)
    assert described["columns"]["end"]["counts"] == [1, 2]
    assert described["columns"]["days"]["mean"] == pytest.approx(35 / 3)
    constants = statistics.constants(tally)
    assert constants.class_counts == (1, 2)
    assert set(constants.numbers) == {"age"}
    with pytest.raises(ColumnsDiffer):
        statistics.tally(columns, labels[:, :1], persons=3)
