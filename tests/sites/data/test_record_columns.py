"""Laws of persons and sides, which are the same for tables, notes and sentences."""

import unicodedata
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.record_columns import (
    SIDES,
    are_clear_persons,
    person_violations,
    persons_of,
    side_violations,
)

EXACT = st.integers(-(2**53) + 1, 2**53 - 1)


def column(*cells: Any) -> "pd.Series[Any]":
    return pd.Series(cells, index=pd.RangeIndex(2, len(cells) + 2), name="patient", dtype=object)


@given(EXACT)
def test_a_whole_number_is_one_person_in_any_form(number: int) -> None:
    forms = (number, float(number), np.float64(number), np.int64(number), Decimal(number))
    texts = (f"{number}", f"{number}.0", f"{number}.00", f" {number} ", f"{number}.")
    cells = column(*forms, Decimal(f"{number}.0"), *texts)
    assert set(persons_of(cells)) == {str(number)}
    assert person_violations(cells) == []


@given(st.lists(EXACT, unique=True, min_size=2))
def test_two_numbers_are_two_persons(numbers: list[int]) -> None:
    for cells in (numbers, map(float, numbers), map(str, numbers), map(Decimal, numbers)):
        assert persons_of(column(*cells)).nunique() == len(numbers)


@given(st.lists(st.text(st.characters(categories=["L", "P"]), min_size=1), unique=True))
def test_texts_are_the_same_person_only_if_unicode_holds_them_for_the_same(
    texts: list[str],
) -> None:
    shown = [text for text in texts if persons_of(column(text))[2] is not None]
    found = persons_of(column(*shown)).nunique()
    assert found == len({unicodedata.normalize("NFC", text) for text in shown})


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1), st.sampled_from(["int64", "uint32"]))
def test_a_column_of_whole_numbers_says_at_a_glance_what_its_cells_say(
    numbers: list[int], dtype: str
) -> None:
    places = pd.RangeIndex(2, len(numbers) + 2)
    cells: pd.Series[Any] = pd.Series(np.array(numbers, dtype), index=places, name="patient")
    pd.testing.assert_series_equal(persons_of(cells), persons_of(column(*numbers)))
    assert are_clear_persons(cells)
    assert person_violations(cells) == []


def test_blanks_around_and_the_composition_of_characters_do_not_count() -> None:
    cells = column(" Jos\u00e9", "Jose\u0301 ", "Jos\u00e9\u00a0")
    assert set(persons_of(cells)) == {"Jos\u00e9"}


INVISIBLE = st.sampled_from(["\ufeff", "\u200b", "\u200e", "\x00", "\u2028", " ", "\u00a0", "\t"])


@given(st.lists(INVISIBLE).map("".join), st.lists(INVISIBLE).map("".join))
def test_what_cannot_be_seen_around_an_identifier_does_not_count(before: str, after: str) -> None:
    """As where files were put together that each begin with a byte order mark."""
    found = persons_of(column(f"{before}p 1{after}", f"{before}7.0{after}", before))
    assert found[[2, 3]].tolist() == ["p 1", "7"]
    assert found.isna().tolist() == [False, False, True]


IDENTIFIERS = st.sampled_from(
    ["p", "p.1", "7", "7.0", "07", "0", "00", "-", "--", "none", "#REF!", "1E+11", "1e5", " p", ""]
)


@given(st.lists(IDENTIFIERS, min_size=1))
def test_what_is_clear_at_a_glance_is_what_breaks_no_requirement(persons: list[str]) -> None:
    cells = pd.Series(persons, dtype="str", name="patient")
    assert are_clear_persons(cells) == (person_violations(cells) == [])
    assert persons_of(cells).tolist() == persons_of(cells.astype(object)).tolist()


@pytest.mark.parametrize(
    "cell", ["-", "--", ".", "None", "unknown", "#N/A", "#REF!", "\u2014", "*"]
)
def test_a_word_or_a_mark_for_nobody_is_no_person(cell: str) -> None:
    (found,) = person_violations(column("p", cell, cell))
    assert (found.expected, found.rows) == ("a value", (3, 4))


