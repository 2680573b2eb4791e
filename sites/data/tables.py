"""Read a site's table from a file or a database, with errors that say what to do."""

import csv
import difflib
import gzip
import json
import zlib
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import pyarrow
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from sites.data.cells import has_half_character
from sites.data.reading import SIGN_NAMES, UTF_8
from sites.data.source import DataSource, IobFiles, SqlQuery, TableFile, TextFolder

if TYPE_CHECKING:
    import sqlalchemy

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")
_SEPARATORS = (",", ";", "\t", "|")
_SHOWN = 5
_NOT_UTF_8 = "save it as UTF-8, or say how it is written, such as encoding:cp1252"
csv.field_size_limit(2**31 - 1)  # by default 131,072 characters, and a note may be longer
_BROKEN = (
    OSError,
    EOFError,
    zlib.error,
    csv.Error,
    pd.errors.ParserError,
    pyarrow.ArrowException,
)


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
    """Records have no text or a broken one, or no declared label; the message names the first."""


class QueryFailed(UnreadableSource, code="query-failed"):
    """A database could not be reached, or it refused the query."""


class EmptyTable(UnreadableSource, code="empty-table"):
    """A source has no records."""


def read_table(source: DataSource) -> pd.DataFrame:
    """Return the table of a source without changes; cells of a CSV or TSV file are text.

    Guarantee: the index is the place by which a person finds the row: the line of a CSV, TSV or
    JSON lines file (the header is line 1), else the position, counted from 1. Nothing is written
    to a database.

    Raises:
        UnreadableSource: Nothing could be read, or there are no rows.
        BadTexts: JSON lines hold half a character, which no text in UTF-8 can.
    """
    match source:
        case TableFile(path=path):
            frame, place = _read_file(source), str(path)
        case SqlQuery():
            frame, place = _read_query(source), "the query's result"
        case TextFolder(path=path) | IobFiles(path=path):
            raise UnknownFormat(f"{path} holds texts, not a table: use it with a text task")
    if frame.empty:
        raise EmptyTable(f"{place} has no rows: a site needs at least one record")
    return frame


def _read_file(source: TableFile) -> pd.DataFrame:
    path = source.path
    if not path.is_file():
        raise MissingFile(f"there is no file {path}{_nearest_name_hint(path)}")
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if ending not in FORMATS:
        formats = ", ".join(FORMATS)
        raise UnknownFormat(f"{path} ends in '{ending}', but only {formats} can be read")
    try:
        return _parse_file(source, ending)
    except UnicodeDecodeError as error:
        if source.encoding != UTF_8:
            raise BrokenFile(
                f"{path} is not written in {source.encoding}: say encoding: and another one, such "
                "as utf-8 or cp1252"
            ) from error
        raise not_utf8_error(path) from error
    except _BROKEN as error:
        raise BrokenFile(f"{path} cannot be read as {ending}: {error}") from error


def not_utf8_error(path: Path) -> BrokenFile:
    """Return the error for a file that is not UTF-8; it names the first such line."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not _is_utf8(line):
                return BrokenFile(f"{path} is not UTF-8 text in line {number}: {_NOT_UTF_8}")
    return BrokenFile(f"{path} is not UTF-8 text: {_NOT_UTF_8}")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse_file(source: TableFile, ending: str) -> pd.DataFrame:
    match ending:
        case ".parquet":
            return _index_from_one(pd.read_parquet(source.path))
        case ".jsonl":
            return _read_json_lines(source.path, source.encoding)
        case ".tsv":
            return _read_separated(source.path, source.separator or "\t", source.encoding)
        case _:
            return _read_separated(source.path, source.separator or ",", source.encoding)


def _nearest_name_hint(path: Path) -> str:
    siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, siblings, n=1)
    return f": did you mean '{close[0]}'?" if close else ": check the path"


def _read_separated(path: Path, separator: str, encoding: str) -> pd.DataFrame:
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
        encoding=_without_mark(encoding),
        skip_blank_lines=False,
    )
    return frame.set_axis(pd.Index(lines[1:]))[n_values[1:] > 0]


def _record_sizes(
    path: Path, separator: str, encoding: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the line on which each record of a file begins, and how many values it has.

    The header is the first record. A blank line is a record without values.

    Raises:
        BrokenFile: The file ends within quotes.
    """
    lines, n_values = [1], []
    with _open_text(path, encoding) as file:
        # Within quotes, the added line is part of the last record; else it is two empty values.
        reader = csv.reader(chain(file, [separator]), delimiter=separator)
        for record in reader:
            lines.append(reader.line_num + 1)
            n_values.append(len(record))
    if record != ["", ""]:
        raise BrokenFile(
            f"{path} ends within quotes, in the row that begins in line {lines[-2]}: the file was "
            "cut off, or a quote is not closed; export it again, or close the quote"
        )
    return np.array(lines[:-2], np.int64), np.array(n_values[:-1], np.int64)


