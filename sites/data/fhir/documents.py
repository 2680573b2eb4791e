"""Texts of clinical documents: of a DocumentReference, or of the Binary to which it refers."""

import base64
import binascii
import codecs
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sites.data.fhir.elements import Coding, codings, objects, one_object, text
from sites.data.fhir.maps import DocumentColumn
from sites.data.fhir.ndjson import ResourceFiles
from sites.data.fhir.refusals import FhirRefusals, Json
from sites.data.mapped.refusals import Refused

_PLAIN = "text/plain"
_UTF_8 = "utf-8"


@dataclass(frozen=True)
class _Attached:
    """Where the text of a document is: written out, or in a Binary."""

    data: str | None
    binary: str | None
    encoding: str


def document_codings(document: Json) -> tuple[Coding, ...]:
    """Return the codes of a DocumentReference: those of its type and of its categories."""
    concepts = [one_object(document, "type"), *objects(document, "category")]
    return tuple(coding for one in concepts for coding in codings(one))


def read_documents(
    columns: Mapping[str, DocumentColumn],
    places: Collection[int],
    files: ResourceFiles,
    refusals: FhirRefusals,
) -> dict[str, dict[int, str]]:
    """Return by column, and by the place of the document, the cells that documents make.

    Args:
        columns: By name.
        places: Where the documents stand.
        files: In which they, and their Binaries, stand.
        refusals: Take what cannot be used.
    """
    cells: dict[str, dict[int, str]] = {name: {} for name in columns}
    awaited: dict[str, list[tuple[str, int, str]]] = {}  # by id of a Binary
    for place, document in files.read({"DocumentReference"} if columns else ()):
        if place not in places:
            continue
        for name, column in columns.items():
            try:
                found = _cell(column, document)
            except Refused as why:
                refusals.add(name, why, place=place, resource=document)
                continue
            if isinstance(found, str):
                cells[name][place] = found
            else:
                awaited.setdefault(found.binary or "", []).append((name, place, found.encoding))
    _read_binaries(cells, awaited, files, refusals)
    return cells


def _read_binaries(
    cells: dict[str, dict[int, str]],
    awaited: dict[str, list[tuple[str, int, str]]],
    files: ResourceFiles,
    refusals: FhirRefusals,
) -> None:
    """Enter the texts that stand in Binaries, and refuse those that are not there."""
    for place, binary in files.read({"Binary"} if awaited else ()):
        for name, document, encoding in awaited.pop(str(binary.get("id")), ()):
            try:
                cells[name][document] = _decoded(text(binary, "data"), encoding, path="data")
            except Refused as why:
                refusals.add(name, why, place=place, resource=binary)
    for waiting in awaited.values():
        for name, document, _ in waiting:
            absent = Refused(
                "content.attachment.url",
                "a reference to a Binary in the files",
                advice="export the type Binary too",
            )
            known = {"resourceType": "DocumentReference"}
            refusals.add(name, absent, place=document, resource=known)


def _cell(column: DocumentColumn, document: Json) -> "str | _Attached":
    if column.value != "text":
        return _meaning(column, document)
    attached = _attached(document)
    if attached.binary is not None:
        return attached
    return _decoded(attached.data, attached.encoding, path="content.attachment.data")


def _meaning(column: DocumentColumn, document: Json) -> str:
    concepts = (
        [one_object(document, "type")]
        if column.value == "type"
        else [*objects(document, "category")]
    )
    said = [f"{system}|{code}" for one in concepts for system, code in codings(one)]
    meant = {column.means[token] for token in said if token in column.means}
    if len(meant) == 1:
        return meant.pop()
    raise Refused(
        column.value,
        "codings that mean one value" if meant else "one value that the map declares",
        advice="say in the map what each code means: means = { 'system|code' = 'value' }",
        got=", ".join(said) or None,
    )


def _attached(document: Json) -> _Attached:
    """Return where the plain text of a document is."""
    found = []
    for content in objects(document, "content"):
        attachment = one_object(content, "attachment") or {}
        kind, *parameters = (text(attachment, "contentType") or "").lower().split(";")
        if kind.strip() == _PLAIN:
            charset = [one.partition("=")[2] for one in parameters if "charset" in one]
            found.append((attachment, charset[0].strip(' "') if charset else _UTF_8))
    if len(found) != 1:
        raise Refused(
            "content",
            f"one attachment of type {_PLAIN}",
            advice="export the text of the note as one such attachment",
        )
    attachment, encoding = found[0]
    data, url = text(attachment, "data"), text(attachment, "url")
    if data is None and url is not None and "Binary/" in url:
        return _Attached(None, url.rpartition("Binary/")[2].partition("/")[0], encoding)
    return _Attached(data, None, encoding)


def _decoded(data: str | None, encoding: str, *, path: str) -> str:
    """Return the text in base64; never an empty one."""
    try:
        codecs.lookup(encoding)
        found = base64.b64decode("".join((data or "").split()), validate=True).decode(encoding)
    except (binascii.Error, LookupError, UnicodeError, ValueError) as error:
        raise Refused(
            path, f"text in {encoding}, written in base64", advice="export it again"
        ) from error
    if not found.strip():
        raise Refused(path, "a text that is not empty", advice="leave the document out")
    return found
