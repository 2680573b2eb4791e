"""The columns of single sites in a Table 1, as results and as a CSV file."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.learners.descriptions.site_columns.cells import OwnCells
from sites.learners.descriptions.site_columns.exchange import SHOWN, SiteColumns, Standing
from sites.learners.descriptions.tables.suppression import SMALLEST_SHOWN
from sites.learners.descriptions.tables.table_one import OVERALL
from sites.schema.tables import Feature, Number

HEADINGS = ("site", "column", "level", "figure", "unit", "group", "value")

Line: TypeAlias = tuple[str | float | int, ...]


def site_results(columns: SiteColumns, standing: Standing) -> Mapping[str, Any]:
    """Return the columns of single sites as plain JSON values.

    `withheld` says why there are none; empty if there are some. `records` and `columns` have one
    list for each of `sites`, whose entries are overall first. A column that is hidden has no
    `levels`.

    What the silent sites have together follows for every reader from the shown figures. So nothing
    is shown if it is from 1 to 9 records of a class, and a column is hidden if it is so in a cell.

    Args:
        columns: What is of single sites.
        standing: What the sites said.
    """
    names = np.array(columns.members)
    groups = columns.counts.groups
    facts = {
        "groups": [OVERALL, *(groups if len(groups) > 1 else ())],
        "crowd": standing.crowd,
        "silent": names[standing.silent].tolist(),
        "showing": names[standing.showing].tolist(),
    }
    reason = standing.withheld or ("" if standing.stage == SHOWN else "unfinished")
    if reason:
        return {"withheld": reason, **facts, "sites": [], "records": [], "columns": []}
    of_silent, *of_columns = columns.silent_cells(standing)
    if _has_small(of_silent):
        return {"withheld": "few-records", **facts, "sites": [], "records": [], "columns": []}
    own, rests = columns.own, iter(of_columns)
    shown = standing.cells[standing.showing]
    told = [
        _column(own, item, shown if stays and not _has_small(next(rests)) else None)
        for item, stays in zip(own.described, standing.columns.tolist(), strict=True)
    ]
    records = [_with_overall(own.layout.part("records", one)) for one in shown]
    return {"withheld": "", **facts, "sites": facts["showing"], "records": records, "columns": told}


def _column(own: OwnCells, item: Feature, shown: NDArray[np.int64] | None) -> Mapping[str, Any]:
    """Return a column of the sites that show, hidden if their cells are None."""
    unit = item.unit if isinstance(item, Number) else ""
    kind = "number" if isinstance(item, Number) else "category"
    column: dict[str, Any] = {"name": item.name, "kind": kind, "unit": unit}
    if shown is None:
        return column
    cells = [own.cells(item, one) for one in shown]
    column["levels"] = [
        {"value": value, "records": [_with_overall(one[row]) for one in cells]}
        for row, value in enumerate(own.levels(item))
    ]
    if isinstance(item, Number):
        column["values"] = [
            [{"mean": mean, "deviation": spread} for mean, spread in own.moments(item, one)]
            for one in shown
        ]
    return column


def _with_overall(of_groups: Tally) -> list[int]:
    """Return a row of counts with overall first; alone, if there is one group."""
    total = int(of_groups.sum())
    return [total, *of_groups.tolist()] if len(of_groups) > 1 else [total]


def _has_small(cells: Tally) -> bool:
    return bool(((cells > 0) & (cells < SMALLEST_SHOWN)).any())


def written_columns(results: Mapping[str, Any]) -> bytes:
    """Return the columns of single sites as UTF-8 text: one line for a figure, none if hidden."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADINGS)
    found = results["by_site"]
    for place, site in enumerate(found["sites"]):
        writer.writerows(_lines(found, place, site))
    return text.getvalue().encode()


def _lines(found: Mapping[str, Any], place: int, site: str) -> Iterator[Line]:
    groups = found["groups"]
    for group, count in zip(groups, found["records"][place], strict=True):
        yield site, "", "", "records", "", group, count
    for column in found["columns"]:
        name, unit = column["name"], column["unit"]
        for level in column.get("levels", ()):
            for group, count in zip(groups, level["records"][place], strict=True):
                yield site, name, level["value"], "records", "", group, count
        told = column["values"][place] if "values" in column else ()
        for group, values in zip(groups[: len(told)], told, strict=True):
            for what in ("mean", "deviation"):
                yield site, name, "", what, unit, group, values[what]
