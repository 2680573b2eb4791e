"""What of OMOP tables is refused, each cell with its place: table, key of the row and column."""

from collections import Counter, defaultdict
from typing import NamedTuple

from privacy.errors import ConsortiumError, number_of

_SHOWN = 5
_LONGEST = 60


class BadCdmRows(ConsortiumError, ValueError, code="bad-cdm-rows"):
    """Rows of the OMOP CDM cannot be made into cells; the message says which, where and why."""


class Refused(Exception):
    """A cell of a database cannot be used.

    Args:
        column: The column in which it stands.
        expected: What it must be.
        advice: What to do.
        got: What it is.
    """

    def __init__(self, column: str, expected: str, *, advice: str, got: object) -> None:
        super().__init__(column)
        self.column, self.expected, self.advice, self.got = column, expected, advice, got


class Place(NamedTuple):
    """The row of a database from which a cell comes: its table, and its key."""

    table: str
    key: object

    def __str__(self) -> str:
        return f"{self.table} {self.key}"


class Refusals:
    """The refusals of one reading: how many there are of each kind, and where the first are."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._places: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)

    def add(self, name: str, why: Refused, place: Place) -> None:
        """Note a refusal.

        Args:
            name: What is made of the cell: a column of the schema, or the index.
            why: What is wrong.
            place: Where it stands.
        """
        kind = (name, why.expected, why.advice)
        self._counts[kind] += 1
        if len(self._places[kind]) < _SHOWN:
            self._places[kind].append(f"{place} ({why.column} is {_short(why.got)})")

    def raise_any(self) -> None:
        """Refuse the rows if anything was noted.

        Raises:
            BadCdmRows: Something was; the message names each kind, and where the first are.
        """
        if not self._counts:
            return
        lines = []
        for kind, count in self._counts.items():
            name, expected, advice = kind
            shown = ", ".join(self._places[kind]) + (", ..." if count > _SHOWN else "")
            where = f"{number_of(count, 'place')}: {shown}"
            lines.append(f"\n- {name}: expected {expected}, not so in {where}; {advice}")
        total = sum(self._counts.values())
        raise BadCdmRows(
            f"{number_of(total, 'cell')} of the OMOP tables cannot be used:{''.join(lines)}",
            refused=total,
        )


def _short(value: object) -> str:
    text = "NULL" if value is None else repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
