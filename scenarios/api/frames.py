"""A scientist's DataFrames as files that a site reads: the same checks, with the same errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow

from privacy.errors import ConsortiumError
from sites.data.cells import cell_text
from sites.data.source import TableFile


class BadFrame(ConsortiumError, ValueError, code="bad-frame"):
    """A DataFrame has columns that no table can have, or cells that no file can hold."""


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a DataFrame to a Parquet file; a named index becomes a column.

    Cells of one column that Parquet cannot hold together, such as 63 and "63 years", are written as
    the texts that a CSV file would hold.

    Raises:
        BadFrame: A column has no name, or that of another one; or a text holds half a character.
    """
    levels = [name for name in frame.index.names if name is not None]
    _require_names([*levels, *frame.columns])
    table = frame.reset_index(levels) if levels else frame
    if table.empty and not len(table.columns):
        raise BadFrame("the DataFrame has no columns: it must have those of the schema")
    try:
        table.assign(**{name: _storable(table[name]) for name in table.columns}).to_parquet(
            path, index=False
        )
    except UnicodeEncodeError as error:
        raise BadFrame(
            "a text of the DataFrame holds half a character: it was cut off within one; remove "
            "what is left of it"
        ) from error


@contextmanager
def frame_source(frame: pd.DataFrame) -> Iterator[TableFile]:
    """Hold a DataFrame in a private temporary file for as long as it is read."""
    with TemporaryDirectory() as folder:  # readable to its owner only
        path = Path(folder) / "frame.parquet"
        write_frame(frame, path)
        yield TableFile(path=path)


def _require_names(names: list[Any]) -> None:
    unnamed = [name for name in names if not isinstance(name, str)]
    if unnamed:
        raise BadFrame(
            f"the DataFrame has a column named {unnamed[0]!r}, which is no text: name its columns "
            "as the schema does"
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise BadFrame(f"the DataFrame names {repeated[:5]} more than once: keep one of each")


def _storable(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column as it is if Parquet can hold it, else as texts."""
    if isinstance(column.dtype, pd.SparseDtype):
        return _storable(column.astype(column.dtype.subtype))
    if column.dtype != object and column.dtype.kind != "c":
        return column
    try:
        pyarrow.Array.from_pandas(column)
    except (pyarrow.ArrowException, OverflowError):  # the second for a whole number that is large
        return column.map(cell_text, na_action="ignore")
    return column
