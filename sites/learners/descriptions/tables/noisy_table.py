"""A Table 1 from counts with noise: nothing is hidden, and the size of the noise stands beside.

Whatever is done here with the noisy sums reveals nothing more, so small counts need no hiding.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from privacy.layout import Tally, Vector
from sites.learners.count_noise import CountNoise
from sites.learners.descriptions.group_counts import GroupCounts
from sites.learners.descriptions.tables.table_one import OVERALL, QUANTILES
from sites.learners.fine_bins import FineBins
from sites.schema.tables import Category, EventTimeLabel, Number
from sites.statistics.life_tables import curve_values
from sites.statistics.noisy_life_tables import NoisyLifeTable

_CLEAR = 5  # deviations of its noise above which a number of values can stand below a fraction
_SEEN = 5  # deviations of its noise above which a variance is shown


@dataclass(frozen=True)
class NoisyTableOne:
    """Reads the pooled counts of a description to which every site added noise.

    No count is below 0, no mean beyond its bounds: what noise carries there is set to the bound.

    Args:
        counts: What was counted.
        statistics: Pooled: they say where the bins are.
        pooled: The counts of all sites, shape (counts.layout.size,).
        noise: What every site added.
    """

    counts: GroupCounts
    statistics: Tally
    pooled: Tally
    noise: CountNoise

    @property
    def results(self) -> Mapping[str, Any]:
        """The table as plain JSON values, with the standard deviation of a count's noise."""
        grouped = len(self._sets) > 1
        return {
            "kind": "description",
            "label": self.counts.schema.label.column,
            "groups": [OVERALL, *(self.counts.groups if grouped else ())],
            "records": self._counts(self._records),
            "smallest_shown": 0,
            "small_group": False,
            "noise": {
                "unit": self.noise.unit,
                "most_records": self.noise.most_records,
                "sites": self._sites,
                "deviations": [_rounded(self._deviation(len(one))) for one in self._sets],
            },
            "columns": [self._column(one) for one in self.counts.bins(self.statistics)],
            **self._life_table,
        }

    @property
    def _life_table(self) -> Mapping[str, Any]:
        """The survival curves; nothing if no time until an event was counted."""
        label = self.counts.ends
        if label is None:
            return {}
        deviation = self._deviation(1)
        return {
            "life_table": {
                "time": label.time,
                "unit": label.unit,
                "horizon": label.judged_at,
                "floor": 1,
                "deviation": _rounded(deviation),
                "curves": [
                    _curve(label, name, table) for name, table in self._life_tables(deviation)
                ],
            }
        }

    def _life_tables(self, deviation: float) -> Iterator[tuple[str, NoisyLifeTable]]:
        """Yield the life table of all records, then that of each group, with its name.

        Args:
            deviation: Of the noise of a count.
        """
        layout, names = self.counts.layout, self.counts.curves.names
        events, withdrawn = (
            np.stack(
                [layout.part(f"life/{curve}/{what}", self.pooled) for curve in range(len(names))]
            )
            for what in ("events", "withdrawn")
        )
        yield (
            "",
            NoisyLifeTable(
                events.sum(axis=0),
                withdrawn.sum(axis=0),
                records=int(self._records.sum()),
                spread=len(self._records) / len(names),
                deviation=deviation * math.sqrt(len(names)),
            ),
        )
        by, classes = self.counts.curves.by, range(len(self.counts.groups))
        if by is None:
            return
        by_class = [layout.part(f"{one}/{by.name}/bins", self.pooled) for one in classes]
        held = np.sum(by_class, axis=0)
        for curve, name in enumerate(names):
            yield (
                name,
                NoisyLifeTable(
                    events[curve],
                    withdrawn[curve],
                    records=int(held[curve]),
                    spread=len(classes),
                    deviation=deviation,
                ),
            )

    @cached_property
    def _sites(self) -> int:
        return self.counts.layout.count("sites", self.pooled)

    @cached_property
    def _sets(self) -> Sequence[Sequence[int]]:
        """The groups that each column of the table is of: all, then one by one."""
        every = list(range(len(self.counts.groups)))
        return [every, *([one] for one in every)] if len(every) > 1 else [every]

    def _deviation(self, entries: int) -> float:
        """Return the deviation of the noise of a sum of so many counts, over all sites."""
        own = self.noise.entry_deviation(self.counts.count_scale)
        return own * math.sqrt(self._sites * entries)

    @cached_property
    def _records(self) -> Tally:
        layout, groups = self.counts.layout, range(len(self.counts.groups))
        return np.array([layout.count(f"{group}/records", self.pooled) for group in groups])

    def _counts(self, by_group: Tally) -> list[int]:
        return [max(int(by_group[list(one)].sum()), 0) for one in self._sets]

    def _column(self, bins: FineBins) -> Mapping[str, Any]:
        item, groups = bins.feature, range(len(self.counts.groups))
        counted = np.stack(
            [self.counts.layout.part(f"{group}/{item.name}/bins", self.pooled) for group in groups]
        )
        if isinstance(item, Category):
            levels = [*item.values, *(["missing"] if item.missing else [])]
            return {
                "name": item.name,
                "kind": "category",
                "levels": [
                    {"value": value, "records": self._counts(counted[:, place])}
                    for place, value in enumerate(levels)
                ],
            }
        # Not the sum of all bins, whose noise adds up.
        missing = counted[:, bins.missing] if item.missing else np.zeros(len(groups), np.int64)
        return {
            "name": item.name,
            "kind": "number",
            "unit": item.unit,
            "present": self._counts(self._records - missing),
            "missing": self._counts(missing),
            "values": [self._values(item, bins, counted, one) for one in self._sets],
        }

    def _values(
        self, number: Number, bins: FineBins, counted: Tally, groups: Sequence[int]
    ) -> Mapping[str, Any] | None:
        """Return mean, deviation and quartiles of some groups; None if noise drowns them."""
        mine, layout = list(groups), self.counts.layout
        missing = counted[mine, bins.missing].sum() if number.missing else 0
        held = int(self._records[mine].sum() - missing)
        if held < _CLEAR * self._deviation(2 * len(mine)):
            return None
        place = self.counts.middle
        total = sum(layout.real_sum(f"{group}/{number.name}/sum", self.pooled) for group in mine)
        mean = number.low + (number.high - number.low) * min(max(place + total / held, 0.0), 1.0)
        histogram = counted[mine].sum(axis=0)[: bins.missing]
        bounds = _bounds(number, bins)
        middles = (bounds[:-1] + bounds[1:]) / 2
        return {
            "mean": mean,
            # Of the sum half as much as of a count, and of what it is divided by twice a count's,
            # which moves a mean by as much as that is away from the middle: half at most.
            "mean_noise": _rounded(
                (number.high - number.low) * self._deviation(len(mine)) * math.sqrt(0.75) / held
            ),
            "deviation": self._spread(
                (middles - mean) ** 2, histogram, held=held, groups=len(mine)
            ),
            "quantiles": [_quantile(bounds, histogram, q) for q in QUANTILES],
        }

    def _spread(self, squares: Vector, histogram: Tally, *, held: int, groups: int) -> float | None:
        """Return the standard deviation of binned values; None if noise drowns it.

        Args:
            squares: Squared distance of the middle of each bin from the mean.
            histogram: Noisy counts by bin; further ones are of bins that have no place.
            held: Number of values.
            groups: Groups that the counts are added up over.
        """
        variance = float((histogram[: len(squares)] * squares).sum()) / held
        noise = self._deviation(groups) * math.sqrt(float((squares**2).sum())) / held
        return math.sqrt(variance) if variance > _SEEN * noise else None


