"""The coefficients of a linear model of a table, as trained and on each column's own scale.

Inputs are standardised by the pooled statistics: a number is brought to [0, 1] by its declared
bounds, less the pooled mean, over the pooled standard deviation. Both steps are linear, so a
coefficient on the column's own scale is the trained one over the deviation and the width of the
bounds (Gelman 2008, Statistics in Medicine 27:2865-2873). A column with `scale="log"` is linear in
ln(1 + x), and its coefficient is per unit of that. A predicted number is standardised in the same
way, and its coefficients are in its own unit, or in ln(1 + y).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Vector
from sites.schema.tables import Number, NumberLabel, Schema
from sites.statistics.normalisation import Constants
from sites.statistics.tables import compress_values


@dataclass(frozen=True, kw_only=True)
class Coefficient:
    """What one input adds to a sum.

    Args:
        name: Of the input: a column, or a column with one of its values.
        standardised: For one pooled standard deviation more; for a value of a category, if it is
            the one.
        own: For one unit of the column more, or of ln(1 + x) where `logarithmic`.
        logarithmic: Whether the column is compressed by a logarithm.
        unit: Of the column; empty for a category.
    """

    name: str
    standardised: float
    own: float
    logarithmic: bool = False
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class LinearSum:
    """A linear model, or one of its outputs: an intercept, and a coefficient for each input.

    Args:
        of: The column that is predicted.
        classes: The class whose log-odds the sum is, and the one against which; none for a number.
        logarithmic: Whether the sum is ln(1 + y) of the predicted number y.
        unit: Of the predicted number.
        intercept: With all standardised inputs 0, that is at the mean of each number.
        own_intercept: With all numbers 0 on their own scales.
        coefficients: In the order of the schema.
    """

    of: str
    classes: tuple[str, str] | None = None
    logarithmic: bool = False
    unit: str = ""
    intercept: float
    own_intercept: float
    coefficients: tuple[Coefficient, ...]


def linear_sums(
    schema: Schema, constants: Constants, parameters: Mapping[str, NDArray[np.float32]]
) -> tuple[LinearSum, ...]:
    """Return a linear model as sums: one for a number, else one for each class but the first.

    Args:
        schema: Of its table.
        constants: By which its inputs, and a predicted number, are standardised.
        parameters: `output.weight`, shape (n_outputs, n_inputs), and `output.bias`, shape
            (n_outputs,).
    """
    label = schema.label
    weights, bias = (parameters[f"output.{one}"].astype(np.float64) for one in ("weight", "bias"))
    if isinstance(label, NumberLabel):
        low, width = _bounds(label)
        scale = constants.label.deviation * width
        bias = low + constants.label.mean * width + scale * bias
        return (_sum_of(schema, constants, scale * weights[0], float(bias[0])),)
    if len(label.classes) > 2:
        # A softmax knows differences alone: those to the first class are the log-odds against it.
        weights, bias = weights[1:] - weights[0], bias[1:] - bias[0]
    first, *others = label.classes
    return tuple(
        replace(_sum_of(schema, constants, row, offset), classes=(value, first))
        for value, row, offset in zip(others, weights, bias.tolist(), strict=True)
    )


def _sum_of(schema: Schema, constants: Constants, weights: Vector, bias: float) -> LinearSum:
    coefficients = tuple(_coefficients(schema, constants, weights))
    shifts = {
        item.name: _bounds(item)[0] + constants.numbers[item.name].mean * _bounds(item)[1]
        for item in schema.features
        if isinstance(item, Number)
    }
    label = schema.label
    return LinearSum(
        of=label.column,
        logarithmic=isinstance(label, NumberLabel) and label.scale == "log",
        unit=label.unit if isinstance(label, NumberLabel) else "",
        intercept=bias,
        own_intercept=bias - sum(one.own * shifts.get(one.name, 0.0) for one in coefficients),
        coefficients=coefficients,
    )


def _coefficients(schema: Schema, constants: Constants, weights: Vector) -> Iterator[Coefficient]:
    numbers = {item.name: item for item in schema.features if isinstance(item, Number)}
    for name, weight in zip(schema.encoded_names, weights.tolist(), strict=True):
        number = numbers.get(name)
        if number is None:
            yield Coefficient(name=name, standardised=weight, own=weight)
            continue
        _, width = _bounds(number)
        yield Coefficient(
            name=name,
            standardised=weight,
            own=weight / (constants.numbers[name].deviation * width),
            logarithmic=number.scale == "log",
            unit=number.unit,
        )


def _bounds(number: Number | NumberLabel) -> tuple[float, float]:
    """Return the lower bound and the width between the bounds, on the scale that is linear."""
    low, high = compress_values(number, np.array([number.low, number.high])).tolist()
    return low, high - low
