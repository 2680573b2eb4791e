"""Federated statistics of tables: pooled distributions, and the constants that follow from them.

A number is scaled to [0, 1] by its declared bounds before anything is counted. So sites count
the same quantities without having seen each other's records.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Tally, Vector
from sites.schema.tables import (
    Category,
    ClassLabel,
    Column,
    NumberLabel,
    Ranged,
    Schema,
    column_name,
    declared_values,
)
from sites.statistics.histograms import Distance, bins_of, distance, quantile
from sites.statistics.normalisation import Constants, Standard, constants_by_bounds
from sites.statistics.tally import UNIT, ImpossibleTally, Metric, TallyLayout, fixed_point

BINS = 32
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class OutOfBounds(ConsortiumError, ValueError, code="out-of-bounds"):
    """A number is outside its declared bounds."""


class UndeclaredCategory(ConsortiumError, ValueError, code="undeclared-category"):
    """A code stands for no declared value of its column."""


class ColumnsDiffer(ConsortiumError, ValueError, code="columns-differ"):
    """The columns are not those of the schema, or differ in length."""


def scale_values(number: Ranged, values: NDArray[Any]) -> Vector:
    """Return values on the agreed scale, where `low` is 0 and `high` is 1; NaN stays NaN.

    The scale is linear in x, or with `scale="log"` in sign(x) ln(1 + |x|).

    Raises:
        OutOfBounds: A value is below `low` or above `high`.
    """
    given = np.asarray(values, np.float64)
    if ((given < number.low) | (given > number.high)).any():
        raise OutOfBounds(
            f"{column_name(number)} must be between {number.low} and {number.high}, but a value is "
            "outside: correct it, or mark it as missing"
        )
    low, high = compress_values(number, np.array([number.low, number.high]))
    scaled = (compress_values(number, given) - low) / (high - low)
    # The values are within bounds: clipping only removes the rounding of the logarithms.
    return np.asarray(np.clip(scaled, 0.0, 1.0), np.float64)


def unscale_values(number: Ranged, scaled: NDArray[Any]) -> Vector:
    """Return scaled values in the number's own unit, the inverse of `scale_values`.

    Guarantee: the result is within the declared bounds. A value below 0 or above 1, as a
    prediction may be, becomes the nearest bound.
    """
    low, high = compress_values(number, np.array([number.low, number.high]))
    shares = np.clip(np.asarray(scaled, np.float64), 0.0, 1.0)
    between = low + shares * (high - low)
    values = np.sign(between) * np.expm1(np.abs(between)) if number.scale == "log" else between
    # The bounds themselves come back to the bit, whatever the rounding of exp and log.
    values = np.where(shares < 1.0, np.where(shares > 0.0, values, number.low), number.high)
    return np.asarray(np.clip(values, number.low, number.high), np.float64)


@dataclass(frozen=True)
class TableStatistics:
    """Counts a site's training records by the agreed schema, and reads pooled counts.

    Guarantee: the tallies of sites add up to the tally of all their records, exactly.
    """

    schema: Schema

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes of the tally's parts: `records`, `persons`, then `COLUMN/WHAT`."""
        sizes = {"records": 1, "persons": 1}
        for name, column in self._columns.items():
            sizes |= {f"{name}/{what}": size for what, size in _sizes(column).items()}
        return TallyLayout(sizes)

    def tally(
        self, columns: Mapping[str, NDArray[Any]], labels: NDArray[Any], *, persons: int
    ) -> Tally:
        """Return the tally of these records.

        Args:
            columns: Every feature by name, shape (n,): numbers in their unit, NaN where missing;
                categories as codes in the declared order, -1 where missing.
            labels: Codes of classes, or numbers in the label's unit, shape (n,); how and when
                each record ended, shape (n, 2).
            persons: Number of persons to whom the records belong.

        Raises:
            ColumnsDiffer: A column is missing, unknown, or of another length.
            OutOfBounds: A number is outside its declared bounds.
            UndeclaredCategory: A code stands for no declared value.
            TallyOverflow: There are 2**25 records or more.
        """
        given = {**columns, **self.label_values(labels)}
        if given.keys() != self._columns.keys():
            odd = sorted(given.keys() ^ self._columns.keys())
            raise ColumnsDiffer(
                f"the columns must be those of the schema; they differ in {odd[:5]}"
            )
        if any(values.shape != (len(labels),) for values in given.values()):
            raise ColumnsDiffer("every column must be one-dimensional and as long as the labels")
        parts = {"records": np.array([len(labels)]), "persons": np.array([persons])}
        for name, column in self._columns.items():
            counted = _column_tally(column, given[name])
            parts |= {f"{name}/{what}": entries for what, entries in counted.items()}
        return self.layout.join(parts)

    def label_values(self, labels: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return what each column of the label holds, by name.

        Args:
            labels: Shape (n,), or (n, 2) where a label is read from two columns.

        Raises:
            ColumnsDiffer: A number is missing or too many.
        """
        columns = self.schema.label_columns
        if len(columns) == 1:
            return {columns[0].column: labels}
        if labels.shape[1:] != (len(columns),):
            raise ColumnsDiffer(f"a label needs {len(columns)} numbers, got {labels.shape[1:]}")
        parts = zip(columns, labels.T, strict=True)
        return {
            one.column: part if isinstance(one, NumberLabel) else part.astype(np.int64)
            for one, part in parts
        }

    def check(self, tally: Tally) -> None:
        """Check that records can have this tally, of one site or pooled.

        What stands behind, such as histograms by class, is not looked at.

        Raises:
            ImpossibleTally: A shape, a sign or a sum is impossible, or counts disagree.
        """
        self.layout.check(tally[: self.layout.size])
        records = self.layout.count("records", tally)
        if self.layout.count("persons", tally) > records:
            raise ImpossibleTally("there are more persons than records")
        for name in self._columns:
            if self._histogram_with_missing(name, tally).sum() != records:
                raise ImpossibleTally(f"column {name} does not count {records} records")
        for name in self._numbers:
            held, (total, square) = self._count_present(name, tally), self._sums(name, tally)
            # Scaled values lie in [0, 1], so that x^2 <= x <= 1 for each of them, to within UNIT.
            if not square - held * UNIT <= total <= held * (1 + UNIT):
                raise ImpossibleTally(f"no {held} values of {name} have these sums")

    def constants(self, tally: Tally) -> Constants:
        """Return the constants of a pooled tally, the same bytes at every site.

        A number without any value gets mean 0 and deviation 1. One whose variance cannot be
        distinguished from 0 gets its mean and deviation 1. Both are named in `guarded`. Without
        records, as where sites release no statistics, numbers are scaled by their declared
        bounds.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        self.check(tally)
        if not self.layout.count("records", tally):
            return constants_by_bounds(self.schema)
        label = self.schema.label
        standards: dict[str, Standard] = {}
        guarded: dict[str, str] = {}
        for name in self._numbers:
            standards[name], reason = self._standard(name, tally)
            guarded |= {name: reason} if reason else {}
        counts = () if isinstance(label, NumberLabel) else self._histogram(label.column, tally)
        of_label = [standards.pop(one.column, Standard()) for one in self.schema.label_columns]
        return Constants(
            label=of_label[0],
            numbers=standards,
            class_counts=tuple(int(count) for count in counts),
            guarded=guarded,
        )

    def quantiles(self, tally: Tally, q: float) -> dict[str, Metric]:
        """Return the q-quantile of each number in its own unit, with its error bound.

        It is the smallest value that at least a share `q` of the values does not exceed. Its bin
        is known; within the bin it is interpolated. Numbers without any value are left out.

        Args:
            tally: Pooled statistics.
            q: A share, in [0, 1].

        Raises:
            ImpossibleTally: No records have this tally.
        """
        self.check(tally)
        return {
            name: _quantile(number, self._histogram(name, tally), q)
            for name, number in self._numbers.items()
            if self._count_present(name, tally)
        }

    def describe(self, tally: Tally) -> dict[str, Any]:
        """Return a summary in the columns' own units, as plain JSON values.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        self.check(tally)
        return {
            "records": self.layout.count("records", tally),
            "persons": self.layout.count("persons", tally),
            "label": self.schema.label.column,
            "columns": {
                name: {
                    "missing": self.layout.count(f"{name}/missing", tally),
                    **self._column_summary(name, column, tally),
                }
                for name, column in self._columns.items()
            },
        }

    def distances(self, one: Tally, other: Tally) -> dict[str, Distance]:
        """Return the distance between two sites' records by column, the label included.

        Numbers are compared by their histograms; a missing value counts as a value of its own.
        The result is empty if a site has no records.

        Raises:
            ImpossibleTally: No records have one of the tallies.
        """
        self.check(one)
        self.check(other)
        if not (self.layout.count("records", one) and self.layout.count("records", other)):
            return {}
        spreads = {
            name: (
                self._histogram_with_missing(name, one),
                self._histogram_with_missing(name, other),
            )
            for name in self._columns
        }
        return {name: distance(*both) for name, both in spreads.items()}

    @cached_property
    def _columns(self) -> Mapping[str, Column]:
        columns = (*self.schema.features, *self.schema.label_columns)
        return {column_name(column): column for column in columns}

    @cached_property
    def _numbers(self) -> Mapping[str, Ranged]:
        every = self._columns.items()
        return {name: item for name, item in every if isinstance(item, Ranged)}

    def _histogram(self, name: str, tally: Tally) -> Tally:
        return self.layout.part(f"{name}/histogram", tally)

    def _count_present(self, name: str, tally: Tally) -> int:
        return self.layout.count(f"{name}/histogram", tally)

    def _sums(self, name: str, tally: Tally) -> tuple[float, float]:
        return self.layout.real_sum(f"{name}/sum", tally), self.layout.real_sum(
            f"{name}/square", tally
        )

    def _histogram_with_missing(self, name: str, tally: Tally) -> Tally:
        missing = self.layout.part(f"{name}/missing", tally)
        return np.concatenate([self._histogram(name, tally), missing])

    def _standard(self, name: str, tally: Tally) -> tuple[Standard, str]:
        held, (total, square) = self._count_present(name, tally), self._sums(name, tally)
        if not held:
            return Standard(), "no record has a value: mean 0, deviation 1"
        center = total / held
        variance = square / held - center * center
        # Rounding moves the mean square by up to UNIT / 2, and the squared mean by twice as much.
        if variance <= 1.5 * UNIT:
            return Standard(mean=center), "the values are equal, or nearly so: deviation 1"
        return Standard(mean=center, deviation=math.sqrt(variance)), ""

    def _column_summary(self, name: str, column: Column, tally: Tally) -> dict[str, Any]:
        counts = self._histogram(name, tally)
        if isinstance(column, Category | ClassLabel):
            values = list(declared_values(column))
            return {"kind": "category", "values": values, "counts": counts.tolist()}
        summary: dict[str, Any] = {
            "kind": "number",
            "unit": column.unit,
            "edges": unscale_values(column, np.linspace(0.0, 1.0, BINS + 1)).tolist(),
            "counts": counts.tolist(),
        }
        if not counts.any():
            return summary
        summary["quantiles"] = [
            {"q": q, **asdict(_quantile(column, counts, q))} for q in _QUANTILES
        ]
        # The mean on the log scale is not the logarithm of the mean, so it has no unit to show.
        if column.scale == "linear":
            standard, reason = self._standard(name, tally)
            width = column.high - column.low
            summary["mean"] = column.low + width * standard.mean
            summary["deviation"] = 0.0 if reason else width * standard.deviation
        return summary


def compress_values(number: Ranged, values: Vector) -> Vector:
    """Return values, or sign(x) ln(1 + |x|) of those of a column with `scale="log"`."""
    return np.sign(values) * np.log1p(np.abs(values)) if number.scale == "log" else values


def _sizes(column: Column) -> dict[str, int]:
    if isinstance(column, Ranged):
        return {"missing": 1, "histogram": BINS, "sum": 2, "square": 2}
    return {"missing": 1, "histogram": len(declared_values(column))}


def _column_tally(column: Column, values: NDArray[Any]) -> dict[str, Tally]:
    sums = {}
    if isinstance(column, Ranged):
        scaled = scale_values(column, values)
        held = scaled[~np.isnan(scaled)]
        codes = bins_of(held, BINS)
        sums = {"sum": fixed_point(held), "square": fixed_point(held**2)}
    else:
        codes = _present_codes(column, values)
    histogram = np.bincount(codes, minlength=_sizes(column)["histogram"]).astype(np.int64)
    return {"histogram": histogram, "missing": np.array([len(values) - len(codes)]), **sums}


def _present_codes(column: Category | ClassLabel, values: NDArray[Any]) -> Tally:
    n_values = len(declared_values(column))
    whole = values.dtype.kind in "biu"
    if not whole or values.min(initial=0) < -1 or values.max(initial=0) >= n_values:
        raise UndeclaredCategory(
            f"{column_name(column)} needs codes from 0 to {n_values - 1}, -1 where missing"
        )
    codes = values.astype(np.int64)
    return np.asarray(codes[codes >= 0], np.int64)


def _quantile(number: Ranged, histogram: Tally, q: float) -> Metric:
    low, value, high = unscale_values(number, np.array(quantile(histogram, q)))
    return Metric(float(value), float(max(value - low, high - value)))
