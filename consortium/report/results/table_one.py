"""The page of a description: a Table 1 as journals print it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from consortium.report.elements.blocks import Column, Paragraph, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.results.noise import protected_people
from consortium.report.results.site_columns import site_columns_section
from consortium.report.results.survival import noisy_curve_section
from consortium.wording import formatting as words

_HIDDEN = "hidden"

Row: TypeAlias = tuple[str, ...]


def description_sections(recorded: Recorded, found: Mapping[str, Any]) -> tuple[Section, ...]:
    """Return the sections of a description: its table, and its columns by site or its curve."""
    shown = found["records"][0] is not None
    table = Section(
        anchor="table-1",
        title="Who is in the records?",
        short="Table 1",
        lead=_lead(recorded, found),
        blocks=(_table(found), Paragraph(_note(found), "quiet")) if shown else (),
    )
    if "by_site" in found:
        return table, site_columns_section(recorded, found)
    if "life_table" not in found:
        return (table,)
    return table, noisy_curve_section(recorded, found["noise"], found["life_table"])


def _lead(recorded: Recorded, found: Mapping[str, Any]) -> str:
    total = found["records"][0]
    if "noise" in found:
        return (
            f"About {words.count(total)} training records of "
            f"{words.count(len(recorded.participants))} {recorded.nouns}, counted with noise that "
            f"protects {protected_people(recorded, found['noise'])}. The noise of a count has a "
            f"standard deviation of {words.figure(found['noise']['deviations'][0])} overall."
        )
    if total is None:
        return (
            f"All {recorded.nouns} together have fewer than {found['smallest_shown']} training "
            "records: nothing is shown of them."
        )
    counted = (
        f"{words.count(total)} training records of {words.count(len(recorded.participants))} "
        f"{recorded.nouns}, counted exactly."
    )
    if found["small_group"]:
        return (
            f"{counted} A class has fewer than {found['smallest_shown']} records, so nothing is "
            "shown by class."
        )
    return counted


def table_rows(found: Mapping[str, Any]) -> tuple[Row, ...]:
    """Return the cells of a Table 1, the headings first.

    Args:
        found: The results of a description.
    """
    label, records = found["label"], found["records"]
    headings = ("Column", "Overall", *(f"{label}: {group}" for group in found["groups"][1:]))
    counts = (_HIDDEN if one is None else words.count(one) for one in records)
    rows: list[Row] = [headings, ("Records", *counts)]
    if "noise" in found:
        noise = (f"± {words.figure(one)}" for one in found["noise"]["deviations"])
        rows.append(("Noise of a count (standard deviation)", *noise))
    for column in found["columns"]:
        rows.extend(_rows(column, records))
    return tuple(rows)


def _table(found: Mapping[str, Any]) -> Table:
    headings, *rows = table_rows(found)
    return Table(
        caption="Every column of the training records, overall and by class",
        columns=tuple(
            Column(heading, "number" if place else "text") for place, heading in enumerate(headings)
        ),
        rows=tuple(rows),
    )


def _rows(column: Mapping[str, Any], records: Sequence[int]) -> Iterator[Row]:
    if column["kind"] == "category":
        for level in column["levels"]:
            yield f"{column['name']} = {level['value']}", *_shares(level["records"], records)
        return
    unit = f" ({column['unit']})" if column["unit"] else ""
    name = f"{column['name']}{unit}"
    yield f"{name}, mean (SD)", *(_mean(one) for one in column["values"])
    yield f"{name}, median (quartiles)", *(_median(one) for one in column["values"])
    if column["missing"] != [0] * len(records):
        yield f"{column['name']}, missing", *_shares(column["missing"], records)


def _shares(counts: Sequence[int | None], records: Sequence[int]) -> Iterator[str]:
    for count, of in zip(counts, records, strict=True):
        if count is None:
            yield _HIDDEN
        else:
            yield (
                f"{words.count(count)} ({words.percent(count / of)})" if of else words.count(count)
            )


def _mean(values: Mapping[str, Any] | None) -> str:
    if values is None:
        return _HIDDEN
    noise = f" ± {words.amount(values['mean_noise'])}" if "mean_noise" in values else ""
    spread = _HIDDEN if values["deviation"] is None else words.amount(values["deviation"])
    return f"{words.amount(values['mean'])}{noise} ({spread})"


def _median(values: Mapping[str, Any] | None) -> str:
    if values is None:
        return _HIDDEN
    lower, middle, upper = values["quantiles"]
    half = max(one["high"] - one["low"] for one in values["quantiles"]) / 2
    told = " to ".join(words.amount(one["value"]) for one in (lower, upper))
    return f"{words.amount(middle['value'])} ({told}), ± {words.amount(half)}"


def _note(found: Mapping[str, Any]) -> str:
    if "noise" in found:
        return (
            "Every site added discrete Gaussian noise to each of its counts and sums before they "
            "left. So no figure is exact: counts of a column need not add up, a count below 0 is "
            "shown as 0, and ± after a mean is the standard deviation of its noise, at most. "
            "Small counts are not hidden, because noise protects them; a count not far above the "
            "noise may be 0. Means and deviations that the noise would drown are hidden. "
            "Deviations and quartiles are read from 32 bins of equal width, and ± after a median "
            "is half of the widest of the three bins: noise may move a quartile by more. The same "
            "figures are in table1.csv."
        )
    return (
        "Counts, means and standard deviations are exact. A quartile is known to its bin: ± is "
        f"half of the widest of the three. Counts from 1 to {found['smallest_shown'] - 1} are "
        "hidden, and so many others that nobody can work them out from the totals. A share is of "
        "all records of the class, missing values included. The same figures are in table1.csv."
    )
