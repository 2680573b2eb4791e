"""Read brat's standoff files: `NAME.txt`, and `NAME.ann` with what was marked in it.

Format: https://brat.nlplab.org/standoff.html. A line `T1<tab>Disease 0 5;8 12<tab>words` marks
characters 0 to 5 and 8 to 12. Relations, events, attributes and notes are not used; an event's
trigger is marked as any entity is.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sites.data.annotated.texts import (
    AnnotatedText,
    Annotation,
    lines_of,
    read_characters,
    require_same_words,
)
from sites.data.tables import BrokenFile, MissingFile

_MARKED = re.compile(r"(T\S*)\t(\S+) ([0-9]+ [0-9]+(?:;[0-9]+ [0-9]+)*)\t(.*)", re.DOTALL)
_OTHER_LINES = ("R", "E", "A", "M", "N", "#", "*")


def read_brat(path: Path, *, tagged: bool) -> Iterator[AnnotatedText]:
    """Yield the documents of a directory and of those in it, or that of one file, by name.

    Args:
        path: The directory, or one of a document's two files.
        tagged: Whether what was marked is read; without it, texts need no `.ann` file.

    Raises:
        MissingFile: One of a document's two files is not there.
        BrokenFile: A file is not UTF-8, or a line is not one of brat's.
        BadAnnotations: A text holds something else at an annotation's place.
    """
    folder = path if path.is_dir() else path.parent
    names = {
        file.with_suffix("")
        for file in (path.rglob("*") if path.is_dir() else [path])
        if file.suffix in (".txt", ".ann")
    }
    for name in sorted(names):
        # A name may hold dots, so that `with_suffix` would cut it.
        text_file, marks = name.parent / f"{name.name}.txt", name.parent / f"{name.name}.ann"
        for file in (text_file, marks) if tagged else (text_file,):
            if not file.is_file():
                raise MissingFile(
                    f"there is no {file.name} in {file.parent}: a document of brat is a .txt and "
                    "an .ann file, which is empty if nothing is marked"
                )
        shown = name.relative_to(folder).as_posix()
        text = read_characters(text_file)
        yield AnnotatedText(
            document=shown,
            text=text,
            annotations=tuple(_read_annotations(marks, text)) if tagged else (),
            place=f"{shown}.txt",
        )


def _read_annotations(file: Path, text: str) -> Iterator[Annotation]:
    for number, line in enumerate(lines_of(file), start=1):
        if not line.strip() or line.startswith(_OTHER_LINES):
            continue
        found = _MARKED.fullmatch(line)
        if found is None:
            raise BrokenFile(
                f"{file.name} line {number} is not one of brat's: an entity is T1, tab, TYPE "
                "START END, tab, the marked words"
            )
        identity, kind, ranges, says = found.groups()
        parts = tuple(_range(part) for part in ranges.split(";"))
        annotation = Annotation(
            kind=kind, parts=parts, says=says, place=f"{file.name} line {number} ({identity})"
        )
        require_same_words(annotation, text)
        yield annotation


def _range(part: str) -> tuple[int, int]:
    start, end = part.split(" ")
    return int(start), int(end)
