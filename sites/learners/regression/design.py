"""The inputs of a regression: one for each number, and for each value of a category but the first.

A module of its own because sites, results and predictions must name and scale inputs alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Vector
from sites.learners.counted_tables import Columns
from sites.schema.tables import Category, Feature, Number, Schema
from sites.statistics.normalisation import Constants
from sites.statistics.tables import compress_values, scale_values

MissingValues: TypeAlias = Literal["complete", "indicator"]


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input.

    Args:
        name: As people read it.
        column: The column it is made of; empty for the intercept.
        value: The value whose presence it says, `missing` included; empty for a number.
        reference: The value that it is compared with; empty for a number.
        unit: Of a number.
        logarithmic: Whether it is ln(1 + x) of a number.
    """

    name: str
    column: str = ""
    value: str = ""
    reference: str = ""
    unit: str = ""
    logarithmic: bool = False


@dataclass(frozen=True, kw_only=True)
class Scales:
    """How inputs are scaled: input = (number - center) * per_unit; each of shape (k,).

    Args:
        center: Value of the number, on its linear scale, for which the input is 0.
        per_unit: Of the input for one unit of the number; 1 where there is no number.
        per_deviation: Of the input for one pooled standard deviation; 1 where there is no number.
    """

    center: Vector
    per_unit: Vector
    per_deviation: Vector


@dataclass(frozen=True, kw_only=True)
class Design:
    """The inputs of a regression, by the agreed schema.

    Args:
        schema: The meaning of every column.
        missing: Whether records with a missing value are left out, or a missing value has an
            input of its own.
        intercept: Whether the first input is 1 for every record.
    """

    schema: Schema
    missing: MissingValues
    intercept: bool

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs, in their order; the first declared value of a category has none."""
        made = [Input(name="intercept")] if self.intercept else []
        for item in self.schema.features:
            made.extend(_inputs_of(item))
            if self.has_indicator(item):
                reference = item.values[0] if isinstance(item, Category) else ""
                made.append(
                    Input(
                        name=f"{item.name}=missing",
                        column=item.name,
                        value="missing",
                        reference=reference,
                    )
                )
        return tuple(made)

    @property
    def size(self) -> int:
        """Number of inputs."""
        return len(self.inputs)

    @cached_property
    def says_presence(self) -> NDArray[np.bool_]:
        """Which inputs say that a value is there, and are 0 or 1, shape (size,)."""
        return np.array([bool(item.value) for item in self.inputs], np.bool_)

    def complete(self, columns: Columns) -> NDArray[np.bool_]:
        """Return which records are counted, shape (n,): all with an input for missing values."""
        n = len(next(iter(columns.values())))
        counted = np.ones(n, np.bool_)
        if self.missing == "complete":
            for item in self.schema.features:
                counted &= ~_is_missing(item, columns[item.name])
        return counted

    def rows(self, columns: Columns, constants: Constants) -> Matrix:
        """Return the inputs of records, each within -1 to 1, shape (size, n).

        A missing number counts as the pooled mean, a missing category as the first value, beside
        its own input where it has one.

        Raises:
            OutOfBounds: A number is outside its declared bounds.
        """
        n = len(next(iter(columns.values())))
        made: list[Vector] = [np.ones(n, np.float64)] if self.intercept else []
        for item in self.schema.features:
            values = columns[item.name]
            if isinstance(item, Number):
                standard = constants.numbers[item.name]
                placed = (scale_values(item, values) - standard.mean) / reach(standard.mean)
                made.append(np.asarray(np.nan_to_num(placed), np.float64))
            else:
                made.extend(
                    np.asarray(values == code, np.float64) for code in range(1, len(item.values))
                )
            if self.has_indicator(item):
                made.append(np.asarray(_is_missing(item, values), np.float64))
        return np.array(made, np.float64).reshape(self.size, n)

    def scales(self, constants: Constants) -> Scales:
        """Return how the inputs are scaled by pooled statistics."""
        center, per_unit, per_deviation = (np.ones(self.size) for _ in range(3))
        center[:] = 0.0
        numbers = {item.name: item for item in self.schema.features if isinstance(item, Number)}
        for place, made in enumerate(self.inputs):
            number = numbers.get(made.column)
            if number is None or made.value:
                continue
            standard = constants.numbers[made.column]
            low, high = compress_values(number, np.array([number.low, number.high])).tolist()
            center[place] = low + standard.mean * (high - low)
            per_unit[place] = 1 / (reach(standard.mean) * (high - low))
            per_deviation[place] = standard.deviation / reach(standard.mean)
        return Scales(center=center, per_unit=per_unit, per_deviation=per_deviation)

    def has_indicator(self, item: Feature) -> bool:
        """Return whether a missing value of a feature has an input of its own."""
        return self.missing == "indicator" and item.missing


def _inputs_of(item: Feature) -> Iterator[Input]:
    if isinstance(item, Number):
        yield Input(
            name=item.name, column=item.name, unit=item.unit, logarithmic=item.scale == "log"
        )
        return
    for value in item.values[1:]:
        yield Input(
            name=f"{item.name}={value}", column=item.name, value=value, reference=item.values[0]
        )


def _is_missing(item: Feature, values: NDArray[Any]) -> NDArray[np.bool_]:
    missing = np.isnan(values) if isinstance(item, Number) else values < 0
    return np.asarray(missing, np.bool_)


def reach(mean: float) -> float:
    """Return how far a value within [0, 1] can be from a mean within it; at least 0.5."""
    return max(mean, 1.0 - mean, 0.5)
