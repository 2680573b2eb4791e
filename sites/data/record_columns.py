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
# Printable ASCII with a letter or a digit, without blanks, points and plus signs.
_PLAIN = r"[!-*,\-/-~]*[0-9A-Za-z][!-*,\-/-~]*"
_ROUNDED = r"[+-]?[0-9](?:\.[0-9]+)?[eE]\+[0-9]{2,3}"
# Words that stand for nobody, beside those for a missing value in any column.
_NOBODY = frozenset(
    {"none", "nil", "n.a.", "unknown", "undefined"}
    | {"#n/a", "#ref!", "#value!", "#name?", "#div/0!", "#null!", "#num!"}
)
_NO_IDENTIFIERS = (bool, np.bool_, bytes, list, tuple, dict, np.ndarray)
_WHOLE = re.compile(r"(-?[0-9]+)\.0*")


def persons_of(cells: Cells) -> Cells:
    """Return whose each record is, as text; None where that is missing.

    Guarantee: blanks and invisible characters around an identifier do not count, nor how Unicode
    composes its characters.
    A whole number is the same person in any type and as text: 123, 123.0, "123" and "123.0".
    Otherwise persons are the same only if their texts are.
    """
    if _are_plain(cells):
        return cells
    if _are_whole_numbers(cells):
        return pd.Series(map(str, cells.tolist()), cells.index, object, name=cells.name)
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
    return _are_whole_numbers(cells) or not person_violations(cells)


def _are_whole_numbers(cells: Cells) -> bool:
    """Return whether the type of the cells holds whole numbers only: none is missing or rounded."""
    return isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "iu"


def _are_plain(cells: Cells) -> bool:
    """Return whether all cells are texts that are persons as they stand, as most are.

    A cell is not plain if it might be missing, have blanks around it, be composed in several ways,
    or be a whole number with a fraction. Then False is returned.
    """
    if not isinstance(cells.dtype, pd.StringDtype) or not cells.str.fullmatch(_PLAIN).all():
        return False
    return not cells.str.lower().isin(MISSING | _NOBODY).any()


def person_violations(cells: Cells) -> list[Violation]:
    """Return why it cannot be told whose some records are; no identifier is quoted.

    A person is missing, is no text or number, or is a number that its type may not hold exactly or
    that a spreadsheet rounded; or one identifier stands with and without leading zeros, which may
    be one person or two.
    """
    persons = persons_of(cells)
    kind = cells.dtype if cells.dtype.kind == "f" else np.dtype(np.float64)
    limit = 2 / float(np.finfo(str(kind).lower()).eps)
    objects = cells.astype(object)
    inexact = objects.map(lambda cell: _is_inexact(limit, cell))
    found = [
        _violation(cells, persons.isna(), PRESENT, "fill it in, or leave the row out"),
        _violation(
            cells,
            objects.map(lambda cell: isinstance(cell, _NO_IDENTIFIERS)).astype(bool),
            "an identifier that is text or a number",
            "name the column that says whose a record is, and keep it as text",
        ),
        _violation(
            cells,
            inexact.astype(bool),
            "an identifier that a floating-point number holds exactly",
            "keep it as text or as a whole number, in a query with CAST(... AS TEXT)",
        ),
        _violation(
            cells,
            persons.str.fullmatch(_ROUNDED).fillna(False).astype(bool),
            "an identifier with all its digits",
            "a spreadsheet rounded it: make it a column of text there, and export it again",
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


def _is_inexact(limit: float, cell: object) -> bool:
    """Return whether other identifiers may have become the same float: 2**53 + 1, or 12.10."""
    if not isinstance(cell, float | np.floating) or np.isnan(cell):
        return False
    return abs(float(cell)) >= limit or not float(cell).is_integer()


def _person(text: str) -> str | None:
    composed = unicodedata.normalize("NFC", _visible(text))
    whole = _WHOLE.fullmatch(composed)
    if whole:
        return whole[1]
    named = any(map(str.isalnum, composed)) and composed.casefold() not in _NOBODY
    return text_if_present(composed) if named else None


def _visible(text: str) -> str:
    """Return the text without blanks, control and format characters at its ends."""
    shown = [at for at, one in enumerate(text) if one.isprintable() and not one.isspace()]
    return text[shown[0] : shown[-1] + 1] if shown else ""


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
