"""The page of a description: the columns of single sites, beside those of all."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from consortium.report.elements.blocks import Block, Column, Paragraph, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.wording import formatting as words

Row: TypeAlias = tuple[str, ...]


def site_columns_section(recorded: Recorded, found: Mapping[str, Any]) -> Section:
    """Return the section with a column for each site that shows figures of its own."""
    by_site = found["by_site"]
    blocks: list[Block] = []
    if not by_site["withheld"]:
        blocks = [
            Table(
                caption=_caption(found, place),
                columns=tuple(
                    Column(title, "number" if at else "text")
                    for at, title in enumerate(("Column", *by_site["sites"]))
                ),
                rows=tuple(_rows(by_site, place)),
            )
            for place in range(len(by_site["groups"]))
        ]
        hidden = [one["name"] for one in by_site["columns"] if "levels" not in one]
        blocks.append(Paragraph(_note(found, hidden), "quiet"))
    return Section(
        anchor="table-1-by-site",
        title=f"Who is in the records of each {recorded.noun}?",
        short="By site",
        lead=_lead(recorded, by_site),
        blocks=tuple(blocks),
    )


def withheld_in_words(by_site: Mapping[str, Any]) -> str:
    """Return why no site has a column of its own; empty if some have one."""
    silent, showing = len(by_site["silent"]), len(by_site["showing"])
    crowd = by_site["crowd"]
    match by_site["withheld"]:
        case "few-show":
            return (
                f"{words.count(showing)} of the sites may show figures of their own, and that "
                f"takes {words.count(crowd)} or more: their policies must release them, and they "
                "need enough persons of each class."
            )
        case "few-silent":
            who = ", ".join(by_site["silent"])
            return (
                f"{words.count(silent)} of the sites ({who}) may not show figures of their own. "
                "Beside the figures of all, those of the others would tell theirs, so silent sites "
                f"must be none, or {words.count(crowd)} or more."
            )
        case "few-records":
            return (
                "The sites that show nothing have fewer than ten records of a class together, "
                "which would follow from the figures of the others."
            )
        case "other-before":
            return (
                "Under this charter figures of single sites were shown before, of other sites or "
                "other records. What changed would follow from the difference; after the next "
                "revision of the charter they can be shown again."
            )
        case "unfinished":
            return "The run ended before all three exchanges were done: set num-server-rounds to 3."
        case _:
            return ""


def site_rows(found: Mapping[str, Any]) -> tuple[Row, ...]:
    """Return the cells of all records of each site, the headings first; none if none are shown.

    Args:
        found: The results of a description.
    """
    by_site = found.get("by_site")
    if not by_site or by_site["withheld"]:
        return ()
    return ("Column", *by_site["sites"]), *_rows(by_site, 0)


def _lead(recorded: Recorded, by_site: Mapping[str, Any]) -> str:
    why = withheld_in_words(by_site)
    if why:
        return f"No {recorded.noun} has a column of its own. {why}"
    silent = len(by_site["silent"])
    rest = f" The other {words.count(silent)} show nothing." if silent else ""
    return (
        f"{words.count(len(by_site['sites']))} {recorded.nouns} show figures of their own, as "
        f"their policies allow.{rest}"
    )


def _caption(found: Mapping[str, Any], place: int) -> str:
    group = found["by_site"]["groups"][place]
    return f"{found['label']}: {group}, by site" if place else "All training records, by site"


def _rows(by_site: Mapping[str, Any], place: int) -> Iterator[Row]:
    records = [one[place] for one in by_site["records"]]
    yield "Records", *(words.count(one) for one in records)
    for column in by_site["columns"]:
        if "levels" not in column:
            yield column["name"], *("hidden" for _ in records)
        elif column["kind"] == "category":
            for level in column["levels"]:
                counts = [one[place] for one in level["records"]]
                yield f"{column['name']} = {level['value']}", *_shares(counts, records)
        else:
            unit = f" ({column['unit']})" if column["unit"] else ""
            means = (_mean(one[place]) for one in column["values"])
            yield f"{column['name']}{unit}, mean (SD)", *means
            missing = [one[place] for one in column["levels"][1]["records"]]
            if any(missing):
                yield f"{column['name']}, missing", *_shares(missing, records)


def _mean(values: Mapping[str, float]) -> str:
    # Not `amount`: digits behind those that were told would look exact.
    mean, spread = (f"{values[what]:,.10g}" for what in ("mean", "deviation"))
    return f"{mean.replace('-', words.MINUS)} ({spread})"


def _shares(counts: Sequence[int], records: Sequence[int]) -> Iterator[str]:
    for count, of in zip(counts, records, strict=True):
        yield f"{words.count(count)} ({words.percent(count / of)})"


def _note(found: Mapping[str, Any], hidden: Sequence[str]) -> str:
    least = found["smallest_shown"]
    which = f" Hidden here: {', '.join(hidden)}." if hidden else ""
    return (
        "A column is shown of all these sites or of none. It is hidden if a count of one of them, "
        f"overall or by class, is of 1 to {least - 1} persons; a number also if it has few "
        "different values, or one that carries much of the variance, as a mean and a deviation "
        f"would tell it; and if the sites that show nothing have a small count together.{which} "
        "Counts are exact. Means and deviations are rounded to at most a tenth of the deviation, "
        "from 1,000 values on to a hundredth. "
        "Quartiles are told of all sites together only. The same figures are in "
        "table1-by-site.csv."
    )