def _curve(label: EventTimeLabel, name: str, table: NoisyLifeTable) -> Mapping[str, Any]:
    # Beyond what is known nobody is shown. Events stay below 0, where noise says so: sums of counts
    # that are cut at 0 would be too large.
    known = np.arange(len(label.grid)) < table.n_known
    at_risk = np.where(known, np.rint(table.at_risk), 0.0).astype(np.int64)
    return curve_values(name, table, label.grid, horizon=label.judged_at, at_risk=at_risk)


def _bounds(number: Number, bins: FineBins) -> Vector:
    """Return the bounds of the bins of a number, one more than there are bins."""
    return np.array([number.low, *bins.edges.astype(np.float64).tolist(), number.high])


def _quantile(bounds: Vector, histogram: Tally, q: float) -> Mapping[str, float]:
    """Return the q-quantile of noisy counts by bin, and the bounds of the bin it is found in.

    Cumulative counts only rise: where noise lets them fall, the largest so far holds.
    """
    rising: Vector = np.maximum.accumulate(np.cumsum(histogram).clip(0)).astype(np.float64)
    rank = q * rising[-1]
    place = min(int(np.searchsorted(rising, rank)), len(bounds) - 2)
    low, high = float(bounds[place]), float(bounds[place + 1])
    before = rising[place - 1] if place else 0.0
    within = rising[place] - before
    inside = (rank - before) / within if within > 0 else 0.5
    return {"q": q, "value": low + float(inside) * (high - low), "low": low, "high": high}


def _rounded(value: float) -> float:
    """Return a size of noise to three digits: the same at every site."""
    return float(f"{value:.3g}")
