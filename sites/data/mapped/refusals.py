"""What a map cannot read: each refused element once by its kind, with the first places."""

from collections import Counter, defaultdict

from privacy.errors import number_of
from sites.data.tables import UnreadableSource

_SHOWN = 5
_LONGEST = 60


class Refused(Exception):
    """What a source holds cannot be used.

    Args:
        element: Where in the resource or the row it stands.
        expected: What it must be.
        advice: What to do.
        got: What it is; None if there is nothing to show.
    """

    def __init__(self, element: str, expected: str, *, advice: str, got: object = None) -> None:
        super().__init__(element)
        self.element, self.expected, self.advice, self.got = element, expected, advice, got


class Refusals:
    """The refusals of one reading: how many there are of each kind, and where the first are.

    Args:
        error: What is raised if there are any.
        what: What cannot be used, in the singular.
        source: Of what, in words.
    """

    def __init__(self, error: type[UnreadableSource], *, what: str, source: str) -> None:
        self._error, self._what, self._source = error, what, source
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._places: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)

    def note(self, column: str, why: Refused, where: str) -> None:
        """Note a refusal.

        Args:
            column: What would be made of the element: a column of the schema, or the index.
            why: What is wrong.
            where: The place, as a person finds it.
        """
        kind = (column, why.expected, why.advice)
        self._counts[kind] += 1
        if len(self._places[kind]) < _SHOWN:
            self._places[kind].append(where)

    def raise_any(self) -> None:
        """Refuse the source if anything was noted.

        Raises:
            UnreadableSource: As `error`: something was; the message names each kind, and where the
                first are.
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
        raise self._error(
            f"{number_of(total, self._what)} of the {self._source} cannot be used:{''.join(lines)}",
            refused=total,
        )


def short_text(value: object) -> str:
    """Return a value for a message, cut off if it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
