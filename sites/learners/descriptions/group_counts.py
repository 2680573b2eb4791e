"""What a site counts for a Table 1: every column of its training records, by class."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.counted_tables import Columns, TableRecords
from sites.learners.curve_groups import ONE_CURVE, CurveGroups
from sites.learners.fine_bins import PIECES, FineBins, bin_size, bins_of_feature
from sites.schema.tables import ClassLabel, EventTimeLabel, Feature, Number, NumberLabel, Schema
from sites.statistics.tables import BINS, TableStatistics
from sites.statistics.tally import ImpossibleTally, TallyLayout, fixed_point

# A record moves the high part of a sum by 2^15 at most, and the low part by less than 2^16; that
# one may be much coarser, so that it hardly costs anything.
_LOW_SHARE = 2.0**-4
_OF_SUM = np.array([2.0**15, 2.0**16 / _LOW_SHARE])


@dataclass(frozen=True)
class GroupCounts:
    """Counts the records of each class, and adds up their numbers.

    Guarantee: the tallies of sites add up to the tally of all their records, exactly. Every
    entry is a count, or a part of a sum of values between 0 and 1, so that with fewer than 2^25
    records none reaches 2^41.

    Args:
        schema: Of the table.
        noisy: Whether counts get noise. Then numbers have fewer bins, because the noise of all
            adds up in a quantile; shares are counted from the middle, so that a record moves a sum
            by half as much; deviations follow from the bins; and sites are counted.
        curves: By which groups life tables are counted, where they are.
    """

    schema: Schema
    noisy: bool = False
    curves: CurveGroups = ONE_CURVE

    @property
    def pieces(self) -> int:
        """Most bins of a number."""
        return BINS if self.noisy else PIECES

    @property
    def middle(self) -> float:
        """The share from which the shares of a sum are counted."""
        return 0.5 if self.noisy else 0.0

    @property
    def _sums(self) -> tuple[str, ...]:
        return ("sum",) if self.noisy else ("sum", "square")

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The classes of the label; one group of all records if it has none."""
        label = self.schema.label
        return ("all",) if isinstance(label, NumberLabel) else label.classes

    @cached_property
    def described(self) -> tuple[Feature, ...]:
        """The columns: the features, and the label's column that is a number, if there is one."""
        own = (
            Number(name=one.column, low=one.low, high=one.high, unit=one.unit, scale=one.scale)
            for one in self.schema.label_columns
            if isinstance(one, NumberLabel)
        )
        return (*self.schema.features, *own)

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts: `GROUP/records`, then `GROUP/COLUMN/WHAT`.

        A group stands as its number in the order of the classes. `sites` is 1 of every site. With
        noise, `life/CURVE/WHAT` is a life table on the declared times, of the records of all
        classes that are in a group of `curves`.
        """
        sizes: dict[str, int] = {"sites": 1} if self.noisy else {}
        for group in range(len(self.groups)):
            sizes[f"{group}/records"] = 1
            for item in self.described:
                sizes[f"{group}/{item.name}/bins"] = bin_size(item, pieces=self.pieces)
                if isinstance(item, Number):
                    sizes |= {f"{group}/{item.name}/{what}": 2 for what in self._sums}
        if self.ends is not None:
            n_steps = len(self.ends.grid)
            for curve in range(len(self.curves.names)):
                sizes |= {f"life/{curve}/events": n_steps, f"life/{curve}/withdrawn": n_steps + 1}
        return TallyLayout(sizes)

    @property
    def ends(self) -> EventTimeLabel | None:
        """Of which a life table is counted: with noise, as a Cox model has it without."""
        label = self.schema.label
        return label if self.noisy and isinstance(label, EventTimeLabel) else None

    def bins(self, statistics: Tally) -> tuple[FineBins, ...]:
        """Return the bins of each described column, as pooled statistics cut them."""
        counted = TableStatistics(self.schema).layout
        return tuple(
            bins_of_feature(
                item, counted.part(f"{item.name}/histogram", statistics), pieces=self.pieces
            )
            for item in self.described
        )

    def tally(self, records: TableRecords, statistics: Tally) -> Tally:
        """Return the tally of these records, shape (layout.size,).

        Args:
            records: Of a site.
            statistics: Pooled: they say where the bins are.

        Raises:
            TallyOverflow: There are 2^25 records or more.
        """
        columns = self.columns_of(records)
        coded = [one.codes(columns[one.feature.name]) for one in self.bins(statistics)]
        groups = self.groups_of(records)
        parts: dict[str, NDArray[np.int64]] = {"sites": np.ones(1, np.int64)}
        for group in range(len(self.groups)):
            member = groups == group
            parts[f"{group}/records"] = np.array([np.count_nonzero(member)])
            for item, codes in zip(self.described, coded, strict=True):
                place = f"{group}/{item.name}"
                bins = f"{place}/bins"
                counted = np.bincount(codes[member], minlength=self.layout.sizes[bins])
                parts[bins] = counted.astype(np.int64)
                if isinstance(item, Number):
                    shares = _shares(item, columns[item.name][member])
                    parts[f"{place}/sum"] = fixed_point(shares - self.middle)
                    parts[f"{place}/square"] = fixed_point(shares**2)
        if self.ends is not None:
            tables = self.curves.life_tables(records, self.ends.grid)
            for curve, table in enumerate(tables):
                parts[f"life/{curve}/events"] = table.events
                parts[f"life/{curve}/withdrawn"] = table.withdrawn
        return self.layout.join(parts)

    @cached_property
    def count_scale(self) -> float:
        """The scale of an entry that one record moves by 1 at most: D of `noise_scales`."""
        numbers = sum(isinstance(item, Number) for item in self.described)
        counted = 1 + len(self.described) + (self.ends is not None)
        return math.sqrt(counted + numbers * (1 + _LOW_SHARE**2))

    @cached_property
    def noise_scales(self) -> Vector:
        """The scale of each entry, in proportion to which it gets noise, shape (layout.size,).

        Guarantee: one record moves the tally, each entry divided by its scale, by at most 1 in L2;
        so one person with at most k records moves it by at most k, by the triangle inequality.

        Proof. A record is of one group, where it moves the number of records by 1. In each of the
        C columns it moves one bin by 1. In each of the N columns of numbers it adds, unless its
        value is missing, a share from -1/2 to 1/2. It is rounded to u units of 2^-32, u at most
        2^31 in size, and moves a high part by floor(u / 2^16), at most 2^15 in size, and a low
        part by the rest, which is below 2^16. So the parts divided by 2^15 and 2^20 move by at most
        1 and 1/16. In the life tables, if there are any (L = 1, else 0), it is of one group, where
        it ended in one step, with the event or without, and moves one count by 1: curves by group
        cost no more than one of all. All entries together move by at most D in L2,
        where D^2 = 1 + C + N (1 + 1/256) + L. The scales are D, times 1 for a count, 2^15 for a
        high part and 2^20 for a low one. `sites` does not depend on records.

        With these scales a sum of shares gets half as much noise as a count, and the low parts add
        2^-11 of it. With one scale for all entries, counts would get 2^15 times as much.

        Without `noisy` there are no such scales.
        """
        scales = {"sites": np.zeros(1), "sum": _OF_SUM}
        parts = [
            scales.get(name.rpartition("/")[2], np.ones(size))
            for name, size in self.layout.sizes.items()
        ]
        return np.asarray(self.count_scale * np.concatenate(parts), np.float64)

    def require_possible(self, tally: Tally, statistics: Tally) -> None:
        """Check that every column counts all records of each class, in bins that it has.

        Counts with noise contradict each other: nothing is checked of them.

        Args:
            tally: Of one site or pooled.
            statistics: Pooled: they say where the bins are.

        Raises:
            ImpossibleTally: No records have these counts.
        """
        for group in () if self.noisy else range(len(self.groups)):
            records = self.layout.count(f"{group}/records", tally)
            for bins in self.bins(statistics):
                counted = self.layout.part(f"{group}/{bins.feature.name}/bins", tally)
                held = int(counted[: bins.used].sum()) + int(counted[bins.missing])
                if not held == records == int(counted.sum()):
                    raise ImpossibleTally(
                        f"{bins.feature.name} counts another number of records than the class "
                        "has: a site sent what no records have"
                    )

    def columns_of(self, records: TableRecords) -> Columns:
        """Return the described columns of records, by name, each of shape (n,)."""
        match self.schema.label:
            case NumberLabel(column=column):
                return {**records.columns, column: records.labels}
            case EventTimeLabel(time=time):
                return {**records.columns, time: records.labels[:, 1]}
            case ClassLabel():
                return records.columns

    def groups_of(self, records: TableRecords) -> NDArray[np.int64]:
        """Return the group of each record, shape (n,)."""
        match self.schema.label:
            case NumberLabel():
                return np.zeros(len(records.labels), np.int64)
            case EventTimeLabel():
                return records.labels[:, 0].astype(np.int64)
            case ClassLabel():
                return records.labels.astype(np.int64)


def _shares(number: Number, values: NDArray[Any]) -> Vector:
    """Return where values stand between their declared bounds, from 0 to 1, but for missing ones.

    Whatever the declared scale: a mean is one of values, not of their logarithms.
    """
    given = np.asarray(values, np.float64)
    held = given[~np.isnan(given)]
    shares = (held - number.low) / (number.high - number.low)
    return np.asarray(np.clip(shares, 0.0, 1.0), np.float64)
