"""The page of a regression: its coefficients in a table and as a forest plot."""

from collections.abc import Iterator, Mapping
from typing import Any

from consortium.model.regression_table import (
    has_ratios,
    ratio_name,
    regression_notes,
    regression_table,
    regression_title,
    significant,
)
from consortium.report.elements.blocks import Block, Column, Paragraph, Plot, Points, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.plots import style as plots
from consortium.report.plots.intervals import Row
from consortium.report.plots.ratios import draw_ratios
from consortium.wording import formatting as words
from privacy.errors import number_of

_MOST_DRAWN = 40


def regression_sections(recorded: Recorded, found: Mapping[str, Any]) -> tuple[Section, ...]:
    """Return the section on a regression."""
    outcome = f" = {found['outcome']}" if found["outcome"] else ""
    return (
        Section(
            anchor="regression",
            title=f"What goes with {recorded.target}{outcome}?",
            short=words.capitalized_text(f"{ratio_name(found).lower()}s")
            if has_ratios(found)
            else "Coefficients",
            lead=_lead(recorded, found),
            blocks=tuple(_blocks(found)),
        ),
    )


def _lead(recorded: Recorded, found: Mapping[str, Any]) -> str:
    title = regression_title(found)
    sites = words.count_with_noun(found["sites"], recorded.noun)
    who = f"{words.count(found['records'])} training records of {sites}"
    if found["status"] != "fitted":
        return f"{title} on {who}. It gives no coefficients; the reason is below."
    fitted = f"{title} on {who}, from exact sums: as if all counted records were in one place."
    if found["ridge"]:
        return fitted
    told = [one for one in found["coefficients"] if one["own"]]
    small = sum(_is_small(one["own"]["p"]) for one in told)
    share = words.part_in_words(small, len(told), "inputs")
    return f"{fitted} {words.capitalized_text(share)} have a p-value below 0.05."


def _is_small(p: float | None) -> bool:
    return p is not None and p < 0.05


def _blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    if found["status"] == "fitted":
        rows = () if found["ridge"] else tuple(_rows(found))
        if rows:
            yield _plot(found, rows)
        yield _table(found)
    first, *others = regression_notes(found)
    if found["status"] == "fitted":
        yield Points("What to know of them", (first, *others))
        return
    yield from (Paragraph(note, "warning") for note in others)
    yield Paragraph(first, "quiet")


def _table(found: Mapping[str, Any]) -> Table:
    told = regression_table(found)
    return Table(
        caption=f"{regression_title(found)}: every input",
        columns=tuple(
            Column(heading, "number" if place else "text")
            for place, heading in enumerate(told.headings)
        ),
        rows=told.rows,
        note="SE: standard error. SD: pooled standard deviation of the number. VIF: variance "
        "inflation factor, 1 where other inputs say nothing of this one.",
    )


def _rows(found: Mapping[str, Any]) -> Iterator[Row]:
    value, low, high = (
        ("ratio", "ratio_low", "ratio_high")
        if has_ratios(found)
        else ("coefficient", "low", "high")
    )
    told = [one for one in found["coefficients"] if one["own"] is not None]
    for one in told[:_MOST_DRAWN]:
        scaled = one["deviation"]
        ends = f"{significant(scaled[low])} to {significant(scaled[high])}"
        yield Row(
            label=one["name"],
            text=f"{significant(scaled[value])} ({ends})",
            value=scaled[value],
            low=scaled[low],
            high=scaled[high],
            role="together" if _is_small(scaled["p"]) else "one",
        )


def _plot(found: Mapping[str, Any], rows: tuple[Row, ...]) -> Plot:
    name = ratio_name(found) if has_ratios(found) else f"Change of {found['label']}"
    fitted = sum(one["own"] is not None for one in found["coefficients"])
    left = number_of(fitted - len(rows), "further input")
    more = f" {left.capitalize()} in the table." if fitted > len(rows) else ""
    return plots.full_width_plot(
        "regression",
        lambda width: draw_ratios(rows, name, width, logarithmic=has_ratios(found)),
        title=f"{name} with its interval",
        alt="; ".join(f"{row.label}: {row.text}" for row in rows),
        caption="A number is shown for one standard deviation more, so that inputs can be "
        "compared; a value of a category against the first declared one. Intervals cover the true "
        f"value in {found['level']:.0%} of such studies. Bold: p below 0.05.{more}".replace(
            "%", f"{words.SPACE}%"
        ),
    )
