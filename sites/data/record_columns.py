"""The columns that records of every kind have: whose a record is, and its side of the split.

What is a person and what is a side is decided here alone, for tables, notes and sentences.
"""

import re
import unicodedata
from collections import Counter

import numpy as np
import pandas as pd

from sites.data.cells import MISSING, PRESENT, SHOWN, Cells, Violation, cell_text, text_if_present

SIDES = ("train", "test")
_PLAIN = "[!-\\-/-~]+"  # printable ASCII without blanks and points
_WHOLE = re.compile(r"(-?[0-9]+)\.0*")


def persons_of(cells: Cells) -> Cells:
    """Return whose each record is, as text; None where that is missing.

    Guarantee: blanks around an identifier do not count, nor how Unicode composes its characters.
    A whole number is the same person in any type and as text: 123, 123.0, "123" and "123.0".
    Otherwise persons are the same only if their texts are.
    """
    if _are_plain(cells):
        return cells
    texts = cells.astype(object).map(cell_text).astype(object)
    return texts.map({text: _person(text) for text in texts.unique()}).astype(object)


def are_clear_persons(cells: Cells) -> bool:
    """Return whether it can be told whose each record is: `person_violations` says no cell."""
    if _are_plain(cells):
        numbers = cells[cells.str.fullmatch("[0-9]+")]
        led = numbers.str.startswith("0")
        zeros, others = numbers[led].drop_duplicates(), numbers[~led]
        bare = zeros.str.lstrip("0")
        return not (bare.duplicated().any() or others.isin(bare).any())
    return not person_violations(cells)


def _are_plain(cells: Cells) -> bool:
    """Return whether all cells are texts that are persons as they stand, as most are.

    A cell is not plain if it might be missing, have blanks around it, be composed in several ways,
    or be a whole number with a fraction. Then False is returned.
    """
    if not isinstance(cells.dtype, pd.StringDtype) or not cells.str.fullmatch(_PLAIN).all():
        return False
    return not cells.str.lower().isin(MISSING).any()


def person_violations(cells: Cells) -> list[Violation]:
    """Return why it cannot be told whose some records are; no identifier is quoted.

    A person is missing, or is a number too large for its type to hold exactly; or one identifier
    stands with and without leading zeros, which may be one person or two.
    """
    persons = persons_of(cells)
    kind = cells.dtype if cells.dtype.kind == "f" else np.dtype(np.float64)
    limit = 2 / float(np.finfo(str(kind).lower()).eps)
    inexact = cells.astype(object).map(lambda cell: _is_float_from(limit, cell))
    found = [
        _violation(cells, persons.isna(), PRESENT, "fill it in, or leave the row out"),
        _violation(
            cells,
            inexact.astype(bool),
            "an identifier that a floating-point number holds exactly",
            "keep it as text or as a whole number, in a query with CAST(... AS TEXT)",
        ),
        _violation(
            cells,
            persons.isin(_with_and_without_zeros(persons)),
            "one way to write an identifier",
            "some stand with and without leading zeros: write them in one way",
        ),
    ]
    return [one for one in found if one]


def side_violations(cells: Cells) -> list[Violation]:
    """Return which records are on neither side of a split that came with them.

    A side is `train` or `test`, in exactly this spelling.
    """
    wrong = ~cells.isin(SIDES)
    found = _violation(
        cells,
        wrong,
        f"one of {', '.join(SIDES)}",
        "use this spelling, or leave the row out",
        values=tuple(f" ({cell!r})" for cell in cells[wrong].head(SHOWN)),
    )
    return [found] if found else []


def _is_float_from(limit: float, cell: object) -> bool:
    """Return whether a float is so large that other whole numbers may have become the same."""
    return isinstance(cell, float | np.floating) and abs(float(cell)) >= limit


def _person(text: str) -> str | None:
    composed = unicodedata.normalize("NFC", text)
    whole = _WHOLE.fullmatch(composed)
    return whole[1] if whole else text_if_present(composed)


def _with_and_without_zeros(persons: Cells) -> list[str]:
    """Return the whole numbers that also stand with another number of leading zeros."""
    numbers = [one for one in persons.dropna().unique() if one.isascii() and one.isdecimal()]
    forms = Counter(number.lstrip("0") for number in numbers)
    return [number for number in numbers if forms[number.lstrip("0")] > 1]


def _violation(
    cells: Cells,
    wrong: "pd.Series[bool]",
    expected: str,
    advice: str,
    *,
    values: tuple[str, ...] | None = None,
) -> Violation | None:
    rows = tuple(int(row) for row in np.asarray(cells.index[wrong.to_numpy(dtype=bool)])[:SHOWN])
    if not rows:
        return None
    return Violation(
        column=str(cells.name),
        expected=expected,
        count=int(wrong.sum()),
        rows=rows,
        values=values or ("",) * len(rows),
        advice=advice,
    )
