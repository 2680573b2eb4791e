"""Take elements out of a resource, and refuse what FHIR does not have in their place."""

from collections.abc import Iterator
from typing import Any

from sites.data.fhir.refusals import Json
from sites.data.mapped.refusals import Refused

_AS_SPECIFIED = "export it as FHIR R4 specifies it"

Coding = tuple[str, str]


def one_object(holder: Json, name: str) -> Json | None:
    """Return an element that is an object; None if it is absent."""
    found = holder.get(name)
    if found is None or isinstance(found, dict):
        return found
    raise Refused(name, "an object", advice=_AS_SPECIFIED, got=found)


def objects(holder: Json, name: str) -> list[Json]:
    """Return the objects of an element that may be repeated; none if it is absent."""
    found = holder.get(name)
    if found is None:
        return []
    if isinstance(found, list) and all(isinstance(one, dict) for one in found):
        return found
    raise Refused(name, "a list of objects", advice=_AS_SPECIFIED, got=found)


def text(holder: Json, name: str) -> str | None:
    """Return an element that is text; None if it is absent."""
    found = holder.get(name)
    if found is None or isinstance(found, str):
        return found
    raise Refused(name, "text", advice=_AS_SPECIFIED, got=found)


def truth(holder: Json, name: str) -> bool | None:
    """Return an element that is true or false; None if it is absent."""
    found = holder.get(name)
    if found is None or isinstance(found, bool):
        return found
    raise Refused(name, "true or false", advice=_AS_SPECIFIED, got=found)


def codings(concept: Json | None) -> Iterator[Coding]:
    """Yield system and code of each coding of a CodeableConcept; "" for a system that is absent."""
    if concept is not None:
        for coding in objects(concept, "coding"):
            if (found := coding_of(coding)) is not None:
                yield found


def coding_of(coding: Json) -> Coding | None:
    """Return system and code of a Coding; None if it has no code."""
    code = text(coding, "code")
    return None if code is None else (text(coding, "system") or "", code)


def polymorphic(holder: Json, stem: str) -> tuple[str, Any] | None:
    """Return the name and the content of an element of several types, such as `value[x]`."""
    for name, found in holder.items():
        if name.startswith(stem) and name[len(stem) : len(stem) + 1].isupper():
            return name, found
    return None


def require_id(resource: Json) -> str:
    """Return the id of a resource.

    Raises:
        Refused: It has none.
    """
    found = text(resource, "id")
    if not found:
        raise Refused("id", "an id", advice="export it again: bulk data always have one")
    return found
