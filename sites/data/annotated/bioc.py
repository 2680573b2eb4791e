"""Read BioC collections, in XML or JSON (Comeau et al. 2013, doi:10.1093/database/bat064).

A document has passages, which have a text or sentences with a text. A location counts from the
beginning of the document, as the offset of its passage or sentence does. The format does not say
whether characters or bytes are counted: see `sites.data.annotated.units`. Relations are not used.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from xml.etree import ElementTree

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from sites.data.annotated.texts import (
    AnnotatedText,
    Annotation,
    BadAnnotations,
    read_characters,
)
from sites.data.annotated.units import with_character_positions
from sites.data.tables import BrokenFile

_TYPE = "type"


class _Location(BaseModel):
    offset: int
    length: int


class _Mark(BaseModel):
    id: Any = ""
    infons: dict[str, Any] = {}
    text: str | None = None
    locations: list[_Location] = []


class _Block(BaseModel):
    offset: int
    text: str | None = None
    annotations: list[_Mark] = []


class _Passage(_Block):
    sentences: list[_Block] = []


class _Document(BaseModel):
    id: Annotated[str, Field(coerce_numbers_to_str=True, min_length=1)]
    passages: list[_Passage]
    annotations: list[_Mark] = []


class _Collection(BaseModel):
    documents: list[_Document]


_COLLECTIONS = TypeAdapter(list[_Collection])


def read_bioc(file: Path, *, tagged: bool) -> Iterator[AnnotatedText]:
    """Yield the passages of a file's documents, or their sentences, in order.

    Args:
        file: The file; one that ends in `.json` is JSON.
        tagged: Whether what was marked is read.

    Raises:
        BrokenFile: It is not UTF-8, or not a collection of BioC, or declares entities of XML.
        BadAnnotations: A text holds something else at an annotation's place, in any unit.
    """
    content = read_characters(file)
    raw = _json(content, file) if file.suffix.lower() == ".json" else [_xml(content, file)]
    try:
        collections = _COLLECTIONS.validate_python(raw)
    except ValidationError as error:
        mistake = error.errors(include_input=False)[0]
        where = ".".join(map(str, mistake["loc"]))
        raise BrokenFile(f"{file.name} is not BioC: {where}: {mistake['msg']}") from None
    documents = [one for collection in collections for one in collection.documents]
    texts = [text for one in documents for text in _texts(one, file, tagged=tagged)]
    yield from with_character_positions(texts)


def _texts(document: _Document, file: Path, *, tagged: bool) -> Iterator[AnnotatedText]:
    place = f"{file.name} document {document.id}"
    if document.annotations and tagged:
        raise BadAnnotations(f"{place}: an annotation is outside of the passages")
    blocks: list[_Block] = []
    for passage in document.passages:
        blocks += [passage] if passage.text is not None or not passage.sentences else []
        if passage.text is None and passage.annotations and passage.sentences and tagged:
            raise BadAnnotations(f"{place}: an annotation is outside of the passage's sentences")
        if passage.text is None:
            blocks += passage.sentences
        else:
            passage.annotations += [one for inner in passage.sentences for one in inner.annotations]
    for number, block in enumerate(blocks):
        yield AnnotatedText(
            document=document.id,
            part=number,
            text=block.text or "",
            annotations=tuple(
                _annotation(mark, block.offset, place) for mark in block.annotations if tagged
            ),
            place=f"{place} offset {block.offset}",
        )


def _annotation(mark: _Mark, offset: int, place: str) -> Annotation:
    where = f"{place} annotation {mark.id}"
    kind = mark.infons.get(_TYPE)
    if not isinstance(kind, str) or not mark.locations:
        raise BadAnnotations(f"{where} lacks an infon '{_TYPE}', or a location")
    starts = sorted((one.offset - offset, one.length) for one in mark.locations)
    return Annotation(
        kind=kind,
        parts=tuple((start, start + length) for start, length in starts),
        says=mark.text or "",
        place=where,
    )


def _json(content: str, file: Path) -> list[Any]:
    try:
        found = json.loads(content)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BrokenFile(f"{file.name} is not JSON: export it again") from error
    return found if isinstance(found, list) else [found]


def _xml(content: str, file: Path) -> dict[str, Any]:
    """Return a collection as it would stand in JSON."""
    if "<!ENTITY" in content:
        raise BrokenFile(f"{file.name} declares entities of XML, which BioC does not need")
    try:
        root = ElementTree.fromstring(content.lstrip())  # noqa: S314 -- no entities, see above
    except ElementTree.ParseError as error:
        line, _ = error.position
        raise BrokenFile(f"{file.name} line {line} is not XML: export it again") from error
    return {
        "documents": [
            {
                "id": document.findtext("id"),
                "passages": [_xml_block(one) for one in document.iterfind("passage")],
                "annotations": [_xml_mark(one) for one in document.iterfind("annotation")],
            }
            for document in root.iterfind("document")
        ]
    }


def _xml_block(block: ElementTree.Element) -> dict[str, Any]:
    return {
        "offset": block.findtext("offset"),
        "text": block.findtext("text"),
        "annotations": [_xml_mark(one) for one in block.iterfind("annotation")],
        "sentences": [_xml_block(one) for one in block.iterfind("sentence")],
    }


def _xml_mark(mark: ElementTree.Element) -> dict[str, Any]:
    return {
        "id": mark.get("id", ""),
        "infons": {one.get("key", ""): one.text or "" for one in mark.iterfind("infon")},
        "text": mark.findtext("text"),
        "locations": [dict(one.attrib) for one in mark.iterfind("location")],
    }
