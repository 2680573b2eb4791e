"""Read a site's table from a file or a database, with errors that say what to do."""

import csv
import difflib
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from sites.data.plain_text import (
    open_bytes,
    open_text,
    reason_bad_quotes,
    reason_not_text,
    reason_other_encoding,
    reason_other_format,
    reason_repeated_names,
    without_mark,
)
from sites.data.reading import SIGN_NAMES, UTF_8
from sites.data.source import (
    STATISTICAL,
    DataSource,
    FhirFiles,
    OmopDatabase,
    SentenceFiles,
    SqlQuery,
    TableFile,
    TextFolder,
)

if TYPE_CHECKING:
    import sqlalchemy

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet", ".feather", ".arrow", ".xlsx", *STATISTICAL)
_SEPARATORS = (",", ";", "\t", "|")
_SHOWN = 5
csv.field_size_limit(2**31 - 1)  # by default 131,072 characters, and a note may be longer
_BROKEN = (OSError, EOFError, zlib.error, csv.Error, pd.errors.ParserError, pyarrow.ArrowException)


class UnreadableSource(ConsortiumError, ValueError, code="unreadable-source"):
    """A source cannot be read; the subclasses say why."""


class MissingFile(UnreadableSource, code="missing-file"):
    """A file or directory does not exist."""


class UnknownFormat(UnreadableSource, code="unknown-format"):
    """The ending of a file is not that of a format that can be read."""


class WrongSeparator(UnreadableSource, code="wrong-separator"):
    """The values of a file are separated by another character than expected."""


class BrokenFile(UnreadableSource, code="broken-file"):
    """The content of a file does not fit its ending, or its rows do not fit its header."""


class BadTexts(ConsortiumError, ValueError, code="bad-texts"):
    """Records have no text or a broken one, or no declared label; the message names the first.

    Args:
        message: As in `ConsortiumError`.
        cells: By column, the rows of the first cells that are wrong.
        counts: As in `ConsortiumError`.
    """

    def __init__(
        self, message: str, *, cells: Mapping[str, Sequence[int]] | None = None, **counts: int
    ) -> None:
        super().__init__(message, **counts)
        self.cells = {name: tuple(map(int, rows)) for name, rows in (cells or {}).items()}


class QueryFailed(UnreadableSource, code="query-failed"):
    """A database could not be reached, or it refused the query."""


class EmptyTable(UnreadableSource, code="empty-table"):
    """A source has no records."""


def read_table(source: DataSource) -> pd.DataFrame:
    """Return the table of a source without changes; cells of a CSV or TSV file are text.

    Guarantee: the index is the place by which a person finds the row: the line of a CSV, TSV or
    JSON lines file (the header is line 1), the row of a sheet, else the position, counted from 1.
    Nothing is written to a database.

    Raises:
        UnreadableSource: Nothing could be read, or there are no rows.
        BadTexts: JSON lines hold half a character, which no text in UTF-8 can.
        BadResources: FHIR resources cannot be made into cells.
        BadCdmRows: Rows of the OMOP CDM cannot be made into cells.
    """
    match source:
        case TableFile(path=path):
            frame, place = _read_file(source), str(path)
        case SqlQuery():
            frame, place = _read_query(source), "the query's result"
        case FhirFiles():
            from sites.data.fhir.table import read_fhir  # which stands on the errors of this module

            return read_fhir(source).frame
        case OmopDatabase():
            from sites.data.omop.table import read_omop

            return read_omop(source).frame
        case TextFolder(path=path) | SentenceFiles(path=path):
            raise UnknownFormat(f"{path} holds texts, not a table: use it with a text task")
    if frame.empty:
        raise EmptyTable(f"{place} has no rows: a site needs at least one record")
    return frame


