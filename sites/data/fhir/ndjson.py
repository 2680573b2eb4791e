"""Read resources from files of FHIR bulk data (NDJSON), one at a time."""

import json
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO

from sites.data.cells import has_half_character
from sites.data.fhir.refusals import Json, place_of
from sites.data.plain_text import open_bytes, reason_not_text
from sites.data.tables import BrokenFile, EmptyTable, MissingFile

ENDINGS = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
# Most servers write the type first; a line of another type need not be parsed.
_TYPE = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]+)"')
_MARK = b"\xef\xbb\xbf"  # with which some programs begin a file in UTF-8


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


class ResourceFiles:
    """The NDJSON files of a site.

    Which types of resources a file holds is noted the first time that all of it is read, so that
    later readings leave out the files without one that is wanted.

    Args:
        path: A file, or a directory with files at any depth (`ENDINGS`).

    Raises:
        MissingFile: There is no such file or directory.
        EmptyTable: The directory holds no such file.
    """

    def __init__(self, path: Path) -> None:
        self.files: Sequence[Path] = _files_in(path)
        self._types: dict[Path, set[str]] = {}

    @property
    def types(self) -> set[str]:
        """The types of resources that are known to be in the files."""
        return set().union(*self._types.values())

    def read(self, types: Collection[str]) -> Iterator[tuple[int, Json]]:
        """Yield the place (`sites.data.fhir.refusals.place_of`) and the content of resources.

        Guarantee: in the order of the files' names and their lines, all resources of these types.
        Lines of other types are not judged.

        Args:
            types: The types of resources.

        Raises:
            BrokenFile: A line is not a FHIR resource in JSON; the message names it.
        """
        for number, path in enumerate(self.files):
            held = self._types.get(path)
            if held is None or held & {*types}:
                yield from self._read_file(number, path, {*types})

    def _read_file(self, number: int, path: Path, types: set[str]) -> Iterator[tuple[int, Json]]:
        wanted = {name.encode() for name in types} | {b"Bundle"}  # which is refused
        seen: set[bytes] = set()
        held: set[str] = set()
        try:
            with open_bytes(path) as file:
                for line_number, line in enumerate(_lines(file), start=1):
                    told = _TYPE.match(line)
                    if told is not None and told[1] not in wanted:
                        seen.add(told[1])
                        continue
                    resource = _resource(line, f"{path} line {line_number}", path)
                    if resource is None:
                        continue
                    held.add(resource["resourceType"])
                    if resource["resourceType"] in types:
                        yield place_of(number, line_number), resource
        except (OSError, EOFError, zlib.error) as error:
            raise BrokenFile(f"{path} cannot be read: {error}; export or copy it again") from error
        self._types[path] = held | {name.decode() for name in seen}


def _files_in(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.is_file():
            raise MissingFile(f"there is no file or directory {path}: check the path")
        return [path]
    found = [
        file
        for file in path.rglob("*")
        if file.name.endswith(ENDINGS) and not file.name.startswith(".") and file.is_file()
    ]
    if not found:
        raise EmptyTable(f"{path} holds no file that ends in {', '.join(ENDINGS)}")
    return sorted(found)


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    yield file.readline().removeprefix(_MARK)
    yield from file


def _resource(line: bytes, place: str, path: Path) -> Json | None:
    """Return the resource in a line; None if the line is blank."""
    if not line.strip():
        return None
    try:
        resource = _DECODER.decode(line.decode())
    except UnicodeDecodeError as error:
        raise BrokenFile(f"{path} {reason_not_text(path)}") from error
    except (ValueError, RecursionError) as error:
        raise BrokenFile(
            f"{place} is not JSON: {error}; each line must be one whole resource"
        ) from error
    # Only an escape can write half a character; most lines need no second look.
    if b"\\u" in line and has_half_character(json.dumps(resource, ensure_ascii=False)):
        raise BrokenFile(f"{place} holds half a character: a text was cut off; export it again")
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise BrokenFile(f"{place} is not a FHIR resource: it has no resourceType")
    if resource["resourceType"] == "Bundle":
        raise BrokenFile(
            f"{place} is a Bundle: write each of its resources on a line of its own, as bulk data "
            "has them"
        )
    return resource
