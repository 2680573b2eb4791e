"""Which files of a folder hold the parts of a data set of Hugging Face `datasets`.

Nothing is read here but names and the two small notes in JSON that `save_to_disk` writes.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sites.data.source import SIDES

STATE, INFO, PARTS = "state.json", "dataset_info.json", "dataset_dict.json"
ARROW, PARQUET = ".arrow", ".parquet"
_FILES, _CHOSEN = "_data_files", "_indices_data_files"
# `train-00000-of-00002`, as the hub has it, and `wards-train-00000-of-00002`, as its cache has it.
_SHARD = re.compile(
    rf"(?:(?P<name>.*)-)?(?P<side>{'|'.join(SIDES)})-(?P<number>\d{{5}})-of-(?P<count>\d{{5}})"
)


class BrokenDataset(ValueError):
    """A note of a data set is not one, or a file of it is not there; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file of a data set.

    Args:
        file: The file, of Arrow or Parquet.
        side: `train`, `dev` or `test`; empty if the data set has no sides.
    """

    file: Path
    side: str = ""


def is_dataset(path: Path) -> bool:
    """Return whether a folder holds a data set: one saved to disk, or files of it."""
    return (
        path.is_dir()
        and (
            any((path / note).is_file() for note in (STATE, PARTS))
            or any(path.glob(f"*{ARROW}"))
            or any(_SHARD.fullmatch(file.stem) for file in path.glob(f"*{PARQUET}"))
        )
        and not _has_plain_sides(path)
    )


def dataset_parts(folder: Path) -> list[Part]:
    """Return the files of a data set in the order of its records.

    Guarantee: no file that the notes or the names of the others promise is absent.

    Raises:
        BrokenDataset: One is, or a part's name says no side.
    """
    if (folder / PARTS).is_file():
        return [
            Part(file=part.file, side=_side_of(name, folder))
            for name in _list_in(folder / PARTS, "splits")
            for part in _saved_parts(folder / str(name))
        ]
    if (folder / STATE).is_file():
        return _saved_parts(folder)
    files = sorted(
        file
        for ending in (ARROW, PARQUET)
        for file in folder.glob(f"*{ending}")
        if file.name[0] not in "_."
    )
    found = {file: _SHARD.fullmatch(file.stem) for file in files}
    if not all(found.values()):
        return _unnamed_parts(found, folder)
    _require_all_shards(folder, [one for one in found.values() if one])
    return [Part(file=file, side=SIDES[one["side"]]) for file, one in found.items() if one]


def _unnamed_parts(found: "dict[Path, re.Match[str] | None]", folder: Path) -> list[Part]:
    """Return files whose names say no side, which none of them may."""
    named = [file.name for file, one in found.items() if one]
    if named:
        other = next(file.name for file, one in found.items() if not one)
        raise BrokenDataset(
            f"{folder} holds {named[0]}, which says its side, and {other}, which says none: keep "
            "the files of one data set in a folder, and nothing else"
        )
    return [Part(file=file) for file in found]


def _has_plain_sides(folder: Path) -> bool:
    """Return whether files are named `train.arrow` and the like: each is a table of its own."""
    return any(
        file.suffix in {ARROW, PARQUET} and file.stem.lower() in SIDES for file in folder.iterdir()
    )


def _saved_parts(folder: Path) -> list[Part]:
    listed = _list_in(folder / STATE, _FILES)
    if _list_in(folder / STATE, _CHOSEN, otherwise=[]):
        raise BrokenDataset(
            f"{folder} keeps which of its records count in a file of its own, as datasets did "
            "before version 1.3: load it and save it again"
        )
    names = [one.get("filename") if isinstance(one, dict) else None for one in listed]
    files = [folder / str(name) for name in names]
    for name, file in zip(names, files, strict=True):
        if not isinstance(name, str) or Path(name).name != name or not file.is_file():
            raise BrokenDataset(f"{folder / STATE} names the file {name}, which is not there")
    return [Part(file=file) for file in files]


def _list_in(note: Path, key: str, otherwise: object = None) -> list[object]:
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenDataset(f"{note} is no note of datasets: save the data set again") from error
    listed = found.get(key, otherwise) if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise BrokenDataset(f"{note} has no list {key}: save the data set again")
    return listed


def _side_of(name: object, folder: Path) -> str:
    side = SIDES.get(str(name))
    if side is None:
        raise BrokenDataset(
            f"{folder} has a part '{name}', which is none of {', '.join(SIDES)}: name the folder "
            "of the part that is to be read"
        )
    return side


def _require_all_shards(folder: Path, shards: "list[re.Match[str]]") -> None:
    counts = Counter((one["name"], one["side"], int(one["count"])) for one in shards)
    for (_, side, needed), there in counts.items():
        if there != needed:
            raise BrokenDataset(
                f"{folder} holds {there} files of {side}, and their names say that there are "
                f"{needed}: copy the folder again"
            )
