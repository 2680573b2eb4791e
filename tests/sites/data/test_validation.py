import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sites.data.cells import Violation
from sites.data.validation import BadTable, MissingColumns, validate_table
from sites.schema.tables import Category, ClassLabel, Number, NumberLabel, Schema

SCHEMA = Schema(
    name="heart",
    person="patient",
    features=(
        Number(name="age", low=0, high=120, unit="years"),
        Number(name="vessels", low=0, high=3, missing=True),
        Category(name="sex", values=("female", "male"), missing=True),
        Category(name="smoker", values=("0", "1")),
    ),
    label=ClassLabel(column="disease", classes=("no", "yes")),
)
GOOD: dict[str, list[Any]] = {
    "patient": ["007", "8", "8"],
    "age": ["63", "41.5", " 70 "],
    "vessels": ["", "2", "NA"],
    "sex": ["male", "?", "female"],
    "smoker": ["0", "1", "1.0"],
    "disease": ["no", "yes", "no"],
    "postcode": ["1", "2", "3"],
}


def table(**columns: list[Any]) -> pd.DataFrame:
    frame = pd.DataFrame({**GOOD, **columns})
    return frame.set_axis(pd.RangeIndex(2, len(frame) + 2))


def violations(**columns: list[Any]) -> list[Violation]:
    with pytest.raises(BadTable) as refusal:
        validate_table(table(**columns), SCHEMA)
    return list(refusal.value.violations)


def test_a_good_table_is_parsed_and_nothing_else_is_kept() -> None:
    frame = validate_table(table(), SCHEMA)
    assert sorted(frame.columns) == ["age", "disease", "patient", "sex", "smoker", "vessels"]
    assert frame["age"].tolist() == [63, 41.5, 70]
    np.testing.assert_array_equal(frame["vessels"], [np.nan, 2, np.nan])
    assert frame["sex"].cat.codes.tolist() == [1, -1, 0]
    assert frame["smoker"].tolist() == ["0", "1", "1"]
    assert frame["disease"].cat.categories.tolist() == ["no", "yes"]
    assert frame["patient"].tolist() == ["007", "8", "8"]
    assert list(frame.index) == [2, 3, 4]


@pytest.mark.parametrize(
    "cell", ["", " ", "NA", "n/a", "NaN", "null", "?", None, float("nan"), pd.NA]
)
def test_a_missing_value_may_be_written_in_many_ways(cell: object) -> None:
    frame = validate_table(table(vessels=[cell, "2", 3], sex=[cell, "male", "male"]), SCHEMA)
    assert frame["vessels"].isna().tolist() == [True, False, False]
    assert frame["sex"].isna().tolist() == [True, False, False]


def test_a_declared_value_is_never_missing() -> None:
    pool = Category(name="pool", values=("NA", "small"), missing=True)
    schema = SCHEMA.model_copy(update={"features": (pool,)})
    frame = validate_table(table(pool=["NA", "na", "small"]), schema)
    assert frame["pool"].cat.codes.tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    "cells",
    [["0", "1", "1"], [0, 1, 1], [0.0, 1.0, 1.0], [False, True, True], ["false", "True", "1.0"]],
)
def test_numbers_and_booleans_stand_for_the_category_that_they_equal(cells: list[object]) -> None:
    assert validate_table(table(smoker=cells), SCHEMA)["smoker"].cat.codes.tolist() == [0, 1, 1]


def test_categories_equal_to_the_same_number_are_distinguished_by_their_text() -> None:
    grade = Category(name="grade", values=("1", "1.0", "2"))
    schema = SCHEMA.model_copy(update={"features": (grade,)})
    assert validate_table(table(grade=["1", "1.0", "2"]), schema)["grade"].cat.codes.tolist() == [
        0,
        1,
        2,
    ]
    with pytest.raises(BadTable, match=r"one of 1, 1\.0, 2"):
        validate_table(table(grade=["01", "1", "2"]), schema)


@pytest.mark.parametrize(
    "cells",
    [
        [63, 41, 70],
        [63.0, 41.0, 70.0],
        [Decimal(63), Decimal(41), Decimal("70.0")],
        ["63", "4.1e1", "70"],
        pd.array([63, 41, 70], dtype="Int64"),
        ["63\u00a0", " 41 ", "\u202f70"],
    ],
)
def test_a_number_may_come_in_any_type(cells: Any) -> None:
    assert validate_table(table(age=list(cells)), SCHEMA)["age"].tolist() == [63, 41, 70]


def test_whole_identifiers_are_the_same_person_in_any_type() -> None:
    for cells in ([7, 8, 9], [7.0, 8.0, 9.0], ["7", "8", "9"], [7, "8.0", Decimal("9.0")]):
        assert validate_table(table(patient=cells), SCHEMA)["patient"].tolist() == ["7", "8", "9"]


def test_a_column_may_be_all_missing() -> None:
    frame = validate_table(table(vessels=["", "", ""], sex=[None, None, None]), SCHEMA)
    assert frame["vessels"].isna().all()
    assert frame["vessels"].dtype == np.float64
    assert frame["sex"].cat.categories.tolist() == ["female", "male"]
    assert frame["sex"].isna().all()


def test_text_in_a_number_column_is_named_with_its_row() -> None:
    (found,) = violations(age=["63", "old", "7O"])
    assert (found.column, found.count, found.rows) == ("age", 2, (3, 4))
    assert str(found) == (
        "age: expected a number, not so in 2 rows: 3 ('old'), 4 ('7O'); "
        "correct it, or leave it empty where it is missing"
    )