def _read_file(source: TableFile) -> pd.DataFrame:
    path = source.path
    if not path.exists():
        raise MissingFile(f"there is no file {path}{_nearest_name_hint(path)}")
    ending = ".parquet" if path.is_dir() else _ending(path)
    try:
        if ending not in FORMATS:
            raise UnknownFormat(f"{path} {reason_other_format(path, ending, FORMATS)}")
        return _parse_file(source, ending)
    except UnicodeError as error:  # of UTF-16 without a mark, say, no character is to blame
        raise BrokenFile(f"{path} {reason_other_encoding(path, source.encoding)}") from error
    except _BROKEN as error:
        raise BrokenFile(
            f"{path} cannot be read as {ending}: {error}; export or copy the file again"
        ) from error


def separator_of(source: TableFile) -> str | None:
    """Return the character between the values of a CSV or TSV file; None for other formats."""
    default = {".csv": ",", ".tsv": "\t"}.get(_ending(source.path))
    return default and (source.separator or default)


def _ending(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def not_utf8_error(path: Path) -> BrokenFile:
    """Return the error for a file that is not UTF-8 text; it says what it is, or where."""
    return BrokenFile(f"{path} {reason_not_text(path)}")


def _parse_file(source: TableFile, ending: str) -> pd.DataFrame:
    # Each is imported where it is needed, as a site has one of these formats, and seldom two.
    match ending:
        case ".csv" | ".tsv":
            return _read_separated(source, separator_of(source) or ",")
        case ".jsonl":
            from sites.data.formats.json_lines import read_json_lines

            return read_json_lines(source.path, source.encoding)
        case ".xlsx":
            from sites.data.formats.spreadsheets import read_spreadsheet

            return read_spreadsheet(source)
        case ".parquet" | ".feather" | ".arrow":
            from sites.data.formats.arrow_files import read_arrow

            return read_arrow(source)
        case _:
            from sites.data.formats.statistical_files import read_statistical_file

            return read_statistical_file(source)


def _nearest_name_hint(path: Path) -> str:
    siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, siblings, n=1)
    return f": did you mean '{close[0]}'?" if close else ": check the path"


def _read_separated(source: TableFile, separator: str) -> pd.DataFrame:
    path, encoding = source.path, source.encoding
    with open_bytes(path) as file:
        if encoding == UTF_8 and any(b"\0" in line for line in file):  # as in UTF-16
            raise BrokenFile(f"{path} {reason_other_encoding(path, encoding)}")
    _check_header(path, separator, encoding)
    lines, n_values = _record_sizes(path, separator, encoding)
    _refuse_other_sizes(path, lines, n_values)
    # Every cell is read as text and none as missing, as the schema decides what a cell means.
    # Blank lines are kept until the index is set, so that each row gets its line of the file.
    frame = pd.read_csv(
        path,
        sep=separator,
        dtype=str,
        na_filter=False,
        encoding=without_mark(encoding),
        skip_blank_lines=False,
    )
    return frame.set_axis(pd.Index(lines[1:]))[n_values[1:] > 0]


