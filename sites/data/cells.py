"""What a cell of any table says, and how the cells that break a requirement are named."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

Cells: TypeAlias = "pd.Series[Any]"

MISSING = frozenset({"", "?", "na", "n/a", "nan", "nat", "null", "<na>"})
PRESENT = "a value"
SHOWN = 5
# With more digits, two numbers may be the same float.
_NUMBER = re.compile(
    r"[+-]?(?=[0-9.]{1,16}(?:e|$))(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]{1,2})?", re.I
)


_WITH_COMMA = re.compile(r"[+-]?\d+,(?!\d{3}$)\d+")
_WITH_POINT = re.compile(r"[+-]?\d+\.(?!\d{3}$)\d+")
MIXED_DECIMALS = (
    "some numbers of this column have a decimal comma and others a decimal point: write all of "
    "them in one way, and say decimal:comma if it is the comma"
)


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One requirement that cells of a column break.

    Args:
        column: Its name.
        expected: What its values must be.
        count: Number of values that are not.
        rows: The rows of the first of them.
        values: The first of them, in brackets; empty text where a value is missing.
        advice: What to do.
    """

    column: str
    expected: str
    count: int
    rows: tuple[int, ...]
    values: tuple[str, ...]
    advice: str

    def __str__(self) -> str:
        shown = ", ".join(
            f"{row}{value}" for row, value in zip(self.rows, self.values, strict=True)
        )
        more = ", ..." if self.count > len(self.rows) else ""
        rows = "row" if self.count == 1 else f"{self.count} rows:"
        where = f"not so in {rows} {shown}{more}"
        return f"{self.column}: expected {self.expected}, {where}; {self.advice}"


def cell_text(cell: object) -> str:
    """Return the cell as text, a whole number without a fraction; "" if there is nothing."""
    match cell:
        case str() | None:
            return (cell or "").strip()
        case bool() | np.bool_():
            return str(bool(cell))
        case int() | np.integer():
            return str(int(cell))
        case float() | np.floating():
            return str(int(cell)) if float(cell).is_integer() else str(float(cell))
        case Decimal() if cell.is_finite() and cell == cell.to_integral_value():
            return str(int(cell))
        case _:
            return str(cell)


def code_text(cell: object) -> str:
    """Return the cell as text; a number is no code, as it lost its zeros: 250.10, 008."""
    text = cell_text(cell)
    is_number = not isinstance(cell, str) and text_if_present(text) is not None
    return f"number {text}" if is_number else text


def text_if_present(text: str) -> str | None:
    """Return the text, or None if it is one of `MISSING`."""
    return None if text.casefold() in MISSING else text


def declared_value(text: str, values: Sequence[str]) -> str | None:
    """Return the declared value that a text means; else the text, or None if it is missing.

    The same number, or the same truth value, is the same in any form, and so is a text however
    Unicode composes its characters, unless more than one of these forms is declared.
    """
    if text in values:
        return text
    # Only if exactly one declared value matches: "1" and "1.0" may both be declared.
    same = [value for value in values if _canonical_text(value) == _canonical_text(text)]
    return same[0] if len(same) == 1 else text_if_present(text)


def translated_cells(cells: Cells, meanings: Mapping[str, str]) -> Cells:
    """Return the cells as texts, with what each means in place of it; others as they are.

    Args:
        cells: The cells of a column.
        meanings: The meaning of a cell, by its text; the same number in any form is the same.
    """
    texts = cells.astype(object).map(cell_text)
    known = [*meanings]
    return texts.map(
        {text: meanings.get(declared_value(text, known) or "", text) for text in texts.unique()}
    )


def mixes_decimals(cells: Cells) -> bool:
    """Return whether some cells are numbers with a decimal comma, and some with a point.

    Three digits after a sign may be thousands, so that they tell nothing.
    """
    texts = {cell_text(cell) for cell in cells}
    return all(any(map(written.fullmatch, texts)) for written in (_WITH_COMMA, _WITH_POINT))


def _canonical_text(text: str) -> str:
    lowered = text.casefold()
    if lowered in {"true", "false"}:
        return str(int(lowered == "true"))
    if not _NUMBER.fullmatch(text):
        return unicodedata.normalize("NFC", text)
    number = float(text)
    return str(int(number)) if number.is_integer() else str(number)


def has_half_character(text: str) -> bool:
    """Return whether a text holds one half of a UTF-16 pair, as JSON can write it.

    No file in UTF-8 can hold that, and no tokenizer reads it.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