@pytest.mark.parametrize("cell", [[1], datetime.date(2020, 1, 1), "1,5"])
def test_cells_that_are_not_numbers_are_refused(cell: object) -> None:
    (found,) = violations(age=[63, 41, cell])
    assert (found.expected, found.rows) == ("a number", (4,))


def test_a_column_of_times_is_not_numeric() -> None:
    (found,) = violations(age=list(pd.to_datetime(["2020-01-01"] * 3)))
    assert (found.expected, found.count) == ("a number", 3)


@pytest.mark.parametrize("cell", ["inf", "-Infinity", float("inf")])
def test_infinity_is_refused(cell: object) -> None:
    (found,) = violations(age=["63", "41", cell])
    assert (found.expected, found.rows) == ("a finite number", (4,))


def test_a_number_out_of_bounds_is_refused_with_the_bounds_and_the_unit() -> None:
    (found,) = violations(age=["63", "-1", "121"])
    assert found.expected == "a number from 0 to 120"
    assert found.rows == (3, 4)
    assert "years" in found.advice


def test_bounds_themselves_are_allowed() -> None:
    assert validate_table(table(age=["0", "120", "1"]), SCHEMA)["age"].tolist() == [0, 120, 1]


def test_an_unknown_category_is_refused_with_the_nearest_declared_value() -> None:
    (found,) = violations(sex=["Male", "femal", "male"])
    assert (found.column, found.expected, found.rows) == ("sex", "one of female, male", (2, 3))
    assert found.advice == (
        "use a declared value (nearest is 'male'), or say values:sex:THEIRS=OURS for each that "
        "means one"
    )


def test_long_lists_of_values_are_cut_short() -> None:
    state = Category(name="state", values=tuple(f"state-{i}" for i in range(50)))
    schema = SCHEMA.model_copy(update={"features": (state,)})
    with pytest.raises(BadTable, match=r"state-19, \.\.\., not so") as refusal:
        validate_table(table(state=["state-1", "x", "state-2"]), schema)
    assert "state-20" not in str(refusal.value)


@pytest.mark.parametrize("column", ["age", "smoker", "disease", "patient"])
def test_a_missing_value_is_refused_unless_the_schema_allows_it(column: str) -> None:
    (found,) = violations(**{column: [GOOD[column][0], "", GOOD[column][2]]})
    assert (found.column, found.expected, found.rows) == (column, "a value", (3,))
    assert str(found).startswith(f"{column}: expected a value, not so in row 3; fill it in")


def test_all_mistakes_are_reported_at_once_and_only_counts_may_leave() -> None:
    with pytest.raises(BadTable) as refusal:
        validate_table(table(age=["x", "-1", "63"], disease=["no", "perhaps", ""]), SCHEMA)
    assert refusal.value.counts == {"columns": 2, "values": 4}
    assert "row 2 ('x')" in str(refusal.value)


def test_only_the_first_of_many_bad_rows_are_shown() -> None:
    frame = pd.concat([table(age=["x", "x", "x"])] * 100, ignore_index=True)
    with pytest.raises(BadTable, match=r"300 rows: 0 \('x'\).*4 \('x'\), \.\.\.;") as refusal:
        validate_table(frame, SCHEMA)
    assert refusal.value.counts["values"] == 300


def test_missing_columns_are_refused_with_the_nearest_name() -> None:
    frame = table().rename(columns={"age": "Age", "sex": "gender"})
    with pytest.raises(
        MissingColumns, match=r"'age' \(nearest is 'Age'\), 'sex'; add them, or say"
    ) as refusal:
        validate_table(frame, SCHEMA)
    assert refusal.value.counts == {"columns": 2}


def test_label_and_person_are_not_needed_to_predict() -> None:
    frame = table().drop(columns=["patient", "disease"])
    assert list(validate_table(frame, SCHEMA, labelled=False)) == [
        "age",
        "vessels",
        "sex",
        "smoker",
    ]
    with pytest.raises(MissingColumns, match="'disease', 'patient'"):
        validate_table(frame, SCHEMA)


def test_a_split_column_says_train_or_test() -> None:
    frame = validate_table(table(fold=["train", "test", "train"]), SCHEMA, split="fold")
    assert frame["fold"].tolist() == ["train", "test", "train"]
    for side in ("valid", "Train", "test ", "", None):
        with pytest.raises(BadTable, match="fold: expected one of train, test, not so in row 3"):
            validate_table(table(fold=["train", side, "train"]), SCHEMA, split="fold")


def test_a_number_label_has_bounds_and_may_not_be_missing() -> None:
    label = NumberLabel(column="price", low=0, high=10, unit="US$")
    schema = SCHEMA.model_copy(update={"label": label})
    assert validate_table(table(price=["1", "2", "10"]), schema)["price"].tolist() == [1, 2, 10]
    with pytest.raises(BadTable) as refusal:
        validate_table(table(price=["1", "", "11"]), schema)
    assert [item.rows for item in refusal.value.violations] == [(3,), (4,)]


@settings(max_examples=25)
@given(
    ages=st.lists(st.floats(-10, 130) | st.sampled_from(["", "x", "NA", "inf"]), min_size=1),
)
def test_a_cell_is_refused_if_and_only_if_it_breaks_the_schema(ages: list[Any]) -> None:
    good = [isinstance(age, float) and 0 <= age <= 120 for age in ages]
    frame = pd.DataFrame(dict.fromkeys(GOOD, ["1"] * len(ages)) | {"age": [str(a) for a in ages]})
    frame = frame.assign(sex="male", disease="no")
    if all(good):
        assert validate_table(frame, SCHEMA)["age"].tolist() == ages
        return
    with pytest.raises(BadTable) as refusal:
        validate_table(frame, SCHEMA)
    assert refusal.value.counts == {"columns": 1, "values": good.count(False)}
