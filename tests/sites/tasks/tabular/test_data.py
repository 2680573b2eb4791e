import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.statistics.normalisation import Constants, Standard
from sites.statistics.tables import OutOfBounds, TableStatistics, UndeclaredCategory
from sites.tasks.tabular.data import Columns, Table, TableData, encode_columns, pooled_table

SCHEMA = Schema(
    name="heart",
    person="patient",
    features=(
        Number(name="age", low=0, high=100),
        Category(name="pain", values=("none", "some", "much"), missing=True),
        Number(name="income", low=0, high=1e6, missing=True, scale="log"),
    ),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)
CONSTANTS = Constants(numbers={"age": Standard(0.5, 0.25), "income": Standard(0.6, 0.1)})


def records(n: int, seed: int) -> Columns:
    rng = np.random.default_rng(seed)
    income = rng.uniform(0, 1e6, n)
    income[rng.random(n) < 0.3] = np.nan
    return {
        "age": rng.uniform(0, 100, n),
        "pain": rng.integers(-1, 3, n),
        "income": income,
    }


def at(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def one(age: float = 75.0, pain: int = 1, income: float = np.nan) -> Columns:
    return {"age": np.array([age]), "pain": np.array([pain]), "income": np.array([income])}


def test_a_worked_example() -> None:
    """An age of 75 is 0.75 of its range: one deviation above the mean; income is missing."""
    assert SCHEMA.encoded_names == (
        *("age", "pain=none", "pain=some", "pain=much", "pain=missing"),
        *("income", "income=missing"),
    )
    np.testing.assert_array_equal(encode_columns(one(), SCHEMA, CONSTANTS), [[1, 0, 1, 0, 0, 0, 1]])


def test_a_missing_category_is_all_zeros_and_an_indicator() -> None:
    encoded = encode_columns(one(pain=-1), SCHEMA, CONSTANTS)
    np.testing.assert_array_equal(encoded[0, 1:5], [0, 0, 0, 1])


@given(n=st.integers(0, 20), seed=st.integers(0, 2**32))
def test_inputs_are_finite_float32_as_wide_as_the_schema_says(n: int, seed: int) -> None:
    encoded = encode_columns(records(n, seed), SCHEMA, CONSTANTS)
    assert encoded.shape == (n, len(SCHEMA.encoded_names))
    assert encoded.dtype == np.float32
    assert np.isfinite(encoded).all()


@given(n=st.integers(1, 20), seed=st.integers(0, 2**32))
def test_the_encoding_of_a_row_does_not_depend_on_other_rows(n: int, seed: int) -> None:
    """Nothing is fitted: selecting rows and encoding them commute."""
    columns, rows = records(n, seed), np.random.default_rng(seed).integers(0, n, n // 2)
    np.testing.assert_array_equal(
        encode_columns(at(columns, rows), SCHEMA, CONSTANTS),
        encode_columns(columns, SCHEMA, CONSTANTS)[rows],
    )


@given(n=st.integers(1, 20), seed=st.integers(0, 2**32))
def test_every_category_is_one_value_or_missing(n: int, seed: int) -> None:
    encoded = encode_columns(records(n, seed), SCHEMA, CONSTANTS)
    np.testing.assert_array_equal(encoded[:, 1:5].sum(axis=1), 1)
    np.testing.assert_array_equal(encoded[:, 5] * encoded[:, 6], 0)


def test_pooled_constants_standardise_the_pooled_records() -> None:
    columns = records(500, 1)
    statistics = TableStatistics(SCHEMA)
    tally = statistics.tally(columns, np.zeros(500, np.int64), persons=500)
    encoded = encode_columns(columns, SCHEMA, statistics.constants(tally))
    present = encoded[encoded[:, 6] == 0]
    for values in (encoded[:, 0], present[:, 5]):
        np.testing.assert_allclose([values.mean(), values.std()], [0, 1], atol=1e-5)


def test_an_undeclared_category_is_refused_by_name() -> None:
    with pytest.raises(UndeclaredCategory, match="pain"):
        encode_columns(one(pain=3), SCHEMA, CONSTANTS)


def test_a_number_out_of_bounds_is_refused_by_name() -> None:
    with pytest.raises(OutOfBounds, match="age"):
        encode_columns(one(age=101.0), SCHEMA, CONSTANTS)


TABLE = Table(
    columns={
        "age": np.array([10.0, 20.0, 30.0]),
        "pain": np.array([2, -1, 0]),
        "income": np.array([np.nan, 5.0, 6.0]),
    },
    labels=np.array([1, 0, 1]),
    persons=np.array(["b", "a", "b"]),
)


def test_a_number_has_no_classes() -> None:
    assert TABLE.classes(2).tolist() == [1, 0, 1]
    assert TABLE.classes(0).tolist() == [0, 0, 0]


def test_counts_of_a_sites_data() -> None:
    training = TABLE.select(np.array([True, False, True]))
    held_out = TABLE.select(np.array([False, True, False]))
    data = TableData(training=training, held_out=held_out, n_classes=2)
    assert (data.train_examples, data.train_persons, data.held_out_examples) == (2, 1, 1)
    assert data.class_counts == (0, 2)
    assert TableData(training=training, held_out=held_out, n_classes=0).class_counts == ()


def test_pooled_sites_keep_their_records_and_distinct_persons() -> None:
    both: Table = pooled_table([TABLE, TABLE])
    assert len(np.unique(both.persons)) == 4
    assert both.labels.tolist() == [1, 0, 1, 1, 0, 1]
    np.testing.assert_array_equal(both.columns["age"], [10, 20, 30, 10, 20, 30])