@pytest.mark.parametrize("cell", ["1.23E+11", "1E+12", "4.5e+07"])
def test_an_identifier_that_a_spreadsheet_rounded_is_refused(cell: str) -> None:
    (found,) = person_violations(column("p", cell))
    assert (found.expected, found.rows) == ("an identifier with all its digits", (3,))
    assert person_violations(column("1E5", "E+11", "1.23")) == []


@pytest.mark.parametrize("cell", [True, np.bool_(False), b"p", ["p"], {"id": 1}, np.array([1])])
def test_what_is_neither_text_nor_a_number_is_no_identifier(cell: object) -> None:
    found = person_violations(column("p", cell))[0]
    assert (found.expected, found.rows) == ("an identifier that is text or a number", (3,))


@pytest.mark.parametrize("cell", [None, "", " ", "?", "NA", "NULL", "nan", "n/a", np.nan, pd.NA])
def test_a_missing_person_is_named_by_its_row(cell: object) -> None:
    (found,) = person_violations(column("p", cell, "q"))
    assert (found.expected, found.rows, found.count) == ("a value", (3,), 1)


@pytest.mark.parametrize("cells", [["007", "7", "8"], ["00", "8", 0], ["-1", "01", 1.0, "9"]])
def test_a_number_with_and_without_leading_zeros_is_refused(cells: list[object]) -> None:
    """It may be one person or two; alone, either is taken as it stands."""
    (found,) = person_violations(column(*cells))
    assert found.count == 2
    assert "leading zeros" in str(found)
    assert persons_of(column("007", "008")).tolist() == ["007", "008"]
    assert person_violations(column("007", "008", "7a")) == []


@pytest.mark.parametrize(
    ("cells", "n_inexact"),
    [
        ([2.0**53, 2.0**53 - 1, 2**60], 1),
        ([1.2345678901234567e17, "123456789012345678"], 1),
        ([float("inf"), "p"], 1),
        ([12.1, 12.0, "12.10"], 1),
    ],
)
def test_a_float_that_may_stand_for_several_numbers_is_refused(
    cells: list[object], n_inexact: int
) -> None:
    (found,) = person_violations(column(*cells))
    assert found.count == n_inexact
    assert "exactly" in str(found)


@pytest.mark.parametrize("dtype", ["float32", "Float32"])
def test_a_short_float_is_exact_for_fewer_numbers(dtype: str) -> None:
    (found,) = person_violations(pd.Series([2**24, 2**24 - 1], dtype=dtype, name="patient"))
    assert (found.rows, found.count) == ((0,), 1)


@pytest.mark.parametrize("dtype", ["object", "str", "category", "string"])
def test_persons_and_sides_are_the_same_in_every_type_of_column(dtype: str) -> None:
    cells = pd.Series(["7.0", None, "p", " 7"], dtype=dtype, name="patient")
    persons = persons_of(cells)
    assert persons[[0, 2, 3]].tolist() == ["7", "p", "7"]
    assert persons.isna().tolist() == [False, True, False, False]
    assert [one.rows for one in person_violations(cells)] == [(1,)]
    sides = pd.Series(["train", None, "test", "dev"], dtype=dtype, name="side")
    assert [one.rows for one in side_violations(sides)] == [(1, 3)]


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float64", "int64[pyarrow]"])
def test_a_column_of_numbers_may_lack_one(dtype: str) -> None:
    cells = pd.Series([7, None, 8], dtype=dtype, name="patient")
    assert [one.rows for one in person_violations(cells)] == [(1,)]
    assert persons_of(cells).dropna().tolist() == ["7", "8"]


def test_no_identifier_is_quoted() -> None:
    cells = column("000123456789", 123456789, None, 9.87654321e17)
    told = "; ".join(map(str, person_violations(cells)))
    assert "123456789" not in told
    assert "987654321" not in told


@given(st.text() | st.none() | st.sampled_from(["Train", "TEST", "train ", "dev", "validation"]))
def test_only_train_and_test_are_sides(side: str | None) -> None:
    found = side_violations(column("train", side, "test"))
    assert [one.rows for one in found] == ([] if side in SIDES else [(3,)])
