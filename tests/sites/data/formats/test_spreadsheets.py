"""A sheet of Excel is read as the workbook holds it."""

import datetime as dt
import re
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from sites.data.source import TableFile, with_words
from sites.data.tables import BrokenFile, EmptyTable, read_table

ROWS: list[list[Any]] = [
    ["patient", "age", "seen"],
    ["a", 63, dt.datetime(2020, 2, 29)],
    [None, None, None],
    ["b", 70.5, None],
]


def _write(path: Path, sheets: dict[str, list[list[Any]]], *, calendar: int = 1900) -> TableFile:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    book.epoch = dt.datetime(1904, 1, 1) if calendar == 1904 else dt.datetime(1899, 12, 30)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return TableFile(path=path)


@pytest.mark.parametrize("calendar", [1900, 1904])
def test_a_row_is_named_by_its_number_in_the_sheet_and_a_date_is_a_date(
    tmp_path: Path, calendar: int
) -> None:
    frame = read_table(_write(tmp_path / "a.xlsx", {"records": ROWS}, calendar=calendar))
    assert [*frame.index] == [2, 4]
    assert [*frame["patient"]] == ["a", "b"]
    assert frame["age"].tolist() == [63, 70.5]
    assert frame["seen"].tolist() == [dt.datetime(2020, 2, 29), None]


def test_of_several_sheets_one_is_named(tmp_path: Path) -> None:
    source = _write(tmp_path / "a.xlsx", {"notes": [["read me"]], "records": ROWS})
    with pytest.raises(BrokenFile, match="'notes', 'records': say which"):
        read_table(source)
    with pytest.raises(BrokenFile, match="record"):
        read_table(with_words(source, ["sheet:record"]))
    assert len(read_table(with_words(source, ["sheet:records"]))) == 2


def test_a_formula_without_a_kept_value_is_refused_and_not_taken_for_missing(
    tmp_path: Path,
) -> None:
    source = _write(tmp_path / "a.xlsx", {"s": [["patient", "age"], ["a", "=60+3"], ["b", 5]]})
    with pytest.raises(BrokenFile, match="no value for 1 formula, in B2"):
        read_table(source)


def test_a_formula_is_the_value_that_was_kept_for_it_be_it_the_empty_text(tmp_path: Path) -> None:
    source = _write(
        tmp_path / "a.xlsx",
        {"s": [["patient", "age"], ["a", "=60+3"], ["b", '=IF(FALSE,1,"")'], ["c", 5]]},
    )
    _keep_values(source.path, {"B2": ("n", "63"), "B3": ("str", "")})
    assert read_table(source)["age"].tolist() == [63, None, 5]


def _keep_values(path: Path, values: dict[str, tuple[str, str]]) -> None:
    """Enter the values of formulas into a workbook, as a program that calculates them does."""
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    for cell, (kind, value) in values.items():
        sheet = re.sub(
            rf'<c r="{cell}"[^>]*>(<f>.*?</f>)<v ?/?>(</v>)?</c>',
            rf'<c r="{cell}" t="{kind}">\1<v>{value}</v></c>',
            sheet,
        )
    parts["xl/worksheets/sheet1.xml"] = sheet.encode()
    with zipfile.ZipFile(path, "w") as book:
        for name, content in parts.items():
            book.writestr(name, content)


@pytest.mark.parametrize(
    "rows",
    [
        [["patient", None, "age"], ["a", "b", 3]],
        [["patient", "age"], ["a", 3, None, "checked by K."]],
    ],
)
def test_a_value_without_a_name_above_it_is_refused_with_its_place(
    tmp_path: Path, rows: list[list[Any]]
) -> None:
    with pytest.raises(BrokenFile, match=r"a value in [BD]2, row 2, and no name above it"):
        read_table(_write(tmp_path / "a.xlsx", {"s": rows}))


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="age"):
        read_table(_write(tmp_path / "a.xlsx", {"s": [["age", "age"], [1, 2]]}))


def test_an_empty_sheet_and_another_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyTable, match="is empty"):
        read_table(_write(tmp_path / "a.xlsx", {"s": []}))
    (tmp_path / "b.xlsx").write_text("patient,age\na,3\n")
    with pytest.raises(BrokenFile, match=r"b\.xlsx cannot be read as a workbook"):
        read_table(TableFile(path=tmp_path / "b.xlsx"))