def _refuse_other_sizes(path: Path, lines: NDArray[np.int64], n_values: NDArray[np.int64]) -> None:
    """Refuse rows with fewer or more values than the header has names."""
    needed = n_values[0]
    wrong = np.flatnonzero((n_values > 0) & (n_values != needed))
    if not len(wrong):
        return
    shown = ", ".join(f"{lines[row]} (has {n_values[row]})" for row in wrong[:_SHOWN])
    more = ", ..." if len(wrong) > _SHOWN else ""
    where = "line" if len(wrong) == 1 else f"{len(wrong)} rows, in lines"
    raise BrokenFile(
        f"the header of {path} names {needed} columns, so every row needs {needed} values; not so "
        f"in {where} {shown}{more}: export the file again if it was cut off, write missing values "
        "as empty ones, and put quotes around values that contain the separator",
        rows=len(wrong),
    )


def _open_text(path: Path, encoding: str) -> IO[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    return cast(IO[str], opened(path, "rt", encoding=_without_mark(encoding), newline=""))


def _without_mark(encoding: str) -> str:
    """Return the encoding that skips the mark with which some programs begin a file."""
    return "utf-8-sig" if encoding == UTF_8 else encoding


def _check_header(path: Path, separator: str, encoding: str) -> None:
    with _open_text(path, encoding) as lines:
        names = next(csv.reader(lines, delimiter=separator), [])
    if not names:
        raise EmptyTable(f"{path} is empty: its first line must name the columns")
    other = [mark for mark in _SEPARATORS if mark in names[0]] if len(names) == 1 else []
    if other:
        raise WrongSeparator(
            f"{path} has one column, named {names[0][:80]!r}: its values look separated by "
            f"{other[0]!r}, not {separator!r}; say separator:{SIGN_NAMES[other[0]]}"
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise BrokenFile(f"{path} names the columns {repeated[:5]} more than once: rename them")


def _read_json_lines(path: Path, encoding: str) -> pd.DataFrame:
    opened = gzip.open if path.suffix == ".gz" else open
    records, lines, broken = [], [], []
    with opened(path, "rt", encoding=_without_mark(encoding)) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                record = _json_object(line, f"{path} line {number}")
                records.append(record)
                lines.append(number)
                # Only an escape can write half a character; most files need no second look.
                if "\\u" in line and has_half_character(json.dumps(record, ensure_ascii=False)):
                    broken.append(number)
    if broken:
        shown = ", ".join(map(str, broken[:_SHOWN])) + (", ..." if broken[_SHOWN:] else "")
        where = "line" if len(broken) == 1 else f"{len(broken)} lines:"
        raise BadTexts(
            f"{path} holds half a character in {where} {shown}: a text was cut off within one; "
            "remove what is left of it, or export the texts again",
            rows=len(broken),
        )
    return pd.DataFrame(records, index=pd.Index(lines, dtype="int64"), dtype=object)


def _json_object(line: str, place: str) -> dict[str, object]:
    try:
        record = json.loads(line, object_pairs_hook=lambda pairs: _json_pairs(pairs, place))
    except json.JSONDecodeError as error:
        raise BrokenFile(f"{place} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise BrokenFile(f'{place} must be an object such as {{"age": 63}}')
    return record


def _json_pairs(pairs: list[tuple[str, object]], place: str) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise BrokenFile(f"{place} names {repeated[:_SHOWN]} more than once: keep one of each")
    return record


def _read_query(source: SqlQuery) -> pd.DataFrame:
    import sqlalchemy  # imported here, as few sites keep their records in a database

    try:
        engine = sqlalchemy.create_engine(source.url)
        _require_database_file(engine.url)
    except ImportError as error:
        raise QueryFailed(f"the driver of this database is not installed: {error}") from error
    except sqlalchemy.exc.ArgumentError as error:
        raise QueryFailed("the URL is not one of SQLAlchemy, such as sqlite:///file.db") from error
    try:
        with engine.connect() as connection:  # without a commit, nothing is written
            frame = pd.read_sql_query(sqlalchemy.text(source.query), connection)
    except (sqlalchemy.exc.SQLAlchemyError, pd.errors.DatabaseError) as error:
        raise QueryFailed(f"the database refused the query: {error}") from error
    finally:
        engine.dispose()
    repeated = sorted({*frame.columns[frame.columns.duplicated()]})
    if repeated:
        raise QueryFailed(
            f"the query returns the columns {repeated[:_SHOWN]} more than once: select each once, "
            "or give it another name with AS"
        )
    return _index_from_one(frame)


def _require_database_file(url: "sqlalchemy.URL") -> None:
    """Check that the file of an SQLite database exists: SQLite would create an empty one."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:":
        return
    path = Path(name.removeprefix("file:").partition("?")[0])
    if not path.is_file():
        raise MissingFile(f"there is no database {path}{_nearest_name_hint(path)}")


def _index_from_one(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))
