"""What a card says of a state that is more than a model, by the kind of its results.

A module of its own so that a new kind is one line here.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from consortium.model.regression_table import (
    regression_notes,
    regression_table,
    regression_title,
)
from consortium.model.score_card_table import HEADINGS, notes_of, rows_of, scale_sentence

Lines = Callable[[Mapping[str, Any]], Iterator[str]]


def result_lines(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return Markdown on the results of a state; none if its kind has nothing for a card."""
    lines = _LINES.get(str(found.get("kind", "")))
    return () if lines is None else tuple(lines(found))


def _regression_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{regression_title(found)}, by exact sums over all counted records."
    yield ""
    if found["status"] == "fitted":
        table = regression_table(found, mark="`")
        yield f"| {' | '.join(table.headings)} |"
        yield f"|---|{'--:|' * (len(table.headings) - 1)}"
        yield from (f"| {' | '.join(row)} |" for row in table.rows)
        yield ""
    yield from (f"- {note}" for note in regression_notes(found))


def _score_card_lines(found: Mapping[str, Any]) -> Iterator[str]:
    how = "counts and sums with noise" if "noise" in found else "exact counts and sums"
    yield f"A score card, by {how} over all records. {scale_sentence(found)}"
    yield ""
    yield f"| {' | '.join(HEADINGS)} |"
    yield "|---|---|--:|--:|--:|--:|"
    yield from (f"| {' | '.join(row)} |" for row in rows_of(found))
    yield ""
    yield from (f"- {note}" for note in notes_of(found))


_LINES: Mapping[str, Lines] = MappingProxyType(
    {"glm": _regression_lines, "scorecard": _score_card_lines}
)
