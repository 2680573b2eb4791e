"""Read what Apache Arrow writes: Parquet files and folders of them, and Feather files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow
from pyarrow import feather, parquet

from sites.data.tables import BrokenFile, EmptyTable, repeated_columns_error

_SHOWN = 5


def read_parquet(path: Path) -> pd.DataFrame:
    """Return the table of a Parquet file, or of all those in a folder and below it.

    Guarantee: what pandas kept as an index is a column. The files of a folder are read in the order
    of their paths. Each has the same columns, or the folder is refused. A column that a folder's
    name gives (`year=2020`) is text, so that `code=007` stays `007`. Rows count from 1.

    Raises:
        BrokenFile: A file is none of Parquet, or its columns are not those of the first.
        EmptyTable: The folder holds no Parquet file.
    """
    if not path.is_dir():
        return _frame_of(_parquet_table(path), path)
    files = parquet_files(path)
    if not files:
        raise EmptyTable(f"{path} holds no file that ends in .parquet")
    frames = [_with_folder_columns(_frame_of(_parquet_table(one), one), path, one) for one in files]
    first = {*map(str, frames[0].columns)}
    for one, frame in zip(files, frames, strict=True):
        other = sorted(first ^ {*map(str, frame.columns)})
        if other:
            raise BrokenFile(
                f"{one} and {files[0]} do not have the same columns: "
                f"{', '.join(other[:_SHOWN])} stand in one of them only; keep the files of one "
                "table in one folder, and nothing else"
            )
    return index_from_one(pd.concat(_same_kinds(frames), ignore_index=True))


def parquet_files(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder and below it, in the order of their paths.

    What begins with `_` or `.` is no part of the table: Spark and others keep notes there.
    """
    return sorted(
        file
        for file in folder.rglob("*.parquet")
        if file.is_file()
        and not any(part[:1] in ("_", ".") for part in file.relative_to(folder).parts)
    )


def read_feather(path: Path) -> pd.DataFrame:
    """Return the table of a Feather file, version 1 or 2; rows count from 1.

    Raises:
        BrokenFile: Two columns have the same name.
    """
    return _frame_of(feather.read_table(path, memory_map=False), path)


def index_from_one(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the records with their position, counted from 1, as the index."""
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))


def _parquet_table(path: Path) -> pyarrow.Table:
    # The same as `pandas.read_parquet`, which looks for a whole data set: that takes twice the time
    # of a small file.
    with parquet.ParquetFile(path) as file:
        return file.read()


def _frame_of(table: pyarrow.Table, path: Path) -> pd.DataFrame:
    if len({*table.column_names}) < table.num_columns:
        raise repeated_columns_error(table.column_names, path)
    frame = table.to_pandas()
    # What pandas kept as an index is a column of the file.
    named = [name for name in frame.index.names if name is not None]
    return index_from_one(frame.reset_index(named) if named else frame)


def _with_folder_columns(frame: pd.DataFrame, folder: Path, file: Path) -> pd.DataFrame:
    """Return a file's records with the columns that the names of its folders give."""
    given = dict(part.split("=", 1) for part in file.relative_to(folder).parts[:-1] if "=" in part)
    twice = sorted({*given} & {*map(str, frame.columns)})
    if twice:
        raise repeated_columns_error([*map(str, frame.columns), *twice], file)
    return frame.assign(**given)


def _same_kinds(frames: Sequence[pd.DataFrame]) -> Iterable[pd.DataFrame]:
    """Return frames in which categories are their values.

    Two files may keep the same categories in another order: values are what they agree on.
    """
    for frame in frames:
        categories = frame.select_dtypes("category").columns
        yield frame.assign(**{str(name): frame[name].astype(object) for name in categories})
