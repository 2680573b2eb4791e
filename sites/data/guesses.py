"""How the records of a source seem to be written: what to propose to a person, never for a run."""

import codecs
import csv
import difflib
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from sites.data.agreed_columns import (
    OF_SENTENCES,
    Item,
    Value,
    date_reader,
    may_be_value,
    number_reader,
    schema_items,
)
from sites.data.cells import MISSING, Cells, cell_text
from sites.data.plain_text import open_bytes
from sites.data.reading import SIGN_NAMES, UTF_8, DateForm, Reading
from sites.data.source import DataSource, TableFile
from sites.schema.tables import Category, Number, NumberLabel
from sites.schema.texts import AnySchema, EntitySchema

Reader: TypeAlias = Callable[[object], Value]
Texts: TypeAlias = "pd.Series[Any]"
Signs: TypeAlias = tuple[str, str | None]

_EVEN_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
OR = ", or "  # between words of which a person has to choose
SIGNS: tuple[Signs, ...] = (
    (".", None),
    (",", None),
    (",", "."),
    (".", ","),
    (",", " "),
    (".", " "),
    (".", "'"),
)
TEXT_FORMS: tuple[DateForm, ...] = (
    "YYYY-MM-DD",
    "DD.MM.YYYY",
    "DD/MM/YYYY",
    "MM/DD/YYYY",
    "YYYYMMDD",
)
_MOST_CODES = 3  # different texts in a column that may stand for a missing value
_ALIKE = 0.75
_ANY_NUMBER = Number(name="any", low=-1e300, high=1e300)
_CODE = re.compile(r"[-.?*]+|-?9+|-1|unknown|unbekannt|missing|none", re.I)


def words_for_file(source: DataSource) -> list[str]:
    """Return words for how a CSV or TSV file seems to be written, where it is not as declared.

    There are none for a file that cannot be read: who reads its records says why.
    """
    ending = source.path.name.removesuffix(".gz") if isinstance(source, TableFile) else ""
    if not isinstance(source, TableFile) or not ending.endswith((".csv", ".tsv")):
        return []
    try:
        return _words_for_file(source, "\t" if ending.endswith(".tsv") else ",")
    except (OSError, EOFError, zlib.error):  # such as a compressed file that was cut off
        return []


def _words_for_file(source: TableFile, separator: str) -> list[str]:
    words = []
    encoding = source.encoding if source.encoding != UTF_8 else _encoding_of(source.path)
    if encoding != source.encoding:
        words.append(f"encoding:{encoding}")
    with open_bytes(source.path) as file:
        head = file.readline() if encoding != "utf-16" else file.read()
    lines = head.decode(encoding, errors="replace").splitlines()[:1]
    found = {sign: len(next(csv.reader(lines, delimiter=sign), [])) for sign in ",;\t|"}
    declared = source.separator or separator
    best = max(found, key=lambda sign: (found[sign], sign == declared))
    if found[declared] == 1 and found[best] > 1:
        words.append(f"separator:{SIGN_NAMES[best]}")
    return words


def _encoding_of(path: Path) -> str:
    with open_bytes(path) as file:
        start = file.read(2)
        if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        decoder = codecs.getincrementaldecoder(UTF_8)()
        try:
            for block in chain([start], iter(lambda: file.read(1 << 20), b"")):
                decoder.decode(block)
        except UnicodeDecodeError:
            return "cp1252"
    return UTF_8


def needed_columns(schema: AnySchema) -> list[str]:
    """Return the columns that records must have to be trained on."""
    if isinstance(schema, EntitySchema):
        return [*OF_SENTENCES[:2], schema.person]
    return [*schema.columns]


def words_for_columns(have: Sequence[str], reading: Reading, schema: AnySchema) -> list[str]:
    """Return words for columns that are called nearly as the schema calls them."""
    needed = needed_columns(schema)
    taken = {*needed, *reading.columns.values()}
    free = {_letters_of(name): name for name in have if name not in taken}
    words = []
    for name in needed:
        if name in have or name in reading.columns:
            continue
        close = difflib.get_close_matches(_letters_of(name), free, n=1, cutoff=_ALIKE)
        if close:
            words.append(f"column:{name}={free.pop(close[0])}")
    return words


