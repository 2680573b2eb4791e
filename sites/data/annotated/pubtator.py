"""Read files of PubTator: titles and abstracts, and below each what was marked in them.

A document is a line `ID|t|title`, a line `ID|a|abstract` and a line of six or seven fields for each
entity: ID, start, end, the marked words, type, concept, and for several concepts the name of each.
The abstract begins one character after the end of the title. An empty line ends a document.
(Wei, Kao and Lu 2013, doi:10.1093/nar/gkt441.)
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sites.data.annotated.texts import AnnotatedText, Annotation, lines_of, require_same_words
from sites.data.tables import BrokenFile

TITLE = re.compile(r"([^\s|]+)\|t\|([^\t]*)")
_ABSTRACT = re.compile(r"([^\s|]+)\|a\|(.*)")
_FEWEST_FIELDS = 5  # of an entity without a concept
_RELATION_FIELDS = (4, 5)


@dataclass
class _Document:
    identity: str
    text: str
    line: int
    has_abstract: bool = False
    annotations: list[Annotation] = field(default_factory=list)


def read_pubtator(file: Path, *, tagged: bool) -> Iterator[AnnotatedText]:
    """Yield the documents of a file, in order, title and abstract as lines of one text.

    Args:
        file: The file.
        tagged: Whether what was marked is read.

    Raises:
        BrokenFile: It is not UTF-8, or a line is none of PubTator's or not of its document.
        BadAnnotations: A text holds something else at an annotation's place.
    """
    open_one: _Document | None = None
    for number, line in enumerate([*lines_of(file), ""], start=1):
        title = TITLE.fullmatch(line.lstrip() if number == 1 else line)
        if open_one and (title or not line.strip()):
            yield _finished(open_one, file)
            open_one = None
        if title:
            open_one = _Document(title[1], title[2], number)
        elif line.strip():
            _add_line(open_one, line, f"{file.name} line {number}", tagged=tagged)


def _add_line(document: _Document | None, line: str, place: str, *, tagged: bool) -> None:
    abstract = _ABSTRACT.fullmatch(line)
    fields = line.split("\t")
    identity = abstract[1] if abstract else fields[0]
    if document is None or identity != document.identity:
        raise BrokenFile(
            f"{place} belongs to no document: below the line ID|t|title, each line begins with "
            "the same ID, and an empty line ends the document"
        )
    if abstract:
        if document.has_abstract or document.annotations:
            raise BrokenFile(f"{place} is not right below the title, where the abstract is needed")
        document.text += f"\n{abstract[2]}"
        document.has_abstract = True
    elif _is_annotation(fields):
        if tagged:
            document.annotations.append(_annotation(fields, place, document))
    elif len(fields) not in _RELATION_FIELDS:
        raise BrokenFile(
            f"{place} is not one of PubTator's: an entity is ID, START, END, the marked words, "
            "TYPE and concept, with tabs between"
        )


def _is_annotation(fields: Sequence[str]) -> bool:
    return len(fields) >= _FEWEST_FIELDS and all(
        one.isascii() and one.isdecimal() for one in fields[1:3]
    )


def _annotation(fields: Sequence[str], place: str, document: _Document) -> Annotation:
    _, start, end, says, kind, *_ = fields
    annotation = Annotation(kind=kind, parts=((int(start), int(end)),), says=says, place=place)
    require_same_words(annotation, document.text)
    return annotation


def _finished(document: _Document, file: Path) -> AnnotatedText:
    return AnnotatedText(
        document=document.identity,
        text=document.text,
        annotations=tuple(document.annotations),
        place=f"{file.name} line {document.line}",
    )
