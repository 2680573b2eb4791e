import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sites.schema.tables import (
    Category,
    ClassLabel,
    Costs,
    EventTimeLabel,
    Feature,
    Label,
    Number,
    NumberLabel,
    Schema,
    column_name,
    declared_values,
)

AGE = Number(name="age", low=0, high=120, unit="years", missing=True)
CITY = Category(name="city", values=("rome", "oslo"), missing=True)
PLAIN = Category(name="plan", values=("a", "b", "c"))
ILL = ClassLabel(column="ill", classes=("no", "yes"))


def schema(*features: Feature, label: Label = ILL) -> Schema:
    return Schema(name="clinic", person="patient", features=features or (AGE,), label=label)


names = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)
bounds = st.tuples(st.integers(-1000, 1000), st.integers(1, 1000)).map(
    lambda pair: {"low": pair[0], "high": pair[0] + pair[1]}
)
numbers = st.builds(
    lambda name, limits, missing, scale: Number(name=name, missing=missing, scale=scale, **limits),
    names,
    bounds,
    st.booleans(),
    st.sampled_from(["linear", "log"]),
)
values = st.lists(st.text(max_size=5), min_size=2, max_size=4, unique=True).map(tuple)
categories = st.builds(Category, name=names, values=values, missing=st.booleans())
features = st.lists(
    numbers | categories, min_size=1, max_size=5, unique_by=lambda item: item.name
).map(tuple)
labels: st.SearchStrategy[Label] = st.builds(
    ClassLabel, column=st.just("the.label"), classes=values, ordered=st.booleans()
) | bounds.map(lambda limits: NumberLabel(column="the.label", **limits))
labels |= st.builds(
    EventTimeLabel,
    column=st.just("the.label"),
    classes=st.lists(st.text(max_size=5), min_size=2, max_size=2, unique=True).map(tuple),
    time=st.just("the.time"),
    high=st.integers(1, 1000),
    bins=st.integers(1, 50),
)
schemas = st.builds(
    Schema, name=names, person=st.just("the.person"), features=features, label=labels
)


@given(schemas)
def test_a_schema_and_its_fingerprint_are_read_back_from_json(agreed: Schema) -> None:
    back = Schema.model_validate_json(agreed.model_dump_json())

    assert back == agreed
    assert back.fingerprint == agreed.fingerprint


@given(schemas, schemas)
def test_fingerprints_are_equal_only_for_equal_schemas(one: Schema, other: Schema) -> None:
    assert (one.fingerprint == other.fingerprint) == (one == other)


def test_the_order_of_categories_is_part_of_the_agreement() -> None:
    turned = Category(name="city", values=("oslo", "rome"), missing=True)

    assert schema(CITY).fingerprint != schema(turned).fingerprint


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    """A constant: it may change only with the format of a schema, which every charter pins."""
    assert schema(AGE, CITY).fingerprint == (
        "a2101b41d0ba9089be625abd968bfa3afdd34bff3c17b4bc6b13245e65003127"
    )


@given(schemas)
def test_there_is_one_input_per_number_per_value_and_per_indicator(agreed: Schema) -> None:
    expected = sum(
        (len(item.values) if isinstance(item, Category) else 1) + item.missing
        for item in agreed.features
    )

    assert len(agreed.encoded_names) == expected


def test_inputs_are_named_in_order_after_column_and_value() -> None:
    assert schema(CITY, AGE, PLAIN).encoded_names == (
        *("city=rome", "city=oslo", "city=missing"),
        *("age", "age=missing"),
        *("plan=a", "plan=b", "plan=c"),
    )


def test_every_column_has_a_name_and_values_in_the_order_of_their_codes() -> None:
    cost = NumberLabel(column="cost", low=0, high=1)

    assert [column_name(column) for column in (AGE, CITY, ILL, cost)] == [
        "age",
        "city",
        "ill",
        "cost",
    ]
    assert declared_values(CITY) == ("rome", "oslo")
    assert declared_values(ILL) == ("no", "yes")