def _letters_of(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def words_for_signs(frame: pd.DataFrame, reading: Reading, schema: AnySchema | None) -> list[str]:
    """Return words for the signs with which most numbers lie within their bounds.

    If as many do with other signs, as other numbers, what to choose from is one text, with `OR`.

    Args:
        frame: The records under the schema's names, as they are written.
        reading: What was said of them.
        schema: The agreed schema; without one, any column may hold numbers of any size.
    """
    any_column = {str(name): _ANY_NUMBER for name in frame.columns}
    items = any_column if schema is None else _numbers(frame, schema)
    columns = [
        (texts_of(frame[name]), item) for name, item in items.items() if name not in reading.dates
    ]
    told = {
        signs: [
            _fitting_numbers(texts, reader_with_signs(reading, signs), item)
            for texts, item in columns
        ]
        for signs in ((reading.decimal, reading.thousands), *SIGNS)
    }
    best, *others = sorted(told, key=lambda signs: -sum(map(len, told[signs])))
    if best == (reading.decimal, reading.thousands):
        return []
    even = [
        signs
        for signs in others
        if sum(map(len, told[signs])) == sum(map(len, told[best])) and told[signs] != told[best]
    ]
    return (
        [OR.join(" and ".join(_words_of(one, reading)) for one in (best, *even))]
        if even
        else (_words_of(best, reading))
    )


def reader_with_signs(reading: Reading, signs: Signs) -> Reader:
    """Return what reads a number that is written with other signs than was said."""
    decimal, thousands = signs
    return number_reader(reading.model_copy(update={"decimal": decimal, "thousands": thousands}))


def _words_of(signs: Signs, reading: Reading) -> list[str]:
    decimal, thousands = signs
    words = [f"decimal:{SIGN_NAMES[decimal]}"] if decimal != reading.decimal else []
    return words + ([f"thousands:{SIGN_NAMES[thousands]}"] if thousands else [])


def words_for_dates(frame: pd.DataFrame, reading: Reading, schema: AnySchema) -> list[str]:
    """Return words for columns of numbers that hold dates; one for each form that fits."""
    words = []
    read = number_reader(reading)
    for name, item in _numbers(frame, schema).items():
        texts = texts_of(frame[name])
        if name in reading.dates or len(_fitting_numbers(texts, read, item)) * 2 >= len(texts):
            continue
        forms = date_forms(texts, reading)
        serial = date_reader("excel", read)
        if not forms and len(_fitting_numbers(texts, serial, item)) * 2 > len(texts):
            forms = ["excel"]
        words += [f"date:{name}={form}" for form in forms]
    return words


def date_forms(texts: Texts, reading: Reading) -> list[DateForm]:
    """Return the forms of dates that texts may have, but for a few that are codes."""
    number = number_reader(reading)
    found: list[DateForm] = []
    for form in TEXT_FORMS:
        read = date_reader(form, number)
        odd = {text for text in texts.unique() if not isinstance(read(text), float)}
        if len(odd) <= min(_MOST_CODES, texts.nunique() - 1) and all(map(_CODE.fullmatch, odd)):
            found.append(form)
    return found


def words_for_codes(frame: pd.DataFrame, reading: Reading, schema: AnySchema) -> list[str]:
    """Return words for texts that seem to stand for a missing value where one may be missing."""
    items = schema_items(schema)
    meant: dict[str, list[str]] = {}
    for name, item in items.items():
        if name in frame.columns and getattr(item, "missing", False):
            for code in _codes(texts_of(frame[name]), name, item, reading):
                meant.setdefault(code, []).append(name)
    words = []
    for code, names in meant.items():
        if len(names) > 1 and not any(may_be_value(code, item) for item in items.values()):
            words.append(f"missing:{code}")
        else:
            words += [f"missing:{name}={code}" for name in names]
    return words


def _codes(texts: Texts, name: str, item: Item, reading: Reading) -> list[str]:
    said = {*reading.missing, *reading.missing_in.get(name, ())}
    if isinstance(item, Category):
        if item.codes is not None:  # 999 and 99.9 are codes of ICD-9-CM
            return []
        declared = {*item.values}
        odd = [text for text in texts.unique() if text not in declared | said]
        return [text for text in odd if _CODE.fullmatch(text)]
    number = number_reader(reading)
    read = date_reader(reading.dates[name], number) if name in reading.dates else number
    odd = [text for text in texts.unique() if not _fits(read(text), item) and text not in said]
    codes = [text.removesuffix(".0") for text in odd if _CODE.fullmatch(text.removesuffix(".0"))]
    return codes if len(odd) <= _MOST_CODES else []


def texts_of(cells: Cells) -> Texts:
    """Return the cells that are not missing as texts."""
    texts = cells.astype(object).map(cell_text)
    return texts[~texts.str.casefold().isin(MISSING)]


def _numbers(frame: pd.DataFrame, schema: AnySchema) -> dict[str, Number | NumberLabel]:
    return {
        name: item
        for name, item in schema_items(schema).items()
        if isinstance(item, Number | NumberLabel) and name in frame.columns
    }


def _fitting_numbers(texts: Texts, read: Reader, item: Item) -> list[float]:
    """Return what texts are read as, without those that are no number within the bounds."""
    values = texts.map({text: read(text) for text in texts.unique()})
    return [float(value) for value in values if _fits(value, item)]


def _fits(value: Value, item: Item) -> bool:
    if not isinstance(item, Number | NumberLabel) or not isinstance(value, float):
        return False
    return item.low <= value <= item.high


def notice_of_thousands(source: DataSource, schema: AnySchema) -> str:
    """Return a notice that numbers of a file may be thousands; "" if none may.

    They may where every number of a column has exactly three decimals, none begins with a zero, and
    a thousand times as much is within the column's bounds, too. The file is read until each column
    has a number that says otherwise, which mostly is its first.
    """
    reading = source.reading
    names = [] if reading.thousands or reading.decimal != "." else [*_even_columns(source, schema)]
    if not names:
        return ""
    return (
        f"every number in {', '.join(names)} has exactly three decimals, as 12.000 has: it is read "
        "as 12. If it means twelve thousand, say decimal:comma and thousands:point"
    )


def _even_columns(source: DataSource, schema: AnySchema) -> Iterator[str]:
    ending = source.path.name.removesuffix(".gz") if isinstance(source, TableFile) else ""
    if not isinstance(source, TableFile) or not ending.endswith((".csv", ".tsv")):
        return
    left: dict[str, Number | NumberLabel] = {
        name: item
        for name, item in schema_items(schema).items()
        if isinstance(item, Number | NumberLabel) and name not in source.reading.dates
    }
    seen: set[str] = set()
    with suppress(OSError, EOFError, ValueError, zlib.error, csv.Error):  # who reads it says why
        for row in _rows_of(source, "\t" if ending.endswith(".tsv") else ","):
            for name in [*left]:
                cell = row.get(source.reading.columns.get(name, name))
                said = _thousands_or_not(cell, name, source.reading, left[name])
                if said is False:
                    del left[name]
                elif said:
                    seen.add(name)
            if not left:
                return
    yield from sorted(seen & {*left})


def _rows_of(source: TableFile, separator: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file as texts by column, one at a time."""
    with open_bytes(source.path) as file, TextIOWrapper(file, source.encoding) as text:
        yield from csv.DictReader(text, delimiter=source.separator or separator)


def _thousands_or_not(
    cell: str | None, name: str, reading: Reading, item: Number | NumberLabel
) -> bool | None:
    """Return whether a number may be meant as thousands; None if the cell holds none."""
    text = (cell or "").strip()
    codes = (*reading.missing, *reading.missing_in.get(name, ()))
    if text.casefold() in MISSING or text in codes:
        return None
    return bool(_EVEN_THOUSANDS.fullmatch(text)) and item.low <= 1_000 * float(text) <= item.high
