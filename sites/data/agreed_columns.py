"""Give the records of a source the columns and cells that the agreed schema speaks of.

What a source calls its columns, and how it writes its numbers, dates and missing values, is what
its `Reading` says. Nothing is guessed: what does not fit is refused, by its rows.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from privacy.errors import unknown_name
from sites.data.cells import (
    MISSING,
    MIXED_DECIMALS,
    SHOWN,
    Cells,
    Violation,
    cell_text,
    mixes_decimals,
    translated_cells,
)
from sites.data.reading import AS_DECLARED, SIGN_NAMES, BadReading, DateForm, Reading
from sites.data.validation import BadTable, MissingColumns
from sites.schema.tables import Category, ClassLabel, Number, NumberLabel, Schema, declared_values
from sites.schema.texts import AnySchema, EntitySchema

OF_SENTENCES = ("tokens", "tags", "text")
_PYTHON_FORMS: Mapping[str, str] = {
    "YYYY-MM-DD": "%Y-%m-%d",
    "DD.MM.YYYY": "%d.%m.%Y",
    "DD/MM/YYYY": "%d/%m/%Y",
    "MM/DD/YYYY": "%m/%d/%Y",
    "YYYYMMDD": "%Y%m%d",
}
_CLOCK = re.compile(r"[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?$")
_EPOCH = datetime(1970, 1, 1)
_DAY_SECONDS = 86_400
# Days from the serial number 0 to 1970-01-01. Excel counts a 29 February 1900, which never was, so
# that the numbers up to it mean other days than they say.
_EXCEL_EPOCHS: Mapping[str, int] = {"excel": 25_569, "excel-1904": 24_107}
_FIRST_SERIAL = 61
_BYTES = 16

Item: TypeAlias = Number | NumberLabel | Category | ClassLabel
Value: TypeAlias = str | float | None


def agreed_columns(
    frame: pd.DataFrame,
    reading: Reading,
    schema: AnySchema,
    *,
    labelled: bool = True,
    beside: Sequence[str] = (),
) -> pd.DataFrame:
    """Return records with the schema's columns, read as `reading` says; rows and index stay.

    Columns that are not named stay as they are. A person that is made up for a row depends on what
    the row holds and not on where it stands: it is the same in every copy of the file.

    Args:
        frame: The records as they are in their source.
        reading: What was said of them.
        schema: The agreed schema.
        labelled: Whether label and person are needed.
        beside: Columns that may be named besides those of the schema, such as that of sides.

    Raises:
        BadReading: A word names no column of the schema, or contradicts what is in the records.
        MissingColumns: A column that a word names is not in the records.
        BadTable: Cells are not written as the words say; the message names the rows.
    """
    if reading == AS_DECLARED:
        return frame
    _require_known_columns(reading, schema, beside)
    items = schema_items(schema)
    needed = (
        {*schema.columns} if labelled else {one.name for one in getattr(schema, "features", ())}
    )
    named = _rename_columns(frame, reading.columns, needed=needed)
    found = _with_missing(named, reading, items, person=schema.person)
    found = found.assign(
        **{
            name: translated_cells(found[name], meanings)
            for name, meanings in reading.values.items()
            if name in found.columns
        }
    )
    found = _with_numbers(found, reading, items)
    if labelled and reading.persons == "rows":
        found = _with_made_up_persons(found, schema)
    return found


def schema_items(schema: AnySchema) -> dict[str, Item]:
    """Return the features and the label's columns whose cells a schema declares, by name."""
    if isinstance(schema, Schema):
        columns = {item.column: item for item in schema.label_columns}
        return {**{item.name: item for item in schema.features}, **columns}
    label = schema.label
    return {label.column: label} if isinstance(label, ClassLabel) else {}


def _require_known_columns(reading: Reading, schema: AnySchema, beside: Sequence[str]) -> None:
    of_sentences = OF_SENTENCES if isinstance(schema, EntitySchema) else ()
    known = [*schema.columns, *of_sentences, *beside]
    for name in reading.named_columns:
        if name not in known:
            raise BadReading(
                "columns are named as the schema does, column:OURS=THEIRS, and "
                f"{unknown_name(name, known, kind='column')}"
            )
    items = schema_items(schema)
    _require_declared_values(reading, items)
    numbers = [n for n, item in items.items() if isinstance(item, Number | NumberLabel)]
    for name in reading.dates:
        if name not in numbers:
            raise BadReading(
                f"date:{name} says how dates are written, but in the schema {name} is no number: "
                "a date becomes the number of days since 1970-01-01"
            )