def test_only_two_classes_are_binary() -> None:
    assert ILL.binary
    assert not ClassLabel(column="grade", classes=("0", "1", "2")).binary


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (1, 1),
        (2, 1),
        (math.nan, 1),
        (0, math.nan),
        (-math.inf, math.inf),
        (0, math.inf),
        (-1.7e308, 1.7e308),
        (1e16, 1e16 + 2),
    ],
)
def test_bounds_must_be_finite_ordered_and_distinguishable(low: float, high: float) -> None:
    with pytest.raises(ValidationError):
        Number(name="age", low=low, high=high)
    with pytest.raises(ValidationError):
        NumberLabel(column="age", low=low, high=high)


def test_refused_bounds_are_named_with_their_column() -> None:
    with pytest.raises(
        ValidationError, match=r"age needs low clearly below high, got 3\.0 and 2\.0"
    ):
        Number(name="age", low=3, high=2)


@pytest.mark.parametrize("declared", [("a", "a"), ("a", "b", "a")])
def test_values_declared_twice_are_refused(declared: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="declares a value twice"):
        Category(name="city", values=declared)
    with pytest.raises(ValidationError, match="declares a class twice"):
        ClassLabel(column="ill", classes=declared)


@pytest.mark.parametrize("declared", [(), ("only",)])
def test_fewer_than_two_values_are_refused(declared: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        Category(name="city", values=declared)
    with pytest.raises(ValidationError):
        ClassLabel(column="ill", classes=declared)


@pytest.mark.parametrize("name", ["", "Age", "1st", "a b", "a" * 65, "a/b", "a=b"])
def test_names_that_do_not_fit_files_and_tallies_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Number(name=name, low=0, high=1)


@pytest.mark.parametrize(
    ("features", "label"),
    [
        ((AGE, AGE), ILL),
        ((AGE, Category(name="age", values=("a", "b"))), ILL),
        ((AGE, Number(name="ill", low=0, high=1)), ILL),
        ((AGE, Number(name="patient", low=0, high=1)), ILL),
        ((AGE,), ClassLabel(column="patient", classes=("a", "b"))),
    ],
)
def test_a_column_has_one_role(features: tuple[Feature, ...], label: Label) -> None:
    with pytest.raises(ValidationError, match="more than once"):
        schema(*features, label=label)


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        Schema.model_validate({**schema().model_dump(), "colour": "red"})


SURVIVED = {"column": "status", "classes": ("alive", "dead"), "time": "days", "high": 100}


def test_a_time_until_an_event_is_read_from_two_columns() -> None:
    ended = EventTimeLabel.model_validate({**SURVIVED, "bins": 4})
    agreed = schema(AGE, label=ended)

    assert agreed.columns == ("age", "status", "days", "patient")
    assert [one.column for one in agreed.label_columns] == ["status", "days"]
    assert ended.grid == (25.0, 50.0, 75.0, 100.0)
    assert ended.judged_at == 50.0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"classes": ("dead", "dead")}, "twice"),
        ({"times": (50.0, 20.0)}, "not ascending"),
        ({"times": (0.0, 20.0)}, "not ascending"),
        ({"times": (50.0, 101.0)}, "not ascending"),
        ({"times": (50.0, 80.0), "horizon": 60.0}, "none of the times"),
        ({"time": "status"}, "more than once"),
    ],
)
def test_times_and_ends_that_contradict_each_other_are_refused(
    wrong: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        schema(AGE, label=EventTimeLabel.model_validate({**SURVIVED, **wrong}))


def test_costs_are_part_of_the_agreement_and_older_schemas_keep_their_fingerprints() -> None:
    plain = ClassLabel(column="ill", classes=("no", "yes"))
    priced = ClassLabel(column="ill", classes=("no", "yes"), costs=Costs(missed=180, alert=5))
    assert "costs" not in plain.model_dump_json()
    assert schema(label=plain).fingerprint != schema(label=priced).fingerprint
    assert ClassLabel.model_validate_json(priced.model_dump_json()) == priced


def test_costs_are_of_two_classes_and_not_below_zero() -> None:
    costs = Costs(missed=1, alert=1)
    with pytest.raises(ValidationError, match="leave costs out"):
        ClassLabel(column="ill", classes=("no", "some", "very"), costs=costs)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Costs(missed=-1, alert=1)
