"""What a site counts for a Table 1: every column of its training records, by class."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.counted_tables import Columns, TableRecords
from sites.learners.fine_bins import FineBins, bin_size, bins_of_feature
from sites.schema.tables import ClassLabel, EventTimeLabel, Feature, Number, NumberLabel, Schema
from sites.statistics.tables import TableStatistics
from sites.statistics.tally import TallyLayout, fixed_point


@dataclass(frozen=True)
class GroupCounts:
    """Counts the records of each class, and adds up their numbers.

    Guarantee: the tallies of sites add up to the tally of all their records, exactly. Every
    entry is a count, or a part of a sum of values between 0 and 1, so that with fewer than 2^25
    records none reaches 2^41.

    Args:
        schema: Of the table.
    """

    schema: Schema

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

        A group stands as its number in the order of the classes.
        """
        sizes: dict[str, int] = {}
        for group in range(len(self.groups)):
            sizes[f"{group}/records"] = 1
            for item in self.described:
                sizes[f"{group}/{item.name}/bins"] = bin_size(item)
                if isinstance(item, Number):
                    sizes |= {f"{group}/{item.name}/{what}": 2 for what in ("sum", "square")}
        return TallyLayout(sizes)

    def bins(self, statistics: Tally) -> tuple[FineBins, ...]:
        """Return the bins of each described column, as pooled statistics cut them."""
        counted = TableStatistics(self.schema).layout
        return tuple(
            bins_of_feature(item, counted.part(f"{item.name}/histogram", statistics))
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
        columns = self._columns(records)
        coded = [one.codes(columns[one.feature.name]) for one in self.bins(statistics)]
        groups = self._group_of(records)
        parts: dict[str, NDArray[np.int64]] = {}
        for group in range(len(self.groups)):
            member = groups == group
            parts[f"{group}/records"] = np.array([np.count_nonzero(member)])
            for item, codes in zip(self.described, coded, strict=True):
                place = f"{group}/{item.name}"
                counted = np.bincount(codes[member], minlength=bin_size(item))
                parts[f"{place}/bins"] = counted.astype(np.int64)
                if isinstance(item, Number):
                    shares = _shares(item, columns[item.name][member])
                    parts[f"{place}/sum"] = fixed_point(shares)
                    parts[f"{place}/square"] = fixed_point(shares**2)
        return self.layout.join(parts)

    def _columns(self, records: TableRecords) -> Columns:
        match self.schema.label:
            case NumberLabel(column=column):
                return {**records.columns, column: records.labels}
            case EventTimeLabel(time=time):
                return {**records.columns, time: records.labels[:, 1]}
            case ClassLabel():
                return records.columns

    def _group_of(self, records: TableRecords) -> NDArray[np.int64]:
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
