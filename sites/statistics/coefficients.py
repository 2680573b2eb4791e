"""The coefficients of a logistic model of two classes, as trained and on each column's own scale.

Inputs are standardised by the pooled statistics: a number is brought to [0, 1] by its declared
bounds, less the pooled mean, over the pooled standard deviation. Both steps are linear, so a
coefficient on the column's own scale is the trained one over the deviation and the width of the
bounds (Gelman 2008, Statistics in Medicine 27:2865-2873). A column with `scale="log"` is linear in
ln(1 + x), and its coefficient is per unit of that.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sites.schema.tables import Number, Schema
from sites.statistics.normalisation import Constants
from sites.statistics.tables import compress_values


@dataclass(frozen=True, kw_only=True)
class Coefficient:
    """What one input adds to the log-odds of the second class.

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
class LogOdds:
    """A logistic model as a sum: an intercept, and a coefficient for each input.

    Args:
        intercept: With all standardised inputs 0, that is at the mean of each number.
        own_intercept: With all numbers 0 on their own scales.
        coefficients: In the order of the schema.
    """

    intercept: float
    own_intercept: float
    coefficients: tuple[Coefficient, ...]


def log_odds(
    schema: Schema, constants: Constants, parameters: Mapping[str, NDArray[np.float32]]
) -> LogOdds:
    """Return the coefficients of a logistic model of two classes.

    Args:
        schema: Of its table.
        constants: By which its inputs are standardised.
        parameters: `output.weight`, shape (1, n_inputs), and `output.bias`, shape (1,).
    """
    weights = parameters["output.weight"].astype(np.float64)[0]
    numbers = {item.name: item for item in schema.features if isinstance(item, Number)}
    bias = float(parameters["output.bias"][0])
    found, own_intercept = [], bias
    for name, weight in zip(schema.encoded_names, weights.tolist(), strict=True):
        number = numbers.get(name)
        if number is None:
            found.append(Coefficient(name=name, standardised=weight, own=weight))
            continue
        standard = constants.numbers[name]
        low, high = compress_values(number, np.array([number.low, number.high])).tolist()
        own = weight / (standard.deviation * (high - low))
        own_intercept -= own * (low + standard.mean * (high - low))
        found.append(
            Coefficient(
                name=name,
                standardised=weight,
                own=own,
                logarithmic=number.scale == "log",
                unit=number.unit,
            )
        )
    return LogOdds(intercept=bias, own_intercept=own_intercept, coefficients=tuple(found))