def _require_declared_values(reading: Reading, items: Mapping[str, Item]) -> None:
    for name, meanings in reading.values.items():
        item = items.get(name)
        if not isinstance(item, Category | ClassLabel):
            raise BadReading(
                f"values:{name} says what values mean, but in the schema {name} declares none"
            )
        known = declared_values(item)
        for theirs, ours in meanings.items():
            if ours not in known:
                raise BadReading(
                    f"values:{name}:{theirs}={ours}: {unknown_name(ours, known, kind='value')}"
                )


def _rename_columns(
    frame: pd.DataFrame, columns: Mapping[str, str], *, needed: set[str]
) -> pd.DataFrame:
    """Return the records as `renamed_columns` does; columns that are not needed may be absent."""
    have = [str(name) for name in frame.columns]
    absent = [f"{ours}={theirs}" for ours, theirs in columns.items() if theirs not in have]
    lacking = [pair for pair in absent if pair.partition("=")[0] in needed]
    if lacking:
        raise MissingColumns(
            f"the records lack the columns of {', '.join(f'column:{pair}' for pair in lacking)}; "
            f"they have {', '.join(sorted(have))}",
            columns=len(lacking),
        )
    return renamed_columns(frame, columns)


def renamed_columns(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return the records under the schema's names; a column that a named one replaces is left out.

    Args:
        frame: The records as they are in their source.
        columns: The source's name of a column, by that of the schema.
    """
    have = [str(name) for name in frame.columns]
    ours = {theirs: name for name, theirs in columns.items() if theirs in have}
    kept = [name for name in have if name in ours or name not in ours.values()]
    return frame[kept].rename(columns=ours)


def _with_missing(
    frame: pd.DataFrame, reading: Reading, items: Mapping[str, Item], *, person: str
) -> pd.DataFrame:
    """Return records in which the codes of missing values are missing values."""
    changed: dict[str, Cells] = {}
    for name in [str(column) for column in frame.columns]:
        own = reading.missing_in.get(name, ())
        general = reading.missing if name in items and name != person else ()
        if not own and not general:
            continue
        texts = frame[name].map(cell_text)
        for code in general:
            if code not in own and may_be_value(code, items[name]) and (texts == code).any():
                raise BadReading(
                    f"missing:{code} may be a value of {name}, and stands there: say in which "
                    f"columns it means missing, as in missing:{name}={code}"
                )
        meant = texts.isin([*own, *general])
        changed[name] = (
            frame[name].mask(meant, "")
            if _is_text(frame[name])
            else (frame[name].astype(object).mask(meant, None))
        )
    return frame.assign(**changed)


def _is_text(cells: Cells) -> bool:
    return isinstance(cells.dtype, pd.StringDtype)


def may_be_value(code: str, item: Item) -> bool:
    """Return whether a code could also be a value of a column."""
    match item:
        case Number(low=low, high=high) | NumberLabel(low=low, high=high):
            try:
                return low <= float(code) <= high
            except ValueError:
                return False
        case Category() | ClassLabel():
            return code in declared_values(item)


def _with_numbers(frame: pd.DataFrame, reading: Reading, items: Mapping[str, Item]) -> pd.DataFrame:
    """Return records in which numbers and dates that were written as text are numbers."""
    plain = reading.decimal == "." and reading.thousands is None
    number = number_reader(reading)
    changed: dict[str, Cells] = {}
    wrong: list[Violation] = []
    for name, item in items.items():
        if name not in frame.columns or not isinstance(item, Number | NumberLabel):
            continue
        form = reading.dates.get(name)
        if form is None and plain:
            continue
        read = number if form is None else date_reader(form, number)
        expected = _written_number(reading) if form is None else f"a date as {form}"
        cells = frame[name]
        once = {cell: read(cell) for cell in cells.unique()} if _is_text(cells) else read
        values = cells.astype(object).map(once)
        unread = values.map(lambda value: isinstance(value, str)).to_numpy(dtype=bool)
        if unread.any():
            wrong.append(_unread_violation(cells, unread, expected))
        else:
            changed[name] = values.astype(np.float64)
    if wrong:
        raise BadTable(wrong)
    return frame.assign(**changed)


def _written_number(reading: Reading) -> str:
    thousands = reading.thousands
    within = f" and the {SIGN_NAMES[thousands]} between thousands" if thousands else ""
    return f"a number with the decimal {SIGN_NAMES[reading.decimal]}{within}"


def _unread_violation(
    cells: Cells, wrong: "np.ndarray[Any, np.dtype[np.bool_]]", expected: str
) -> Violation:
    first = cells[wrong].head(SHOWN)
    return Violation(
        column=str(cells.name),
        expected=expected,
        count=int(wrong.sum()),
        rows=tuple(int(row) for row in first.index),
        values=tuple(f" ({value!r})" for value in first),
        advice=MIXED_DECIMALS
        if mixes_decimals(cells)
        else "correct it, leave it empty where it is missing, or change the word that says so",
    )


def number_reader(reading: Reading) -> Callable[[object], Value]:
    """Return what reads a cell: a number, None if it is missing, or its text if it is neither."""
    decimal = re.escape(reading.decimal)
    between = {" ": "[ \u00a0\u202f]", "'": "['\u2019]", None: ""}.get(
        reading.thousands, re.escape(reading.thousands or "")
    )
    whole = rf"\d{{1,3}}(?:{between}\d{{3}})+|\d+" if between else r"\d+"
    written = re.compile(rf"[+-]?(?:(?:{whole})(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?")

    def read(cell: object) -> Value:
        if not isinstance(cell, str):
            return _number_of(cell)
        text = cell.strip()
        if text.casefold() in MISSING:
            return None
        if not written.fullmatch(text):
            return text
        bare = re.sub(between, "", text) if between else text
        return float(bare.replace(reading.decimal, "."))

    return read


def _number_of(cell: object) -> Value:
    """Return a cell that is no text as a number; a text if it is none, as a truth value is."""
    if isinstance(cell, bool | np.bool_):
        return cell_text(cell)
    if cell is None or cell is pd.NaT or cell is pd.NA:
        return None
    return float(cell) if isinstance(cell, int | float | Decimal | np.number) else cell_text(cell)


def date_reader(form: DateForm, number: Callable[[object], Value]) -> Callable[[object], Value]:
    """Return what reads a date: days since 1970-01-01, None, or its text if it is none."""

    def read(cell: object) -> Value:
        if cell is None or cell is pd.NaT or cell_text(cell).casefold() in MISSING:
            return None
        if isinstance(cell, date):  # a database and Parquet say themselves what is a date
            moment = cell if isinstance(cell, datetime) else datetime(*cell.timetuple()[:3])
            return (moment.replace(tzinfo=None) - _EPOCH).total_seconds() / _DAY_SECONDS
        if form in _EXCEL_EPOCHS:
            return _days_of_serial(number(cell), form, cell_text(cell))
        return _days_of_text(cell_text(cell), _PYTHON_FORMS[form])

    return read


def _days_of_serial(serial: Value, form: DateForm, text: str) -> Value:
    first = _FIRST_SERIAL if form == "excel" else 0
    if not isinstance(serial, float) or not serial >= first:
        return text
    return serial - _EXCEL_EPOCHS[form]


def _days_of_text(text: str, form: str) -> Value:
    clock = _CLOCK.search(text)
    day = text[: clock.start()] if clock else text
    try:
        whole = datetime.strptime(day, form)
        part = datetime.fromisoformat(f"1970-01-01T{clock[0][1:]}") - _EPOCH if clock else None
    except ValueError:
        return text
    seconds = part.total_seconds() if part else 0.0
    return (whole - _EPOCH).days + seconds / _DAY_SECONDS


def _with_made_up_persons(frame: pd.DataFrame, schema: AnySchema) -> pd.DataFrame:
    if schema.person in frame.columns:
        raise BadReading(
            f"persons:rows says that no column says whose a record is, but there is a column "
            f"'{schema.person}': leave that word out"
        )
    of_sentences = OF_SENTENCES if isinstance(schema, EntitySchema) else ()
    names = [name for name in (*schema.columns, *of_sentences) if name in frame.columns]
    seen: Counter[str] = Counter()
    persons = []
    for row in zip(*(frame[name].astype(object).map(cell_text) for name in names), strict=True):
        digest = hashlib.blake2b(
            "\x1f".join(row).encode(errors="surrogatepass"), digest_size=_BYTES
        ).hexdigest()
        seen[digest] += 1
        persons.append(f"{digest}-{seen[digest]}")
    return frame.assign(**{schema.person: persons})
