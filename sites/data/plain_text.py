"""Open files of text, compressed or not, and say what is wrong with one that cannot be read."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, BinaryIO, cast

from sites.data.reading import UTF_8

# What a file that is not text begins with, and what to do about it.
_OTHER_KINDS = (
    (b"PK\x03\x04", "is a spreadsheet or another ZIP archive: save its sheet as .xlsx or CSV"),
    (b"\xd0\xcf\x11\xe0", "is a spreadsheet: save its sheet as .xlsx or CSV"),
    (b"\x1f\x8b", "is compressed by gzip: let its name end in .gz"),
    (b"\xff\xfe", "is text in UTF-16 or UTF-32: save it as UTF-8"),
    (b"\xfe\xff", "is text in UTF-16 or UTF-32: save it as UTF-8"),
    (b"PAR1", "is a Parquet file: let its name end in .parquet"),
    (b"SQLite format 3", "is a database: give its URL (sqlite:///FILE) and a query"),
)

_SHOWN = 5


def open_bytes(path: Path) -> BinaryIO:
    """Open a file that is compressed if its name ends in `.gz`."""
    return cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb"))


def open_text(path: Path, encoding: str = UTF_8) -> IO[str]:
    """Open a file as text, with the ends of lines as they are, without a byte order mark."""
    opened = gzip.open if path.suffix == ".gz" else open
    return cast(IO[str], opened(path, "rt", encoding=without_mark(encoding), newline=""))


def without_mark(encoding: str) -> str:
    """Return the encoding that skips the mark with which some programs begin a file."""
    return "utf-8-sig" if encoding == UTF_8 else encoding


def reason_other_format(path: Path, ending: str, formats: Sequence[str]) -> str:
    """Return why a file with another ending is not read, what it seems to be, and what to do."""
    with open_bytes(path) as file:
        advice = _other_kind(file.readline()) or (
            "may be text: let its name end in .csv, or in .tsv if tabs separate its values"
        )
    return f"ends in '{ending}', but only {', '.join(formats)} can be read; it {advice}"


def repeated_names(names: Iterable[str]) -> list[str]:
    """Return the names that stand more than once, sorted."""
    return sorted(name for name, times in Counter(names).items() if times > 1)


def reason_repeated_names(names: Sequence[str]) -> str:
    """Return which names columns share, and what to do."""
    repeated = repeated_names(names)
    if "" in repeated:
        return (
            f"leaves {names.count('')} of {len(names)} columns without a name: remove the lines "
            "above the header, or give each column a name"
        )
    return f"names the columns {repeated[:_SHOWN]} more than once: rename them"


def _other_kind(start: bytes) -> str | None:
    return next((advice for mark, advice in _OTHER_KINDS if start.startswith(mark)), None)


def reason_not_text(path: Path) -> str:
    """Return what a file is that is not UTF-8 text, or else in which line, and what to do."""
    with open_bytes(path) as file:
        start = file.readline()
        if advice := _other_kind(start):
            return advice
        for number, line in enumerate(chain([start], file), start=1):
            if not _is_text(line):
                return f"is not UTF-8 text in line {number}: save it as UTF-8"
    return "is not UTF-8 text: save it as UTF-8"


def reason_other_encoding(path: Path, encoding: str) -> str:
    """Return why a file is not text in the encoding that was said of it, and what to say."""
    if encoding != UTF_8:
        return f"is not written in {encoding}: say another encoding, such as encoding:cp1252"
    reason = reason_not_text(path)
    if not reason.endswith("save it as UTF-8"):
        return reason
    seen = "encoding:utf-16" if "UTF-16" in reason else "encoding:cp1252 or encoding:utf-16"
    return f"{reason}, or say how it is written, such as {seen}"


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in line  # as text in UTF-16 has


def reason_bad_quotes(error: csv.Error, *, line: int) -> str:
    """Return what is wrong with the quotes of a row that begins in a line, and what to do.

    Args:
        error: What a strict `csv.reader` said of it.
        line: The line of the file.
    """
    where = f"in the row that begins in line {line}"
    if "end of data" in str(error):
        return (
            f"ends within quotes, {where}: the file was cut off, or a quote is not closed; export "
            "it again, or close the quote"
        )
    return (
        f"has text right after a closing quote, {where}: close the quote that opened before it, or "
        'write a quote within a value twice ("5"" tall")'
    )
