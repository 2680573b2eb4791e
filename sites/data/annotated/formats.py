"""Which format of annotated documents a file or directory holds, by its content."""

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from sites.data.annotated.bioc import read_bioc
from sites.data.annotated.brat import read_brat
from sites.data.annotated.label_studio import read_label_studio
from sites.data.annotated.pubtator import TITLE, read_pubtator
from sites.data.annotated.texts import AnnotatedText
from sites.data.annotated.uima import STRUCTURES, read_uima
from sites.data.annotated.webanno import FORMAT, read_webanno
from sites.data.source import SIDES
from sites.data.tables import UnknownFormat

Format: TypeAlias = Literal["brat", "PubTator", "BioC", "Label Studio", "UIMA CAS", "WebAnno TSV"]

READERS: dict[Format, Callable[..., Iterator[AnnotatedText]]] = {
    "brat": read_brat,
    "PubTator": read_pubtator,
    "BioC": read_bioc,
    "Label Studio": read_label_studio,
    "UIMA CAS": read_uima,
    "WebAnno TSV": read_webanno,
}
_SURE = (".pubtator", ".xml", ".xmi", ".json")
_ENDINGS = (*_SURE, ".txt")
_COLLECTION = re.compile(r"<collection[\s>]")
_XMI = re.compile(r"<(?:\w+:)?XMI[\s>]")
_TYPES = "typesystem.xml"  # which INCEpTION puts beside each document
_START = 4096  # bytes that are looked at
_SHOWN = 5


def format_of(path: Path) -> Format | None:
    """Return the format of a file or directory; None if it holds no annotated documents.

    A directory with an `.ann` file in it, or below it, is brat's. Other formats are told by how
    each file begins.

    Raises:
        UnknownFormat: A single file's ending promises annotations that its content does not hold,
            or a directory holds several formats, or annotated documents and other texts.
    """
    if _is_brat(path):
        return "brat"
    found = {file: _format_of_file(file) for file in document_files(path)}
    if path.suffix.lower() in _SURE and found == {path: None}:
        raise UnknownFormat(
            f"{path} holds no annotated documents: {', '.join(READERS)} can be read"
        )
    formats = {*found.values()}
    if formats <= {None}:
        return None
    if len(formats) > 1:
        shown = sorted(f"{file.name} ({kind or 'text'})" for file, kind in found.items())[:_SHOWN]
        raise UnknownFormat(
            f"{path} holds files of several formats, such as {', '.join(shown)}: keep one format "
            "in a directory"
        )
    return formats.pop()


def document_files(path: Path) -> list[Path]:
    """Return the files, one or those of a directory, that may hold many annotated documents."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in files if file.is_file() and _may_hold_documents(file)]


def _may_hold_documents(file: Path) -> bool:
    ending = file.suffix.lower()
    if ending == ".tsv":  # of which most are tables, or sentences
        return _start_of(file).startswith(FORMAT)
    return ending in _ENDINGS and file.name.lower() != _TYPES


def side_of(file: Path) -> str | None:
    """Return the side that a file's name says, up to its first dot; None if it says none."""
    return SIDES.get(file.name.partition(".")[0].lower())


def split_by_files(path: Path) -> Literal["file"] | None:
    """Return `file` if a directory's files of documents are all named after their side."""
    files = document_files(path) if path.is_dir() and not _is_brat(path) else []
    return "file" if files and all(map(side_of, files)) else None


def _is_brat(path: Path) -> bool:
    if path.is_dir():
        return next(islice(path.rglob("*.ann"), 1), None) is not None
    beside = path.parent / f"{path.stem}.ann"
    return path.suffix == ".ann" or (path.suffix == ".txt" and beside.is_file())


def _start_of(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(_START).decode("utf-8-sig", errors="replace").lstrip()


def _format_of_file(file: Path) -> Format | None:
    start = _start_of(file)
    if start.startswith(FORMAT):
        return "WebAnno TSV"
    if TITLE.fullmatch(start.partition("\n")[0].removesuffix("\r")):
        return "PubTator"
    if file.suffix.lower() == ".xml" and _COLLECTION.search(start):
        return "BioC"
    if file.suffix.lower() in {".xml", ".xmi"} and _XMI.search(start):
        return "UIMA CAS"
    return _format_of_json(file) if file.suffix.lower() == ".json" else None


def _format_of_json(file: Path) -> Format | None:
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        return None
    several = found if isinstance(found, list) else [found]
    keys = [{*one} if isinstance(one, dict) else set() for one in several]
    if keys and all(one >= {"data", "annotations"} for one in keys):
        return "Label Studio"
    if keys and all(STRUCTURES in one for one in keys):
        return "UIMA CAS"
    return "BioC" if keys and all("documents" in one for one in keys) else None
