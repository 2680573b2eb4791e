"""The covariates of a Cox model: columns of a table as numbers, the same at every site.

A category has a column for each value but the first, which is the reference. A number is taken on
its agreed scale, where its bounds are 0 and 1, less its pooled mean. So a value is between -1 and
1, and sums have bounds that nobody's records change.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Vector
from sites.learners.counted_tables import Columns
from sites.schema.tables import Category, Number, Schema
from sites.statistics.normalisation import Constants
from sites.statistics.tables import scale_values


@dataclass(frozen=True, kw_only=True)
class Covariate:
    """One column of the design.

    Args:
        feature: The column of the table.
        value: The value that it stands for; empty for a number.
        missing: Whether it says that the feature is missing.
    """

    feature: Number | Category
    value: str = ""
    missing: bool = False

    @property
    def name(self) -> str:
        """Its name: COLUMN, COLUMN=VALUE or COLUMN=missing."""
        value = "missing" if self.missing else self.value
        return f"{self.feature.name}={value}" if value else self.feature.name

    @property
    def number(self) -> Number | None:
        """The number, if the column is that itself."""
        return self.feature if isinstance(self.feature, Number) and not self.missing else None


@dataclass(frozen=True)
class Design:
    """The columns of a Cox model.

    Args:
        schema: Of the table.
        indicators: Whether a missing value has an indicator; otherwise its record is left out.
    """

    schema: Schema
    indicators: bool = False

    @cached_property
    def covariates(self) -> tuple[Covariate, ...]:
        """The columns, in the schema's order."""
        return tuple(self._covariates())

    def _covariates(self) -> Iterator[Covariate]:
        for feature in self.schema.features:
            if isinstance(feature, Category):
                yield from (Covariate(feature=feature, value=value) for value in feature.values[1:])
            else:
                yield Covariate(feature=feature)
            if feature.missing and self.indicators:
                yield Covariate(feature=feature, missing=True)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self.covariates)

    def matrix(self, columns: Columns, constants: Constants) -> Matrix:
        """Return the covariates, shape (n, len(self)); 0 where a value is missing.

        Guarantee: each is between -1 and 1, whatever the records are.

        Raises:
            OutOfBounds: A number is outside its declared bounds.
        """
        parts = [self._column(one, columns, constants) for one in self.covariates]
        return np.stack(parts, axis=1)

    def _column(self, one: Covariate, columns: Columns, constants: Constants) -> Vector:
        values, feature = columns[one.feature.name], one.feature
        if one.missing:
            return _is_missing(feature, values).astype(np.float64)
        if isinstance(feature, Category):
            return np.asarray(values == feature.values.index(one.value), np.float64)
        centred = scale_values(feature, values) - constants.numbers[feature.name].mean
        return np.where(np.isnan(centred), 0.0, centred)

    def complete(self, columns: Columns) -> NDArray[np.bool_]:
        """Return which records are used, shape (n,): all, or those without a missing value."""
        n = len(columns[self.schema.features[0].name])
        if self.indicators:
            return np.ones(n, np.bool_)
        missing = [_is_missing(item, columns[item.name]) for item in self.schema.features]
        return np.asarray(~np.any(missing, axis=0), np.bool_)

    def deviations(self, constants: Constants) -> Vector:
        """Return the standard deviation of each number, and 1 for other columns, shape (p,)."""
        return np.array(
            [
                constants.numbers[one.feature.name].deviation if one.number else 1.0
                for one in self.covariates
            ]
        )

    def largest_predictor(self, coefficients: Vector, constants: Constants) -> float:
        """Return a bound of the linear predictor of any record, which every site computes alike.

        Args:
            coefficients: Shape (p,).
            constants: Of the pooled statistics.
        """
        total = 0.0
        for one, weight in zip(self.covariates, coefficients.tolist(), strict=True):
            mean = constants.numbers[one.feature.name].mean if one.number else 0.0
            total += max(weight * (1.0 - mean), -weight * mean)
        return total


def _is_missing(feature: Number | Category, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(values < 0 if isinstance(feature, Category) else np.isnan(values), np.bool_)
