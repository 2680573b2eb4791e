"""Read what Apache Arrow writes: Parquet files and folders of them, Feather and Arrow files."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow
from pyarrow import feather, ipc, parquet

from sites.data.formats.class_labels import (
    Names,
    NotAClass,
    class_names,
    class_names_in,
    with_class_names,
)
from sites.data.formats.dataset_folders import (
    ARROW,
    INFO,
    BrokenDataset,
    dataset_parts,
    is_dataset,
)
from sites.data.source import TableFile
from sites.data.tables import BrokenFile, EmptyTable, repeated_columns_error

SPLIT = "split"
_SHOWN = 5
_ARROW_FILE = b"ARROW1"  # with which a file begins that is no stream


def read_arrow(source: TableFile) -> pd.DataFrame:
    """Return the table of a file of Arrow, Feather or Parquet, or of a folder of such files.

    Guarantee: rows count from 1, in a folder on through its files in their order. Where the file,
    as Hugging Face `datasets` writes it, names the classes of a column, the cells are the names;
    where `codes:COLUMN` was said, they are the numbers. If the files of a data set are of several
    sides, the column `split` says the side of each record, and if the source is split by it,
    records of `dev` are left out.

    Raises:
        BrokenFile: A file is not of its ending, or is absent, files have other columns than the
            first, or a number is none of its column's classes.
        EmptyTable: The folder holds no file.
    """
    path = source.path
    kept = {source.reading.columns.get(name, name) for name in source.reading.codes}
    if is_dataset(path):
        frame = _read_dataset(path, kept)
        beside = SPLIT in frame and source.split == SPLIT
        return index_from_one(frame[frame[SPLIT] != "dev"]) if beside else frame
    match path.suffix.lower():
        case ".arrow":
            return _frame_of(_arrow_table(path), path, kept)
        case ".feather":
            return _frame_of(feather.read_table(path, memory_map=False), path, kept)
        case _:
            return read_parquet(path, kept)


def read_parquet(path: Path, kept: Collection[str] = ()) -> pd.DataFrame:
    """Return the table of a Parquet file, or of all those in a folder and below it.

    Guarantee: what pandas kept as an index is a column. The files of a folder are read in the order
    of their paths. Each has the same columns, or the folder is refused. A column that a folder's
    name gives (`year=2020`) is text, so that `code=007` stays `007`. Rows count from 1.

    Args:
        path: The file or folder.
        kept: Columns whose cells stay numbers though the file names them.

    Raises:
        BrokenFile: A file is none of Parquet, or its columns are not those of the first.
        EmptyTable: The folder holds no Parquet file.
    """
    if not path.is_dir():
        return _frame_of(_parquet_table(path), path, kept)
    files = parquet_files(path)
    if not files:
        raise EmptyTable(f"{path} holds no file that ends in .parquet")
    frames = [
        _with_folder_columns(_frame_of(_parquet_table(one), one, kept), path, one) for one in files
    ]
    return _joined(files, frames)


def _joined(files: Sequence[Path], frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the records of several files, which must have the same columns."""
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


def index_from_one(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the records with their position, counted from 1, as the index."""
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))


def _parquet_table(path: Path) -> pyarrow.Table:
    # The same as `pandas.read_parquet`, which looks for a whole data set: that takes twice the time
    # of a small file.
    with parquet.ParquetFile(path) as file:
        return file.read()


def _arrow_table(path: Path) -> pyarrow.Table:
    with path.open("rb") as file:
        is_file = file.read(len(_ARROW_FILE)) == _ARROW_FILE
        file.seek(0)
        with ipc.open_file(file) if is_file else ipc.open_stream(file) as records:
            return records.read_all()


def _read_dataset(folder: Path, kept: Collection[str]) -> pd.DataFrame:
    try:
        parts = dataset_parts(folder)
    except BrokenDataset as error:
        raise BrokenFile(str(error)) from error
    if not parts:
        raise EmptyTable(f"{folder} holds no file of its data set")
    frames = []
    for part in parts:
        table = (_arrow_table if part.file.suffix == ARROW else _parquet_table)(part.file)
        frame = _frame_of(table, part.file, kept, noted=_noted_names(part.file.parent))
        if part.side and SPLIT in frame:
            raise repeated_columns_error([*map(str, frame.columns), SPLIT], part.file)
        frames.append(frame.assign(**{SPLIT: part.side}) if part.side else frame)
    return _joined([part.file for part in parts], frames)


def _noted_names(folder: Path) -> Mapping[str, Names]:
    """Return the names of classes in the note beside saved files, which `datasets` goes by."""
    note = folder / INFO
    if not note.is_file():
        return {}
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BrokenFile(f"{note} is no note of datasets: save the data set again") from error
    return class_names(found.get("features") if isinstance(found, dict) else None)


def _frame_of(
    table: pyarrow.Table,
    path: Path,
    kept: Collection[str],
    *,
    noted: Mapping[str, Names] | None = None,
) -> pd.DataFrame:
    if len({*table.column_names}) < table.num_columns:
        raise repeated_columns_error(table.column_names, path)
    named = {**class_names_in(table.schema), **(noted or {})}
    try:
        frame = with_class_names(table.to_pandas(), table, named, kept=kept)
    except NotAClass as error:
        raise BrokenFile(
            f"{path}: {error}: name it in the data set, or leave the row out"
        ) from error
    # What pandas kept as an index is a column of the file.
    indices = [name for name in frame.index.names if name is not None]
    return index_from_one(frame.reset_index(indices) if indices else frame)


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
