"""A Table 1 as a CSV file: one line for a figure, so that any program can read it."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

HEADINGS = ("column", "level", "figure", "unit", "group", "value", "low", "high")

Line: TypeAlias = tuple[str | float | int, ...]


def written_table(results: Mapping[str, Any]) -> bytes:
    """Return the results of a description as UTF-8 text, an empty value where one is hidden.

    `low` and `high` are the bounds of the bin in which a quartile lies. If counts have noise, its
    standard deviation stands first.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADINGS)
    groups = results["groups"]
    if "noise" in results:
        noise = zip(groups, results["noise"]["deviations"], strict=True)
        writer.writerows(
            ("", "", "noise of a count", "", group, one, "", "") for group, one in noise
        )
    writer.writerows(_counts("", "", "records", groups, results["records"]))
    for column in results["columns"]:
        writer.writerows(_lines(column, groups))
    return text.getvalue().encode()


def _lines(column: Mapping[str, Any], groups: Sequence[str]) -> Iterator[Line]:
    name = column["name"]
    if column["kind"] == "category":
        for level in column["levels"]:
            yield from _counts(name, level["value"], "records", groups, level["records"])
        return
    yield from _counts(name, "", "present", groups, column["present"])
    yield from _counts(name, "", "missing", groups, column["missing"])
    for group, values in zip(groups, column["values"], strict=True):
        unit = column["unit"]
        for what in ("mean", "deviation"):
            value = values[what] if values else None
            yield name, "", what, unit, group, "" if value is None else value, "", ""
        for one in values["quantiles"] if values else ():
            where = one["value"], one["low"], one["high"]
            yield (name, "", f"quantile {one['q']}", unit, group, *where)


def _counts(
    name: str, level: str, what: str, groups: Sequence[str], counts: Sequence[int | None]
) -> Iterator[Line]:
    for group, count in zip(groups, counts, strict=True):
        yield name, level, what, "", group, "" if count is None else count, "", ""
