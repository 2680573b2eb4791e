"""Read texts, one per record, from a table, a query, a directory or sentence files."""

from pathlib import Path

import pandas as pd

from sites.data.cells import cell_text
from sites.data.iob2_files import read_iob
from sites.data.source import DataSource, IobFiles, TableFile, TextFolder
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
        BadTexts: A text is empty or not a text, or a label is not declared.
    """
    needed = [text, *([label] if label else [])]
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise MissingColumns(
            f"the records lack the columns {absent}; they have {sorted(map(str, frame.columns))}",
            columns=len(absent),
        )
    texts = frame[text]
    empty = frame.index[[not isinstance(cell, str) or not cell.strip() for cell in texts]]
    lines = [f"no text in {_places(empty)}: fill it in or leave it out"] if len(empty) else []
    unknown = frame.index[~frame[label].map(cell_text).isin(classes)] if label else empty[:0]
    if label and len(unknown):
        found = sorted(set(frame.loc[unknown, label].map(cell_text)))[:_SHOWN]
        lines.append(
            f"{label} is not a declared class in {_places(unknown)}, such as {found}; "
            f"declared: {', '.join(classes)}"
        )
    if lines:
        raise BadTexts("; ".join(lines), empty=len(empty), unknown=len(unknown))


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
    files = sorted(source.path.rglob(f"*{_ENDING}"))
    if not files:
        raise EmptyTable(f"{source.path} holds no {_ENDING} file: a site needs at least one record")
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
    paths = [source.path / name for name in frame[FILE]]
    absent = [row for row, path in zip(frame.index, paths, strict=True) if not path.is_file()]
    if absent:
        raise MissingFile(
            f"{table} names files that do not exist, in {_places(pd.Index(absent))}",
            files=len(absent),
        )
    unnamed = {*source.path.rglob(f"*{_ENDING}")} - set(paths)
    if unnamed:
        shown = sorted(str(path.relative_to(source.path)) for path in unnamed)[:_SHOWN]
        raise BrokenFile(
            f"{len(unnamed)} files are in no row of {table}, such as {shown}: add or move them",
            files=len(unnamed),
        )
    found = frame.assign(**{source.text: [_read_text(path) for path in paths]})
    if source.person not in frame.columns:
        found[source.person] = [path.stem for path in paths]
    return found


def _read_text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8_error(file) from error