def _record_sizes(
    path: Path, separator: str, encoding: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the line on which each record of a file begins, and how many values it has.

    The header is the first record. A blank line is a record without values.

    Raises:
        BrokenFile: The file ends within quotes, or text follows a closing quote.
    """
    lines, n_values = [1], []
    with open_text(path, encoding) as file:
        # Strict, as a quote that is not closed takes in all rows up to the next quote.
        reader = csv.reader(file, delimiter=separator, strict=True)
        try:
            for record in reader:
                lines.append(reader.line_num + 1)
                n_values.append(len(record))
        except csv.Error as error:
            raise BrokenFile(f"{path} {reason_bad_quotes(error, line=lines[-1])}") from error
    return np.array(lines[:-1], np.int64), np.array(n_values, np.int64)


def _refuse_other_sizes(path: Path, lines: NDArray[np.int64], n_values: NDArray[np.int64]) -> None:
    """Refuse rows with fewer or more values than the header has names."""
    needed = n_values[0]
    is_row = n_values > 0
    if needed == 1:  # where a blank line before the last row may be a missing value
        is_row[: np.flatnonzero(n_values)[-1]] = True
    wrong = np.flatnonzero(is_row & (n_values != needed))
    if not len(wrong):
        return
    shown = ", ".join(f"{lines[row]} (has {n_values[row]})" for row in wrong[:_SHOWN])
    more = ", ..." if len(wrong) > _SHOWN else ""
    where = "line" if len(wrong) == 1 else f"{len(wrong)} rows, in lines"
    if not (n_values[1:] == needed).any():
        more += " (no row has; if lines stand above the header, remove them)"
    raise BrokenFile(
        f"the header of {path} names {needed} columns, so every row needs {needed} values; not so "
        f"in {where} {shown}{more}: export the file again if it was cut off, write missing values "
        "as empty ones (NA in a single column), and put quotes around values with the separator in "
        "them",
        rows=len(wrong),
    )


def _check_header(path: Path, separator: str, encoding: str) -> None:
    with open_text(path, encoding) as lines:
        names = next(csv.reader(lines, delimiter=separator), [])
    if not names:
        raise EmptyTable(f"the first line of {path} is empty: it must name the columns")
    other = [mark for mark in _SEPARATORS if mark in names[0]] if len(names) == 1 else []
    if other:
        raise WrongSeparator(
            f"{path} has one column, named {names[0][:80]!r}: its values look separated by "
            f"{other[0]!r}, not {separator!r}; say separator:{SIGN_NAMES[other[0]]}"
        )
    _refuse_repeated(names, path)


def _refuse_repeated(names: Sequence[str], path: Path) -> None:
    if len({*names}) < len(names):
        raise repeated_columns_error(names, path)


def repeated_columns_error(names: Sequence[str], path: Path) -> BrokenFile:
    """Return the error for a file in which columns share a name."""
    return BrokenFile(f"{path} {reason_repeated_names(names)}")


def open_database(url: str) -> "sqlalchemy.Engine":
    """Return an engine for the database at a URL; nothing is connected yet.

    Raises:
        QueryFailed: The URL is none, or its driver is not installed; the message does not quote it.
        MissingFile: It names a file of SQLite that is not there.
    """
    import sqlalchemy  # imported here, as few sites keep their records in a database

    try:
        engine = sqlalchemy.create_engine(url)
    except ImportError as error:
        raise QueryFailed(f"the driver of this database is not installed: {error}") from error
    except (sqlalchemy.exc.ArgumentError, ValueError):  # a ValueError where a port is no number
        reason = "the URL is not one of SQLAlchemy, such as sqlite:///file.db"
        raise QueryFailed(reason) from None  # what SQLAlchemy says may quote it
    _require_database_file(engine.url)
    return engine


def _read_query(source: SqlQuery) -> pd.DataFrame:
    import sqlalchemy

    engine = open_database(source.url)
    try:
        with engine.connect() as connection:  # without a commit, nothing is written
            frame = pd.read_sql_query(sqlalchemy.text(source.query), connection)
    except (sqlalchemy.exc.SQLAlchemyError, pd.errors.DatabaseError) as error:
        raise QueryFailed(f"the database refused the query: {reason_of_database(error)}") from error
    finally:
        engine.dispose()
    repeated = sorted({*frame.columns[frame.columns.duplicated()]})
    if repeated:
        raise QueryFailed(
            f"the query returns the columns {repeated[:_SHOWN]} more than once: select each once, "
            "or give it another name with AS"
        )
    return _index_from_one(frame)


def reason_of_database(error: Exception) -> str:
    """Return what the database said, in one line, without the query and without links."""
    found = error.__cause__ or error
    said = str(getattr(found, "orig", None) or found)
    return said.split("\n", 1)[0].split(" (Background on", 1)[0]


def _require_database_file(url: "sqlalchemy.URL") -> None:
    """Check that the file of an SQLite database exists: SQLite would create an empty one."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:":
        return
    if not (path := Path(name.removeprefix("file:").partition("?")[0])).is_file():
        raise MissingFile(f"there is no database {path}{_nearest_name_hint(path)}")


def _index_from_one(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))
