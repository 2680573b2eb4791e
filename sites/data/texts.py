"""Read texts, one per record, from a table, a query, a directory or sentence files."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sites.data.annotated.corpus import read_annotated
from sites.data.cells import cell_text, declared_value, text_if_present
from sites.data.iob2_files import read_iob
from sites.data.source import AnnotatedFiles, DataSource, IobFiles, TableFile, TextFolder
from sites.data.tables import (
    BadTexts,
    BrokenFile,
    EmptyTable,
    MissingFile,
    not_utf8_error,
    read_table,
)
from sites.data.validation import MissingColumns

LABELS = "labels.csv"
FILE = "file"
_ENDING = ".txt"
_SHOWN = 5


def read_texts(source: DataSource, *, tagged: bool = True) -> pd.DataFrame:
    """Return the records of a source, one per row, with every text unchanged.

    Guarantee: no text is cut off and no record is left out. The index is the place by which a
    person finds the record: a line of a file, or a position counted from 1.

    Args:
        source: A table, a query, a directory of texts, or sentence files.
        tagged: Whether each line of a sentence file ends with a tag.

    Raises:
        UnreadableSource: Nothing could be read; subclasses say why.
        BadTexts: JSON lines hold half a character.
        MissingColumns: The table of labels does not name the files.
    """
    match source:
        case IobFiles():
            return read_iob(source, tagged=tagged)
        case AnnotatedFiles():
            return read_annotated(source, tagged=tagged)
        case TextFolder():
            return _read_folder(source)
        case _:
            return read_table(source)


def require_texts(
    frame: pd.DataFrame, *, text: str, label: str | None, classes: tuple[str, ...]
) -> None:
    """Check that every record has a text and, if labels are needed, a declared label.

    Guarantee: the message names every kind of mistake, how often it occurs, and the first places.
    It quotes no text, only labels.

    Args:
        frame: As `read_texts` returned it.
        text: The column of texts.
        label: The column of classes, or None where no labels are needed.
        classes: The declared classes.

    Raises:
        MissingColumns: A column is absent.
        BadTexts: A text is empty, not a text or a word for a missing one, or a label is not
            declared.
    """
    needed = [text, *([label] if label else [])]
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise MissingColumns(
            f"the records lack the columns {absent}; they have {sorted(map(str, frame.columns))}",
            columns=len(absent),
        )
    texts = frame[text]
    empty = frame.index[[not _is_text(cell) for cell in texts]]
    lines = [f"no text in {_places(empty)}: fill it in or leave it out"] if len(empty) else []
    meant = [declared_value(cell_text(cell), classes) for cell in frame[label]] if label else []
    unknown = frame.index[[name not in classes for name in meant]] if label else empty[:0]
    if label and len(unknown):
        found = sorted(set(frame.loc[unknown, label].map(cell_text)))[:_SHOWN]
        lines.append(
            f"{label} is not a declared class in {_places(unknown)}, such as {found}; "
            f"declared: {', '.join(classes)}"
        )
    if lines:
        cells = {text: empty[:_SHOWN].tolist()}
        cells |= {label: unknown[:_SHOWN].tolist()} if label else {}
        raise BadTexts("; ".join(lines), cells=cells, empty=len(empty), unknown=len(unknown))


def _is_text(cell: object) -> bool:
    """Return whether a cell holds a text of which something can be seen, and not just `NA`."""
    if not isinstance(cell, str) or text_if_present(cell.strip()) is None:
        return False
    return any(one.isprintable() and not one.isspace() for one in cell)


def _places(index: "pd.Index[int]") -> str:
    rows = "row" if len(index) == 1 else f"{len(index)} rows:"
    shown = ", ".join(str(row) for row in index[:_SHOWN])
    return f"{rows} {shown}" + (", ..." if len(index) > _SHOWN else "")


def _read_folder(source: TextFolder) -> pd.DataFrame:
    if not source.path.is_dir():
        raise MissingFile(f"there is no directory {source.path}: check the path")
    table = source.labels or source.path / LABELS
    if source.labels is not None or table.is_file():
        return _read_listed_files(source, table)
    files = _text_files(source.path)
    if not files:
        raise EmptyTable(f"{source.path} holds no {_ENDING} file: a site needs at least one record")
    _refuse_shared_names(files, source)
    # With files in the directory itself, the sub-directories cannot be the labels of all.
    direct = [file.name for file in files if file.parent == source.path]
    rows = [
        {
            source.person: file.stem,
            source.text: _read_text(file),
            **({} if direct else {source.label: file.relative_to(source.path).parts[0]}),
        }
        for file in files
    ]
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1))


def _read_listed_files(source: TextFolder, table: Path) -> pd.DataFrame:
    """Return the texts of the files that a table names, with the table's other columns."""
    frame = read_table(TableFile(path=table))
    if FILE not in frame.columns:
        raise MissingColumns(f"{table} has no column '{FILE}' with the files' names", columns=1)
    files = _text_files(source.path)
    known = {_composed_name(str(file.relative_to(source.path))): file for file in files}
    paths = [known.get(_composed_name(name), source.path / name) for name in frame[FILE]]
    inside = [path.is_file() and _is_within(path, source.path) for path in paths]
    absent = [row for row, found in zip(frame.index, inside, strict=True) if not found]
    if absent:
        raise MissingFile(
            f"{table} names files that do not exist in {source.path}, in "
            f"{_places(pd.Index(absent))}",
            files=len(absent),
        )
    again = frame.index[pd.Series([os.path.normpath(path) for path in paths]).duplicated()]
    if len(again):
        raise BrokenFile(f"{table} names a file a second time, in {_places(again)}: keep one row")
    unnamed = {*files} - set(paths)
    if unnamed:
        shown = sorted(str(path.relative_to(source.path)) for path in unnamed)[:_SHOWN]
        raise BrokenFile(
            f"{len(unnamed)} files are in no row of {table}, such as {shown}: add or move them",
            files=len(unnamed),
        )
    found = frame.assign(**{source.text: [_read_text(path) for path in paths]})
    if source.person not in frame.columns:
        _refuse_shared_names(paths, source)
        found[source.person] = [path.stem for path in paths]
    return found


def _text_files(folder: Path) -> list[Path]:
    found = (file for file in folder.rglob("*") if file.suffix.lower() == _ENDING)
    return sorted(file for file in found if file.is_file())


def _refuse_shared_names(files: Sequence[Path], source: TextFolder) -> None:
    """Refuse several files of one name, which may be of one person or of as many."""
    names = pd.Series([file.stem for file in files], dtype=object)
    shared = sorted({*names[names.duplicated()]})
    if shared:
        raise BrokenFile(
            f"in {source.path}, several directories hold files with the names {shared[:_SHOWN]}, "
            f"which cannot say whose they are: name the person of each file in a table {LABELS} "
            f"(columns {FILE}, {source.label} and {source.person})",
            files=int(names.duplicated(keep=False).sum()),
        )


def _is_within(path: Path, folder: Path) -> bool:
    return Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder))


def _composed_name(name: str) -> str:
    """Return a name as most systems write it; some part letters from their accents."""
    return unicodedata.normalize("NFC", name)


def _read_text(file: Path) -> str:
    content = file.read_bytes()
    if b"\0" in content:
        raise not_utf8_error(file)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8_error(file) from error
