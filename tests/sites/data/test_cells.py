"""Laws of cells: the same value says the same in every type, and half a character is found."""

import unicodedata
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.cells import (
    MISSING,
    Violation,
    cell_text,
    declared_value,
    has_half_character,
    text_if_present,
)


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_written_without_a_fraction(number: int) -> None:
    forms = (number, float(number), np.int64(number), np.float64(number), Decimal(f"{number}.0"))
    assert {cell_text(form) for form in forms} == {str(number)}


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (" a b ", "a b"),
        ("1.0", "1.0"),
        (True, "True"),
        (np.bool_(False), "False"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.50"),
        (None, ""),
        (float("inf"), "inf"),
        (Decimal("Infinity"), "Infinity"),
    ],
)
def test_other_cells_keep_their_text(cell: object, text: str) -> None:
    assert cell_text(cell) == text


@pytest.mark.parametrize("cell", [None, "", " NA ", float("nan"), pd.NA, pd.NaT, Decimal("NaN")])
def test_a_missing_value_is_one_in_every_type(cell: object) -> None:
    assert text_if_present(cell_text(cell)) is None


@given(st.text(st.characters(categories=["L", "M"]), min_size=1))
def test_a_declared_value_is_met_however_its_characters_are_composed(text: str) -> None:
    for form in ("NFC", "NFD"):
        declared = (unicodedata.normalize(form, text), "other")
        for cell in ("NFC", "NFD"):
            assert declared_value(unicodedata.normalize(cell, text), declared) == declared[0]


@pytest.mark.parametrize(
    ("text", "values", "meant"),
    [
        ("1.0", ("0", "1"), "1"),
        ("True", ("0", "1"), "1"),
        ("1e1", ("9", "10"), "10"),
        ("1_0", ("9", "10"), "1_0"),
        ("\u0661", ("0", "1"), "\u0661"),
        ("01", ("1", "1.0"), "01"),
        ("12345678901234567", ("12345678901234568", "x"), "12345678901234567"),
        ("NA", ("x", "y"), None),
        ("NA", ("NA", "y"), "NA"),
    ],
)
def test_only_the_same_number_in_digits_is_the_same_value(
    text: str, values: tuple[str, ...], meant: str | None
) -> None:
    assert declared_value(text, values) == meant


@given(st.text())
def test_a_text_is_present_unless_it_is_a_word_for_missing(text: str) -> None:
    assert (text_if_present(text) is None) == (text.casefold() in MISSING)


@given(st.text(), st.characters(categories=["Cs"]), st.text())
def test_half_a_character_is_found_wherever_it_stands(before: str, half: str, after: str) -> None:
    """And nothing else is taken for one."""
    assert has_half_character(before + half + after)
    assert not has_half_character(before + after)


def test_a_violation_says_what_was_needed_what_came_and_what_to_do() -> None:
    found = Violation(
        column="age", expected="a number", count=3, rows=(2, 4), values=(" ('x')", ""), advice="fix"
    )
    assert str(found) == "age: expected a number, not so in 3 rows: 2 ('x'), 4, ...; fix"
