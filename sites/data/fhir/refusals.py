"""What of FHIR resources is refused, each cell with its place: file, line, resource and path."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from sites.data.mapped.refusals import Refusals, Refused, short_text
from sites.data.tables import UnreadableSource

Json: TypeAlias = dict[str, Any]

_LINE_BITS = 40


class BadResources(UnreadableSource, code="bad-resources"):
    """FHIR resources cannot be made into cells; the message says which, where and why."""


def place_of(file: int, line: int) -> int:
    """Return a place as one number: which file, counted from 0, and which line, from 1."""
    return file << _LINE_BITS | line


def place_name(place: int, files: Sequence[Path]) -> str:
    """Return the words for a place: the name of the file, and the line."""
    return f"{files[place >> _LINE_BITS].name} line {place & ((1 << _LINE_BITS) - 1)}"


def resource_name(resource: Json) -> str:
    """Return the words for a resource: its type and id."""
    return f"{resource.get('resourceType')}/{resource.get('id', '(no id)')}"


class FhirRefusals(Refusals):
    """The refusals of one reading of FHIR resources.

    Args:
        files: The files that are read.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        super().__init__(BadResources, what="element", source="FHIR resources")
        self._files = files

    def add(self, column: str, why: Refused, *, place: int, resource: Json) -> None:
        """Note a refusal.

        Args:
            column: The column that is made of the element.
            why: What is wrong.
            place: Where the resource stands.
            resource: The resource.
        """
        got = "" if why.got is None else f" is {short_text(why.got)}"
        of = f"{resource_name(resource)}, {why.element}{got}"
        self.note(column, why, f"{place_name(place, self._files)} ({of})")
