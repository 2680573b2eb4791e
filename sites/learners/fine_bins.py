"""Fine bins of every feature of a table, cut by the pooled statistics: the same at every site.

A module of its own because score cards and trees count the same bins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.schema.tables import Category, Feature, Number, Schema
from sites.statistics.tables import BINS, TableStatistics, unscale_values

PIECES = 96  # fine bins of a number, at most

Codes: TypeAlias = NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True, eq=False)
class FineBins:
    """The fine bins of one feature.

    Guarantee: bin i of a number holds the values x with edges[i - 1] <= x < edges[i], both
    compared as float32 numbers; below the first edge is bin 0, from the last one on is bin
    `len(edges)`. Bin i of a category holds its value i. The last bin holds missing values.

    Args:
        feature: Whose bins these are.
        edges: Ascending float32 numbers in the feature's unit, shape (at most size - 2,); none
            for a category.
        size: Bins that have a place in a tally: it follows from the schema, so that bins of a
            number may be left over before the last one.
    """

    feature: Feature
    edges: NDArray[np.float32]
    size: int

    @property
    def missing(self) -> int:
        """The bin of missing values, the last one."""
        return self.size - 1

    @property
    def used(self) -> int:
        """How many bins can hold a value, from the first one on."""
        return len(self.edges) + 1 if isinstance(self.feature, Number) else self.missing

    def codes(self, values: NDArray[Any]) -> Codes:
        """Return the bin of each value, shape (n,).

        Args:
            values: Numbers in their unit, NaN where missing; or codes in the declared order,
                below 0 where missing. Shape (n,).
        """
        if isinstance(self.feature, Category):
            return np.where(values < 0, self.missing, values).astype(np.uint16)
        given = values.astype(np.float32)
        bins = np.searchsorted(self.edges, given, side="right")
        return np.where(np.isnan(given), self.missing, bins).astype(np.uint16)


@dataclass(frozen=True, eq=False)
class TableBins:
    """The fine bins of every feature, in the order of the schema.

    Args:
        features: The bins of each.
    """

    features: tuple[FineBins, ...]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where the bins of each feature begin if all stand in one row, and their number last.

        Shape (n_features + 1,).
        """
        return np.cumsum([0, *(one.size for one in self.features)])

    def codes(self, columns: Mapping[str, NDArray[Any]]) -> Codes:
        """Return the bin of every record in each feature, shape (n_features, n).

        Args:
            columns: Every feature by name, as `FineBins.codes` takes it.
        """
        return np.stack([one.codes(columns[one.feature.name]) for one in self.features])


def bin_sizes(schema: Schema, *, pieces: int = PIECES) -> tuple[int, ...]:
    """Return how many bins each feature has a place for, the one of missing values included."""
    return tuple(bin_size(item, pieces=pieces) for item in schema.features)


def bin_size(feature: Feature, *, pieces: int = PIECES) -> int:
    """Return how many bins a feature has a place for, the one of missing values included."""
    return (pieces if isinstance(feature, Number) else len(feature.values)) + 1


def fine_bins(schema: Schema, statistics: Tally, *, pieces: int = PIECES) -> TableBins:
    """Return the fine bins that pooled statistics give.

    A number is counted there in 32 bins of equal width on its declared scale. Each that holds
    records is cut into pieces of equal width, more of them the more records it holds. So the
    pieces follow the quantiles, and a skewed column has fine ones where its records are. Where
    nothing was counted, all are of equal width.

    Guarantee: the same bits at every site: edges are rounded to two digits of the width of a
    piece, in which the last bit of a logarithm is lost.

    Args:
        schema: Of the table.
        statistics: Pooled, shape (TableStatistics(schema).layout.size,).
        pieces: Most bins of a number, at least 32.
    """
    layout = TableStatistics(schema).layout
    return TableBins(
        tuple(
            bins_of_feature(item, layout.part(f"{item.name}/histogram", statistics), pieces=pieces)
            for item in schema.features
        )
    )


def bins_of_feature(feature: Feature, histogram: Tally, *, pieces: int = PIECES) -> FineBins:
    """Return the fine bins of one feature, as `fine_bins` cuts them.

    Args:
        feature: Whose bins.
        histogram: Its pooled counts, as the statistics hold them.
        pieces: Most bins of a number, at least 32.
    """
    edges = np.zeros(0, np.float32)
    if isinstance(feature, Number):
        edges = _edges(feature, histogram, pieces)
    return FineBins(feature=feature, edges=edges, size=bin_size(feature, pieces=pieces))


def _edges(number: Number, histogram: Tally, pieces: int) -> NDArray[np.float32]:
    """Return the edges between the pieces, in the number's unit, ascending and distinct."""
    if not histogram.any():
        histogram = np.ones(BINS, np.int64)
    held = np.flatnonzero(histogram)
    cuts = 1 + histogram[held] * (pieces - len(held)) // int(histogram.sum())
    points: list[float] = []
    for one, (place, count) in enumerate(zip(held.tolist(), cuts.tolist(), strict=True)):
        if one:
            # One edge in the middle of a gap: what nobody was counted in gets no bin.
            points.append((int(held[one - 1]) + 1 + place) / 2 / BINS)
        points.extend((place + part / count) / BINS for part in range(1, count))
    bounds = unscale_values(number, np.array([0.0, *points, 1.0])).tolist()
    rounded = [
        _rounded(here, min(here - before, after - here))
        for before, here, after in zip(bounds, bounds[1:], bounds[2:], strict=False)
    ]
    distinct = np.unique(np.array(rounded, np.float32))
    return distinct[(distinct > number.low) & (distinct <= number.high)]


def _rounded(value: float, width: float) -> float:
    """Return a value rounded to the second digit of a width."""
    if not width > 0:
        return value
    return round(value, 1 - int(f"{width:e}".partition("e")[2]))
