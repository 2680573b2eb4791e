"""A Table 1 from pooled counts: each column overall and by class, small cells hidden.

A cell that is hidden is `None`. What is said of a number's values is said of ten records or more.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from privacy.layout import Tally
from sites.learners.descriptions.group_counts import GroupCounts
from sites.learners.descriptions.tables.suppression import SMALLEST_SHOWN, hidden_cells
from sites.learners.fine_bins import FineBins
from sites.schema.tables import Category, Number

OVERALL = "overall"
QUANTILES = (0.25, 0.5, 0.75)

Shown: TypeAlias = "list[int | None]"


@dataclass(frozen=True)
class TableOne:
    """Reads the pooled counts of a description.

    Args:
        counts: What was counted.
        statistics: Pooled: they say where the bins are.
        pooled: The counts of all sites, shape (counts.layout.size,).
    """

    counts: GroupCounts
    statistics: Tally
    pooled: Tally

    @property
    def results(self) -> Mapping[str, Any]:
        """The table as plain JSON values: of each cell its figure, or None where it is hidden."""
        records, total = self._records, int(self._records.sum())
        enough = total >= SMALLEST_SHOWN
        return {
            "kind": "description",
            "label": self.counts.schema.label.column,
            "groups": [OVERALL, *(self.counts.groups if self._grouped else ())],
            "records": [total if enough else None, *(records.tolist() if self._grouped else [])],
            "smallest_shown": SMALLEST_SHOWN,
            "small_group": bool(enough and self._has_small_group),
            "columns": [self._column(one) for one in self._bins] if enough else [],
        }

    @property
    def _bins(self) -> Sequence[FineBins]:
        return self.counts.bins(self.statistics)

    @cached_property
    def _records(self) -> Tally:
        layout, groups = self.counts.layout, range(len(self.counts.groups))
        return np.array([layout.count(f"{group}/records", self.pooled) for group in groups])

    @property
    def _has_small_group(self) -> bool:
        return bool(((self._records > 0) & (self._records < SMALLEST_SHOWN)).any())

    @property
    def _grouped(self) -> bool:
        # One small class would follow from the figures of all and of the others.
        return len(self.counts.groups) > 1 and not self._has_small_group

    def _part(self, group: int, column: str, what: str) -> Tally:
        return self.counts.layout.part(f"{group}/{column}/{what}", self.pooled)

    def _column(self, bins: FineBins) -> Mapping[str, Any]:
        item, groups = bins.feature, range(len(self.counts.groups))
        counted = np.stack([self._part(group, item.name, "bins") for group in groups])
        if isinstance(item, Category):
            levels = [*item.values, *(["missing"] if item.missing else [])]
            cells = counted[:, : len(levels)].T
            return {
                "name": item.name,
                "kind": "category",
                "levels": [
                    {"value": value, "records": row}
                    for value, row in zip(levels, self._shown(cells), strict=True)
                ],
            }
        present = np.stack([counted[:, : bins.missing].sum(axis=1), counted[:, bins.missing]])
        held, missing = self._shown(present)
        return {
            "name": item.name,
            "kind": "number",
            "unit": item.unit,
            "present": held,
            "missing": missing,
            "values": self._values(
                item,
                bins,
                counted[:, : bins.missing],
                told=held[0] is not None,
                by_group=not any(None in row for row in (held, missing)),
            ),
        }

    def _shown(self, cells: Tally) -> list[Shown]:
        """Return the rows of a table of counts with overall first, None where one is hidden."""
        shown = cells if self._grouped else cells.sum(axis=1, keepdims=True)
        hidden = hidden_cells(shown)
        rows = []
        for row, line in enumerate(shown):
            total = None if hidden[row, -1] else int(line.sum())
            of_groups = [None if hidden[row, at] else int(count) for at, count in enumerate(line)]
            rows.append([total, *(of_groups if self._grouped else [])])
        return rows

    def _values(
        self, number: Number, bins: FineBins, counted: Tally, *, told: bool, by_group: bool
    ) -> list[Mapping[str, Any] | None]:
        """Return mean, deviation and quartiles overall and, if it is allowed, by class.

        Args:
            number: The column.
            bins: Its bins.
            counted: Its values by class and bin.
            told: Whether the number of all values is shown: else it would follow from the mean,
                which times the number is whole if the values are.
            by_group: Whether each class's number of values is shown, for the same reason.
        """
        groups = range(len(self.counts.groups))
        overall = self._of_groups(number, bins, counted, list(groups)) if told else None
        if not self._grouped:
            return [overall]
        if not by_group:
            return [overall, *(None for _ in groups)]
        return [overall, *(self._of_groups(number, bins, counted, [group]) for group in groups)]

    def _of_groups(
        self, number: Number, bins: FineBins, counted: Tally, groups: Sequence[int]
    ) -> Mapping[str, Any] | None:
        histogram = counted[list(groups)].sum(axis=0)
        held = int(histogram.sum())
        if held < SMALLEST_SHOWN:
            return None
        layout = self.counts.layout
        total, square = (
            sum(layout.real_sum(f"{group}/{number.name}/{what}", self.pooled) for group in groups)
            for what in ("sum", "square")
        )
        width, mean = number.high - number.low, total / held
        variance = max(square / held - mean * mean, 0.0) * held / (held - 1)
        return {
            "mean": number.low + width * mean,
            "deviation": width * math.sqrt(variance),
            "quantiles": [_quantile(number, bins, histogram, q) for q in QUANTILES],
        }


def _quantile(number: Number, bins: FineBins, histogram: Tally, q: float) -> Mapping[str, float]:
    """Return the q-quantile of binned values, and the bounds of its bin.

    The q-quantile is the smallest value that at least a share `q` of all values does not exceed.
    Its bin is known; within it values are taken as spread evenly. Bins are joined until they hold
    ten values, and the place within them is told to a tenth: it would tell how many they hold.
    """
    bounds = [number.low, *bins.edges.astype(np.float64).tolist(), number.high]
    cumulative = np.concatenate([[0], np.cumsum(histogram)])
    rank = max(math.ceil(q * int(cumulative[-1])), 1)
    first = int(np.searchsorted(cumulative, rank)) - 1
    last = first + 1
    while cumulative[last] - cumulative[first] < SMALLEST_SHOWN:
        first, last = max(first - 1, 0), min(last + 1, bins.used)
    low, high, before = bounds[first], bounds[last], int(cumulative[first])
    inside = round((rank - before - 0.5) / (int(cumulative[last]) - before), 1)
    return {"q": q, "value": low + inside * (high - low), "low": low, "high": high}
