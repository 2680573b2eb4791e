"""Read documents of UIMA, as INCEpTION exports them: CAS XMI, or CAS JSON.

Formats: OASIS UIMA 1.0, and https://github.com/apache/uima-uimaj-io-jsoncas (0.4). Positions count
UTF-16 code units. Neither format repeats the marked words, so that positions are checked against
the length that the file says its text has, and must be at the edges of characters.

Named entities are read (`...ner.type.NamedEntity`, whose `value` is the type). Annotations of own
layers (`webanno.custom`) are counted and not used, and of others nothing is said.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from privacy.errors import number_of
from sites.data.annotated.texts import (
    AnnotatedText,
    Annotation,
    BadAnnotations,
    read_characters,
    require_ranges,
)
from sites.data.annotated.units import utf16_edges
from sites.data.tables import BrokenFile

ENTITY = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
OWN_LAYERS = "webanno.custom."
STRUCTURES = "%FEATURE_STRUCTURES"
_DOCUMENT = (
    "de.tudarmstadt.ukp.dkpro.core.api.metadata.type.DocumentMetaData",
    "uima.tcas.DocumentAnnotation",
)
_SOFA, _VIEW, _FIRST_VIEW = "uima.cas.Sofa", "uima.cas.View", "_InitialView"
_XMI = "{http://www.omg.org/XMI}id"


@dataclass(frozen=True, kw_only=True)
class _Structure:
    """What UIMA calls a feature structure: an annotation, a text, or something beside them."""

    kind: str
    identity: str
    features: Mapping[str, Any]

    def place_in(self, file: Path) -> str:
        return f"{file.name} annotation {self.identity}"


@dataclass(frozen=True)
class _Cas:
    """All of a file, and which of it is in the index of each text."""

    structures: Sequence[_Structure]
    indexed: Mapping[str, frozenset[str]]


def read_uima(file: Path, *, tagged: bool) -> Iterator[AnnotatedText]:
    """Yield the document of a file, which is named by its title, or else by the file.

    Args:
        file: The file; one that ends in `.json` is JSON.
        tagged: Whether what was marked is read.

    Raises:
        BrokenFile: It is not UTF-8, not of UIMA, or declares entities of XML; or it has no text, or
            several.
        BadAnnotations: An entity has no type, or positions do not fit the text.
    """
    content = read_characters(file)
    is_json = file.suffix.lower() == ".json"
    cas = _read_json(content, file) if is_json else _read_xmi(content, file)
    sofa = _sofa_of(cas, file)
    text = sofa.features["sofaString"]
    members = cas.indexed.get(sofa.identity, frozenset())
    marked = [one for one in cas.structures if one.identity in members]
    edges = utf16_edges(text)
    document = _document_of(marked, edges, file)
    yield AnnotatedText(
        document=document,
        text=text,
        annotations=tuple(
            _annotation(one, text, edges, file) for one in marked if tagged and one.kind == ENTITY
        ),
        place=file.name,
        n_other=sum(one.kind.startswith(OWN_LAYERS) for one in marked) if tagged else 0,
    )


def _sofa_of(cas: _Cas, file: Path) -> _Structure:
    """Return the text of a file; of several, the first view's."""
    sofas = [
        one
        for one in cas.structures
        if one.kind == _SOFA and isinstance(one.features.get("sofaString"), str)
    ]
    first = [one for one in sofas if one.features.get("sofaID") == _FIRST_VIEW]
    found = first or sofas
    if len(found) != 1:
        raise BrokenFile(
            f"{file.name} holds {number_of(len(found), 'text')}, and one is needed: export the "
            "document again"
        )
    return found[0]


def _document_of(marked: Sequence[_Structure], edges: Mapping[int, int], file: Path) -> str:
    """Return the name of a document, whose text must be as long as the file says."""
    titles = []
    length = max(edges)
    for one in (one for one in marked if one.kind in _DOCUMENT):
        said = _whole_number(one.features.get("end"))
        if said not in {0, None, length}:  # 0 is what a document has that was named before its text
            raise BadAnnotations(
                f"{one.place_in(file)} says that the text has {said} UTF-16 code units; it has "
                f"{length}: the text was changed after it was annotated, or another unit was "
                "counted"
            )
        titles.append(one.features.get("documentTitle"))
    return next((str(one) for one in titles if one), file.stem)


def _annotation(one: _Structure, text: str, edges: Mapping[int, int], file: Path) -> Annotation:
    place = one.place_in(file)
    kind = one.features.get("value")
    if not isinstance(kind, str) or not kind:
        raise BadAnnotations(f"{place} is a named entity without a value: give it one or remove it")
    said = [_whole_number(one.features.get(name, 0)) for name in ("begin", "end")]
    found = [edges.get(-1 if edge is None else edge) for edge in said]
    start, end = found
    if start is None or end is None:
        raise BadAnnotations(
            f"{place}: {said[0]} and {said[1]} are not both the edge of a character of the text, "
            f"which has {max(edges)} UTF-16 code units"
        )
    annotation = Annotation(kind=kind, parts=((start, end),), says=text[start:end], place=place)
    require_ranges(annotation, len(text))
    return annotation


def _whole_number(said: object) -> int | None:
    """Return a whole number that is written as such or as text; None for anything else."""
    if isinstance(said, str) and said.isascii() and said.isdecimal():
        return int(said)
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def _read_json(content: str, file: Path) -> _Cas:
    try:
        found = json.loads(content)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BrokenFile(f"{file.name} is not JSON: export it again") from error
    raw = found.get(STRUCTURES) if isinstance(found, dict) else None
    views = found.get("%VIEWS", {}) if isinstance(found, dict) else {}
    # Of types that have one structure only, older files hold an object by identity.
    listed = [{"%ID": key, **one} for key, one in raw.items()] if isinstance(raw, dict) else raw
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise BrokenFile(f"{file.name} has no list {STRUCTURES}: export it again as UIMA CAS JSON")
    structures = [
        _Structure(kind=str(one.get("%TYPE")), identity=str(one.get("%ID")), features=one)
        for one in listed
    ]
    indexed = {
        str(view.get("%SOFA")): frozenset(map(str, view.get("%MEMBERS") or ()))
        for view in (views.values() if isinstance(views, dict) else ())
        if isinstance(view, dict)
    }
    return _Cas(structures, indexed)


def _read_xmi(content: str, file: Path) -> _Cas:
    if "<!ENTITY" in content:
        raise BrokenFile(f"{file.name} declares entities of XML, which UIMA does not need")
    try:
        root = ElementTree.fromstring(content.lstrip())  # noqa: S314 -- no entities, see above
    except ElementTree.ParseError as error:
        line, _ = error.position
        raise BrokenFile(
            f"{file.name} line {line} is not XML 1.0: export it again as UIMA CAS XMI (XML 1.0)"
        ) from error
    structures = [
        _Structure(kind=_dotted(one.tag), identity=one.get(_XMI, ""), features=dict(one.attrib))
        for one in root
    ]
    return _Cas(
        structures,
        {
            one.features.get("sofa", ""): frozenset(one.features.get("members", "").split())
            for one in structures
            if one.kind == _VIEW
        },
    )


def _dotted(tag: str) -> str:
    """Return the name of a type, `uima.cas.Sofa`, from that of an element of XML."""
    space, _, name = tag.removeprefix("{http:///").partition("}")
    return f"{space.removesuffix('.ecore').replace('/', '.')}.{name}"
