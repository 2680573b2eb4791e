"""Read WebAnno TSV 3.2 and 3.3, which WebAnno and INCEpTION write.

Format: INCEpTION User Guide, "WebAnno TSV 3.3 File format". A line is a token, or a part of one,
with its place, its words and what was marked. Positions count UTF-16 code units. What is between
two sentences is not in the file: line ends stand for it. Named entities (`...ner.type.NamedEntity`,
by their `value`) are read. Annotations of own layers (`webanno.custom`) are counted and not used.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sites.data.annotated.texts import (
    AnnotatedText,
    Annotation,
    BadAnnotations,
    lines_of,
    require_ranges,
)
from sites.data.annotated.uima import ENTITY, OWN_LAYERS
from sites.data.annotated.units import utf16_edges, utf16_length
from sites.data.tables import BrokenFile

FORMAT = "#FORMAT=WebAnno TSV "
_VERSIONS = ("3.2", "3.3")
_LAYER, _TEXT, _VALUE = "#T_", "#Text=", "value"
_UNIT = re.compile(r"([0-9]+-[0-9]+)(?:\.[0-9]+)?\t([0-9]+)-([0-9]+)\t([^\t]*)((?:\t[^\t]*)*)")
_ESCAPED = re.compile(r"\\(->|.)", re.DOTALL)
_MEANT = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "b": "\b"}
_STACKED = re.compile(r"(?<!\\)\|")
_IDENTITY = re.compile(r"(.*)(?<!\\)\[([0-9]+)\]", re.DOTALL)
_NOTHING, _NO_VALUE = "_", "*"


@dataclass(frozen=True)
class _Unit:
    """A line: a token or a part of one, with its place in UTF-16 code units."""

    line: int
    token: int
    begin: int
    end: int
    says: str
    cells: Sequence[str]


@dataclass(frozen=True)
class _Mark:
    """An entity as one line has it."""

    unit: _Unit
    value: str


def read_webanno(file: Path, *, tagged: bool) -> Iterator[AnnotatedText]:
    """Yield the document of a file, which is named by the file.

    Args:
        file: The file.
        tagged: Whether what was marked is read.

    Raises:
        BrokenFile: It is not UTF-8, is of another version, or a line is none of the format's.
        BadAnnotations: A text holds something else at a token's place, or an entity has no type or
            is not of neighbouring tokens.
    """
    lines = lines_of(file)
    version = lines[0].lstrip().removeprefix(FORMAT)
    if version not in _VERSIONS:
        raise BrokenFile(
            f"{file.name} is WebAnno TSV {version}, and {' and '.join(_VERSIONS)} are read: export "
            "it again"
        )
    columns = _columns(lines)
    text, units = _text_and_units(lines, len(columns), file)
    edges = utf16_edges(text)
    for unit in units:
        _require_words(unit, text, edges, file)
    own = {name for name, _ in columns if name.startswith(OWN_LAYERS)}
    yield AnnotatedText(
        document=file.stem,
        text=text,
        annotations=tuple(_entities(columns, units, text, edges, file)) if tagged else (),
        place=file.name,
        n_other=sum(_count_marks(columns, units, one) for one in own) if tagged else 0,
    )


def _columns(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Return the layer and the feature of each column after the words of a token."""
    found = []
    for line in lines[1:]:
        if not line.startswith(_LAYER):
            break
        layer, *features = line.partition("=")[2].split("|")
        found += [(layer, one) for one in features if one] or [(layer, "")]
    return found


def _text_and_units(lines: Sequence[str], n_columns: int, file: Path) -> tuple[str, list[_Unit]]:
    text, length = "", 0  # of the sentences before; length in UTF-16 code units
    units: list[_Unit] = []
    pending: list[str] = []  # lines of a sentence whose first token is still to come
    tokens: dict[str, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line.startswith(_TEXT):
            pending.append(_unescaped(line.removeprefix(_TEXT)))
        if not line or line.startswith("#"):
            continue
        found = _UNIT.fullmatch(line)
        cells = found[5].split("\t")[1:] if found else []
        if found is None or len(cells) < n_columns:
            raise BrokenFile(
                f"{file.name} line {number} is not one of WebAnno TSV: a token is SENTENCE-TOKEN, "
                f"BEGIN-END, its words and {n_columns} columns, with tabs between"
            )
        begin, end = int(found[2]), int(found[3])
        if pending:
            sentence = "\n".join(pending)
            if begin < length:
                raise BrokenFile(
                    f"{file.name} line {number} begins before the sentence above it ends"
                )
            text += "\n" * (begin - length) + sentence
            length, pending = begin + utf16_length(sentence), []
        token = tokens.setdefault(found[1], len(tokens))
        units.append(_Unit(number, token, begin, end, found[4], cells))
    if pending:
        raise BrokenFile(f"{file.name} ends with a sentence that has no token")
    return text, units


def _unescaped(written: str) -> str:
    return _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), written)


def _require_words(unit: _Unit, text: str, edges: Mapping[int, int], file: Path) -> None:
    start, end = edges.get(unit.begin), edges.get(unit.end)
    there = None if start is None or end is None else text[start:end]
    # INCEpTION writes the words of a token as they are, and others escape them.
    if there not in {unit.says, _unescaped(unit.says)}:
        raise BadAnnotations(
            f"{file.name} line {unit.line}: the text at {unit.begin} to {unit.end} is not what the "
            "line says: positions count UTF-16 code units from 0, so the text was changed after it "
            "was annotated, or another unit was counted"
        )


def _entities(
    columns: Sequence[tuple[str, str]],
    units: Sequence[_Unit],
    text: str,
    edges: Mapping[int, int],
    file: Path,
) -> Iterator[Annotation]:
    if (ENTITY, _VALUE) not in columns:
        if _count_marks(columns, units, ENTITY):
            raise BadAnnotations(f"{file.name} marks named entities without their value")
        return
    for marks in _grouped(units, columns.index((ENTITY, _VALUE))):
        place = f"{file.name} line {marks[0].unit.line}"
        values = {one.value for one in marks}
        tokens = sorted({one.unit.token for one in marks})
        if values == {_NO_VALUE} or len(values) > 1:
            raise BadAnnotations(f"{place}: a named entity has no value, or several: give it one")
        if tokens != [*range(tokens[0], tokens[-1] + 1)]:
            raise BadAnnotations(f"{place}: a named entity is not of neighbouring tokens")
        start = edges[min(one.unit.begin for one in marks)]
        end = edges[max(one.unit.end for one in marks)]
        annotation = Annotation(
            kind=_unescaped(values.pop()), parts=((start, end),), says=text[start:end], place=place
        )
        require_ranges(annotation, len(text))
        yield annotation


def _grouped(units: Sequence[_Unit], column: int) -> list[list[_Mark]]:
    """Return what is marked in a column, by annotation, in the order of the file.

    An annotation on several lines has a number; without one, it is on its line alone.
    """
    groups: dict[object, list[_Mark]] = {}
    for unit in units:
        if unit.cells[column] == _NOTHING:
            continue
        for position, written in enumerate(_STACKED.split(unit.cells[column])):
            numbered = _IDENTITY.fullmatch(written)
            value, key = (
                (numbered[1], numbered[2]) if numbered else (written, (unit.line, position))
            )
            groups.setdefault(key, []).append(_Mark(unit, value))
    return [*groups.values()]


def _count_marks(columns: Sequence[tuple[str, str]], units: Sequence[_Unit], layer: str) -> int:
    found = [number for number, (name, _) in enumerate(columns) if name == layer]
    return len(_grouped(units, found[0])) if found else 0
