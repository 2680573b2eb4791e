"""Read a sheet of an Excel workbook, through `openpyxl`."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.etree.ElementTree import ParseError

import pandas as pd

from privacy.errors import number_of, require_library, unknown_name
from sites.data.cells import cell_text
from sites.data.source import TableFile
from sites.data.tables import BrokenFile, EmptyTable, repeated_columns_error

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

_SHOWN = 5
Row: TypeAlias = Sequence[Any]


def read_spreadsheet(source: TableFile) -> pd.DataFrame:
    """Return the table of a sheet: names in its first row that is not empty, then the records.

    Guarantee: the index is the row's number in the sheet. A cell is what the workbook holds, not
    what its format shows: a date is a date, whichever of Excel's two calendars the workbook counts
    in. A formula is the value that was kept for it. Rows without any value are left out; rows that
    a filter hides are not. Of merged cells the first has the value, and the others are missing.

    Raises:
        MissingLibrary: `openpyxl` is not installed.
        BrokenFile: It is no workbook, there are several sheets and none was named, there is no
            such sheet, a column has no name, or no value was kept for a formula.
        EmptyTable: The sheet has no row.
    """
    path = source.path
    require_library(f"to read {path}", "openpyxl", extra="data")
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        return _read_sheet(source)
    except (InvalidFileException, zipfile.BadZipFile, ParseError, KeyError, ValueError) as error:
        if isinstance(error, BrokenFile | EmptyTable):
            raise
        raise BrokenFile(
            f"{path} cannot be read as a workbook of Excel: {error}; save it again as .xlsx"
        ) from error


def _read_sheet(source: TableFile) -> pd.DataFrame:
    formulas, without_value = _places_of_formulas(source), []
    names: list[str] = []
    cells: dict[int, list[object]] = {}
    for at, row in enumerate(_rows(source, formulas=False), start=1):
        without_value += [
            cell.coordinate
            for position, cell in enumerate(row)
            if (at, position) in formulas and _is_unknown(cell)
        ]
        if not any(map(_has_value, row)):
            continue
        if names:
            _refuse_unnamed(source.path, names, at, row)
            values = [cell.value for cell in row[: len(names)]]
            cells[at] = values + [None] * (len(names) - len(values))
        else:
            names = _column_names(row, source.path)
    _refuse_without_value(source.path, without_value)
    if not names:
        raise EmptyTable(f"the sheet of {source.path} is empty: a row must name the columns")
    return pd.DataFrame([*cells.values()], index=[*cells], columns=names, dtype=object)


def _places_of_formulas(source: TableFile) -> set[tuple[int, int]]:
    """Return the row, from 1, and the position, from 0, of each formula of the sheet."""
    return {
        (at, position)
        for at, row in enumerate(_rows(source, formulas=True), start=1)
        for position, cell in enumerate(row)
        if cell.data_type == "f"
    }


def _rows(source: TableFile, *, formulas: bool) -> Iterator[Row]:
    """Yield the cells of each row, with formulas, or with the values that were kept for them."""
    import openpyxl

    book = openpyxl.load_workbook(source.path, read_only=True, data_only=not formulas)
    try:
        sheet = book[_sheet_name(book, source)]
        sheet.reset_dimensions()  # some programs note fewer rows there than the sheet has
        yield from sheet.iter_rows()
    finally:
        book.close()


def _sheet_name(book: "Workbook", source: TableFile) -> str:
    names = [sheet.title for sheet in book.worksheets]
    if source.sheet is None and len(names) > 1:
        raise BrokenFile(
            f"{source.path} has the sheets {', '.join(map(repr, names))}: say which holds the "
            f"records, such as 'sheet:{names[0]}'"
        )
    sheet = source.sheet or names[0]
    if sheet not in names:
        raise BrokenFile(f"{source.path}: {unknown_name(sheet, names, kind='sheet')}")
    return sheet


def _has_value(cell: Any) -> bool:  # noqa: ANN401 - the cells of openpyxl have no common type
    return cell.value is not None


def _column_names(header: Row, path: Path) -> list[str]:
    """Return the names in a row, up to the last; "" for a column without one."""
    names = [cell_text(cell.value) for cell in header]
    while not names[-1]:
        names.pop()
    named = [name for name in names if name]
    if len({*named}) < len(named):
        raise repeated_columns_error(named, path)
    return names


def _refuse_unnamed(path: Path, names: Sequence[str], at: int, row: Row) -> None:
    """Refuse a value below no name: a name is missing, or something else stands on the sheet."""
    for position, cell in enumerate(row):
        if _has_value(cell) and (position >= len(names) or not names[position]):
            raise BrokenFile(
                f"{path} has a value in {cell.coordinate}, row {at}, and no name above it: name "
                "the column in the first row, or keep what is no record on another sheet"
            )


def _refuse_without_value(path: Path, found: Sequence[str]) -> None:
    """Refuse formulas for which the workbook keeps no value: they would seem to be missing.

    A program that only writes workbooks keeps none. A formula whose value is the empty text is
    none of them: its cell says that it is a text.
    """
    if found:
        shown = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        raise BrokenFile(
            f"{path} holds no value for {number_of(len(found), 'formula')}, in {shown}: open it "
            "in the program that calculates them, and save it",
            values=len(found),
        )


def _is_unknown(cell: Any) -> bool:  # noqa: ANN401
    return cell.value is None and cell.data_type == "n"
