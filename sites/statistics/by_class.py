"""Statistics of tables by class: histograms of each feature among the records of each class.

They stand behind the parts of `TableStatistics`. So whatever reads those parts reads the same in
both forms, and what was counted without classes can be carried on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.schema.tables import ClassLabel, Column, Ranged, Schema, declared_values
from sites.statistics.histograms import Distance, bins_of
from sites.statistics.normalisation import Constants
from sites.statistics.tables import BINS, TableStatistics, scale_values
from sites.statistics.tally import ImpossibleTally, Metric, TallyLayout

MOST_CLASSES = 10  # with more, a class has too few records for a histogram of its own


def counts_by_class(schema: Schema) -> bool:
    """Return whether records of this schema are counted by class: its label has a few classes."""
    return isinstance(schema.label, ClassLabel) and len(schema.label.classes) <= MOST_CLASSES


def bins_of_column(column: Column, values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the bin or the code of each value, -1 where it is missing, shape (n,)."""
    if not isinstance(column, Ranged):
        return np.asarray(values, np.int64)
    scaled = scale_values(column, values)
    held = ~np.isnan(scaled)
    found = np.full(len(scaled), -1, np.int64)
    found[held] = bins_of(scaled[held], BINS)
    return found


@dataclass(frozen=True)
class ClassHistograms:
    """Histograms of each feature among the records of each class.

    Guarantee: those of two sites add up to those of all their records, exactly.
    """

    schema: Schema

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts: `COLUMN/by-class`, class after class; none without."""
        if not counts_by_class(self.schema):
            return TallyLayout({})
        return TallyLayout(
            {f"{item.name}/by-class": self._classes * _width(item) for item in self.schema.features}
        )

    def tally(self, columns: Mapping[str, NDArray[Any]], labels: NDArray[Any]) -> Tally:
        """Return the tally of records whose columns and labels are as the schema says."""
        if not self.layout.sizes:
            return np.zeros(0, np.int64)
        parts = {}
        for item in self.schema.features:
            bins = bins_of_column(item, columns[item.name])
            cells = np.asarray(labels, np.int64)[bins >= 0] * _width(item) + bins[bins >= 0]
            parts[f"{item.name}/by-class"] = np.bincount(
                cells, minlength=self._classes * _width(item)
            )
        return self.layout.join(parts)

    def of(self, name: str, tally: Tally) -> Tally:
        """Return the histograms of a feature, shape (n_classes, n_bins)."""
        return self.layout.part(f"{name}/by-class", tally).reshape(self._classes, -1)

    @property
    def _classes(self) -> int:
        label = self.schema.label
        return len(label.classes) if isinstance(label, ClassLabel) else 0


@dataclass(frozen=True)
class ClassedStatistics:
    """`TableStatistics` with histograms by class behind its parts.

    Guarantee: the tallies of sites add up to the tally of all their records, exactly. Constants
    and summaries are those of `TableStatistics`.
    """

    schema: Schema

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts: those of `TableStatistics`, then `COLUMN/by-class`."""
        return TallyLayout({**self._base.layout.sizes, **self._classes.layout.sizes})

    def tally(
        self, columns: Mapping[str, NDArray[Any]], labels: NDArray[Any], *, persons: int
    ) -> Tally:
        """Return the tally of these records, as `TableStatistics.tally` takes them.

        Raises:
            ConsortiumError: As there.
        """
        counted = self._base.tally(columns, labels, persons=persons)
        return np.concatenate([counted, self._classes.tally(columns, labels)])

    def check(self, tally: Tally) -> None:
        """Check that records can have this tally, of one site or pooled.

        A site that counted before there were histograms by class adds zeros to them. So those of
        all classes may hold fewer records than the histogram of the column, and never more; and
        a tally of `TableStatistics` is read as one with zeros.

        Raises:
            ImpossibleTally: A shape, a sign or a sum is impossible, or counts disagree.
        """
        if tally.shape != (self._base.layout.size,):
            self.layout.check(tally)
        base, by_class = self._parts(tally)
        self._base.check(base)
        for name in self._classes.layout.sizes:
            column = name.removesuffix("/by-class")
            held = self._classes.of(column, by_class).sum(axis=0)
            if (held > self._base.layout.part(f"{column}/histogram", base)).any():
                raise ImpossibleTally(f"column {column} counts more records by class than in all")

    def constants(self, tally: Tally) -> Constants:
        """Return the constants of a pooled tally, the same bytes at every site.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        self.check(tally)
        return self._base.constants(self._parts(tally)[0])

    def quantiles(self, tally: Tally, q: float) -> dict[str, Metric]:
        """Return the q-quantile of each number, as `TableStatistics.quantiles`.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        self.check(tally)
        return self._base.quantiles(self._parts(tally)[0], q)

    def describe(self, tally: Tally) -> dict[str, Any]:
        """Return a summary in the columns' own units, as plain JSON values.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        self.check(tally)
        return self._base.describe(self._parts(tally)[0])

    def distances(self, one: Tally, other: Tally) -> Mapping[str, Distance]:
        """Return the distance between two sites' records by column, the label included.

        Raises:
            ImpossibleTally: No records have one of the tallies.
        """
        self.check(one)
        self.check(other)
        return self._base.distances(self._parts(one)[0], self._parts(other)[0])

    def _parts(self, tally: Tally) -> tuple[Tally, Tally]:
        size = self._base.layout.size
        fitted = self.layout.fitted(tally)
        return fitted[:size], fitted[size:]

    @cached_property
    def _base(self) -> TableStatistics:
        return TableStatistics(self.schema)

    @cached_property
    def _classes(self) -> ClassHistograms:
        return ClassHistograms(self.schema)


def _width(item: Column) -> int:
    return BINS if isinstance(item, Ranged) else len(declared_values(item))
