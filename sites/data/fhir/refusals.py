"""What of FHIR resources is refused, each cell with its place: file, line, resource and path."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from privacy.errors import ConsortiumError, number_of

Json: TypeAlias = dict[str, Any]

_SHOWN = 5
_LINE_BITS = 40
_LONGEST = 60


class BadResources(ConsortiumError, ValueError, code="bad-resources"):
    """FHIR resources cannot be made into cells; the message says which, where and why."""


class Refused(Exception):
    """An element of a resource cannot be used.

    Args:
        path: The element, from the resource.
        expected: What it must be.
        advice: What to do.
        got: What it is; None if it should not be shown.
    """

    def __init__(self, path: str, expected: str, *, advice: str, got: object = None) -> None:
        super().__init__(path)
        self.path, self.expected, self.advice, self.got = path, expected, advice, got


def place_of(file: int, line: int) -> int:
    """Return a place as one number: which file, counted from 0, and which line, from 1."""
    return file << _LINE_BITS | line


def place_name(place: int, files: Sequence[Path]) -> str:
    """Return the words for a place: the name of the file, and the line."""
    return f"{files[place >> _LINE_BITS].name} line {place & ((1 << _LINE_BITS) - 1)}"


def resource_name(resource: Json) -> str:
    """Return the words for a resource: its type and id."""
    return f"{resource.get('resourceType')}/{resource.get('id', '(no id)')}"


class Refusals:
    """The refusals of one reading: how many there are of each kind, and where the first are.

    Args:
        files: The files that are read.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._places: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)

    def add(self, column: str, why: Refused, *, place: int, resource: Json) -> None:
        """Note a refusal.

        Args:
            column: The column that is made of the element.
            why: What is wrong.
            place: Where the resource stands.
            resource: The resource.
        """
        kind = (column, why.expected, why.advice)
        self._counts[kind] += 1
        if len(self._places[kind]) < _SHOWN:
            got = "" if why.got is None else f" is {_short(why.got)}"
            where = f"{place_name(place, self._files)} ({resource_name(resource)}, {why.path}{got})"
            self._places[kind].append(where)

    def raise_any(self) -> None:
        """Refuse the resources if anything was noted.

        Raises:
            BadResources: Something was; the message names each kind, and where the first are.
        """
        if not self._counts:
            return
        lines = []
        for kind, count in self._counts.items():
            column, expected, advice = kind
            shown = ", ".join(self._places[kind]) + (", ..." if count > _SHOWN else "")
            where = f"{number_of(count, 'place')}: {shown}"
            lines.append(f"\n- {column}: expected {expected}, not so in {where}; {advice}")
        total = sum(self._counts.values())
        raise BadResources(
            f"{number_of(total, 'element')} of the FHIR resources cannot be used:{''.join(lines)}",
            refused=total,
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
