"""Tables of quality by label or by entity type, pooled and by site."""

from typing import Any, Literal

from consortium.report.elements.blocks import Block, Column, Table
from consortium.report.elements.run_reader import Recorded
from consortium.wording import formatting as words
from privacy.layout import Tally

Marks = Literal["labels", "entities"]

_MOST_SHOWN = 20
_MOST_ROWS = 200
_NAMES = {"labels": "Label", "entities": "Type"}
_SCORES = ("Precision", "Recall", "F1")
_READ_AS = (
    "Precision: the share of predicted ones that are right. Recall: the share of true ones that "
    f"are found. {words.DASH}: the records do not define it."
)


def label_tables(recorded: Recorded, tally: Tally, *, of: Marks) -> tuple[Block, ...]:
    """Return tables of how well each label or type is found, over all records and by site.

    Guarantee: a figure of a single site is shown only if the site released it.

    Args:
        recorded: The run.
        tally: Its pooled evaluation tally, with at least one record.
        of: Whether records have labels or entities.
    """
    found = recorded.evaluation.curves(tally)[of]
    often = sorted(found, key=lambda name: -found[name]["support"])[:_MOST_SHOWN]
    by_site = (_site_table(recorded, often, of),) if recorded.site_evaluation else ()
    return (_pooled_table(found, often, _NAMES[of]), *by_site)


def _pooled_table(found: dict[str, Any], often: list[str], what: str) -> Block:
    counted = ("support", "right", "missed", "spurious")
    return Table(
        caption=f"{what} by {what.lower()}, the most frequent first",
        columns=(
            Column(what),
            Column("In held-out records", "number"),
            *(Column(title, "number") for title in ("Found", "Missed", "Wrongly predicted")),
            *(Column(title, "number") for title in _SCORES),
        ),
        rows=tuple(
            (name, *(words.count(found[name][key]) for key in counted), *_score_cells(found[name]))
            for name in often
        ),
        note=_READ_AS,
    )


def _site_table(recorded: Recorded, often: list[str], of: Marks) -> Block:
    shown, what = recorded.site_evaluation, _NAMES[of]
    rows = []
    for site, tally in shown.items():
        found = recorded.evaluation.curves(tally)[of]
        rows += [
            (site, name, words.count(found[name]["support"]), *_score_cells(found[name]))
            for name in often
        ]
    more = len(rows) - _MOST_ROWS
    cut = f" {words.count(more)} more rows are in evaluation.json." if more > 0 else ""
    return Table(
        caption=f"The shared model on the records of each {recorded.noun}",
        columns=(
            Column(words.capitalized_text(recorded.noun)),
            Column(what),
            Column("In its held-out records", "number"),
            *(Column(title, "number") for title in _SCORES),
        ),
        rows=tuple(rows[:_MOST_ROWS]),
        note=f"{recorded.withheld_sentence(shown)}{cut}".strip(),
    )


def _score_cells(found: dict[str, Any]) -> tuple[str, ...]:
    keys = (title.lower() for title in _SCORES)
    return tuple(words.figure(found[key]) if key in found else words.DASH for key in keys)
