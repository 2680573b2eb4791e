"""What a site would send before training, and how its columns look beside the others'."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.site.directory import SiteDirectory, read_site_config
from consortium.site.record_check import check_records, open_alarms, read_check
from consortium.site.site import Site
from consortium.wording import formatting as words
from privacy.layout import Tally
from sites.comparison.findings import Finding

_THOUSANDS = 1_000  # from here on a number has no digits after its point
_MOST_VALUES = 5  # of a category that are named in one line


@dataclass(frozen=True, kw_only=True)
class ColumnView:
    """One column as this site counts it, and as all others together do.

    Args:
        name: The column.
        own: Its summary at this site, as the statistics describe it.
        others: The same of all other sites; empty if nobody counted yet.
        records: Records here.
        other_records: Records elsewhere.
        findings: What stands out.
    """

    name: str
    own: Mapping[str, Any]
    others: Mapping[str, Any]
    records: int
    other_records: int
    findings: tuple[Finding, ...] = ()

    @property
    def counts(self) -> tuple[list[float], list[float]]:
        """The shares of the bins or values, here and elsewhere, each of the most common one."""
        return _heights(self.own["counts"]), _heights(self.others.get("counts", []))

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the values; for a number, the lowest and the highest bound."""
        if self.own["kind"] == "number":
            edges = self.own["edges"]
            unit = self.own["unit"]
            return tuple(_number(edge, unit) for edge in (edges[0], edges[-1]))
        return tuple(self.own.get("values", ()))

    @property
    def here(self) -> str:
        """The column at this site in a few words."""
        return _summary(self.own, self.records)

    @property
    def elsewhere(self) -> str:
        """The column at all other sites in a few words."""
        return _summary(self.others, self.other_records) if self.others else ""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """All that a site's operator sees before a run.

    Args:
        site: Its name.
        charter: Name of the charter.
        records: Training records here.
        other_records: Those of all other sites; 0 if nobody counted yet.
        columns: The columns, the label last.
        alarms: Findings that would hold the site back.
        findings: All findings.
    """

    site: str
    charter: str
    records: int
    other_records: int
    columns: tuple[ColumnView, ...]
    alarms: tuple[Finding, ...]
    findings: tuple[Finding, ...]


def preview_of(directory: Path) -> Preview:
    """Return what the site in a directory would send, and what stands out in it.

    Nothing is sent. The others' counts are those of the last run that compared them; the records
    are read as they are now.

    Raises:
        ConsortiumError: The site or its records cannot be read.
    """
    site = Site(
        directory=directory,
        config=read_site_config(directory),
        charter=Charter.read(SiteDirectory(directory).charter),
        run_config=RunConfig(on_finding="hold"),
    )
    statistics = site.task.statistics
    own, others = site.task.statistics_of(site.data), _others(site)
    found = check_records(site, others).findings if others is not None else ()
    here = statistics.describe(own)
    there: dict[str, Any] = {"records": 0, "columns": {}}
    if others is not None:
        there = statistics.describe(others)
    return Preview(
        site=site.config.name,
        charter=site.charter.name,
        records=here["records"],
        other_records=there["records"],
        columns=tuple(
            ColumnView(
                name=name,
                own=column,
                others=there["columns"].get(name, {}),
                records=here["records"],
                other_records=there["records"],
                findings=tuple(one for one in found if one.column == name),
            )
            for name, column in here["columns"].items()
        ),
        alarms=open_alarms(directory, found),
        findings=found,
    )


def preview_lines(preview: Preview) -> Iterator[str]:
    """Yield a preview line by line."""
    records = words.count(preview.records)
    yield f"{preview.site}, under {preview.charter}: {records} training records"
    if not preview.other_records:
        yield "no run has counted the others yet: what follows is what this site would send"
    for column in preview.columns:
        yield f"{column.name}"
        yield f"  here       {column.here}"
        if column.elsewhere:
            yield f"  elsewhere  {column.elsewhere}"
    yield from finding_lines(preview.findings, preview.alarms)


def finding_lines(findings: tuple[Finding, ...], alarms: tuple[Finding, ...]) -> Iterator[str]:
    """Yield a line for each finding, alarms first."""
    for one in alarms:
        yield f"ALARM: {one.sentence}"
    for one in findings:
        if one not in alarms:
            yield f"{'accepted' if one.alarming else 'note'}: {one.sentence}"
    if not findings:
        yield "nothing looks wrong beside the others'"


def _others(site: Site) -> Tally | None:
    last = read_check(site.directory)
    if last is None or last.charter != site.fingerprint:
        return None
    return site.task.statistics.layout.fitted(np.array(last.others, np.int64))


def _summary(column: Mapping[str, Any], records: int) -> str:
    missing = f"{words.percent(column.get('missing', 0) / max(records, 1))} missing"
    if column["kind"] == "number":
        if "quantiles" not in column:
            return missing
        low, median, high = (column["quantiles"][i]["value"] for i in (0, 2, 4))
        unit = column["unit"]
        between = f"5 % to 95 %: {_number(low)} to {_number(high, unit)}"
        return f"median {_number(median, unit)}; {between}; {missing}"
    counts, values = np.array(column["counts"]), column["values"]
    often = np.argsort(-counts, kind="stable")[:_MOST_VALUES]
    total = max(int(counts.sum()), 1)
    told = ", ".join(f"{values[code]} {words.percent(counts[code] / total)}" for code in often)
    return f"{told}; {missing}"


def _number(value: float, unit: str = "") -> str:
    shown = f"{value:.3g}" if abs(value) < _THOUSANDS else f"{value:,.0f}"
    return f"{shown} {unit}".strip()


def _heights(counts: list[int]) -> list[float]:
    most = max(counts, default=0)
    return [count / most for count in counts] if most else [0.0 for _ in counts]
