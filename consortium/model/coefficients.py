"""The coefficients of a linear model in words and rows, for its card and for the report."""

import math
from dataclasses import dataclass

from consortium.config import RunConfig
from consortium.wording import formatting as words
from privacy.errors import number_of
from sites.statistics.coefficients import Coefficient, LinearSum

_LARGEST_EXPONENT = 700.0  # of a number that float64 holds


@dataclass(frozen=True, kw_only=True)
class CoefficientTable:
    """One sum of a linear model.

    Args:
        caption: What the sum is.
        headings: Of the columns.
        rows: The inputs, the largest coefficient for one standard deviation first, then the
            intercept; one cell for each heading.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def coefficient_table(found: LinearSum, *, mark: str = "") -> CoefficientTable:
    """Return a sum of a linear model as a table.

    Args:
        found: The sum.
        mark: Stands before and behind each name of a column or class.
    """
    factor = _factor_heading(found, mark)
    ordered = sorted(found.coefficients, key=lambda one: -abs(one.standardised))
    rows = [
        (_input_text(one, mark), _figure(one.standardised), _figure(one.own), _exponential(one.own))
        for one in ordered
    ]
    rows.append(("intercept", _figure(found.intercept), _figure(found.own_intercept), ""))
    headings = ("Input", "For one standard deviation", "For one unit of its own", factor)
    shown = len(headings) if factor else len(headings) - 1
    return CoefficientTable(
        caption=f"{_sum_text(found, mark)} the intercept and the sum of these",
        headings=headings[:shown],
        rows=tuple(row[:shown] for row in rows),
    )


def coefficients_note(config: RunConfig, *, counted: bool) -> str:
    """Return what a reader must know of the coefficients of a linear model.

    Args:
        config: Of its training.
        counted: Whether the sites released statistics of the training records.
    """
    training, rounds = config.training, number_of(config.num_server_rounds, "round")
    scale = (
        "Means and standard deviations are the pooled ones."
        if counted
        else "No statistics were released, so means and standard deviations are those of numbers "
        "spread evenly between their declared bounds."
    )
    said = (
        scale,
        "A value of a category counts in full where it is the one, against none of them: two "
        "values are compared by the difference of their coefficients. A missing number counts as "
        "the mean.",
        f"The model was trained by gradient descent for {rounds}, not fitted to the end: other "
        "settings give other coefficients, and these have no intervals.",
        "Weight decay shrinks them." if training.weight_decay else "",
        "Classes were balanced in training, so the intercept is not that of their true shares."
        if training.class_balance != "none"
        else "",
        config.privacy.coefficients,
        "They say what the model computes, not what causes what.",
    )
    return " ".join(filter(None, said))


def _figure(value: float) -> str:
    return f"{value:.4g}"


def _exponential(value: float) -> str:
    return _figure(math.exp(value)) if value < _LARGEST_EXPONENT else words.DASH


def _sum_text(found: LinearSum, mark: str) -> str:
    of = f"{mark}{found.of}{mark}"
    if found.classes is not None:
        value, against = (f"{mark}{one}{mark}" for one in found.classes)
        return f"The log-odds of {of} = {value} against {against} are"
    unit = f" in {found.unit}" if found.unit else ""
    return f"ln(1 + {of}{unit}) is" if found.logarithmic else f"The predicted {of}{unit} is"


def _factor_heading(found: LinearSum, mark: str) -> str:
    """Return what the exponential of a coefficient is; empty if it means nothing."""
    if found.classes is not None:
        return "Odds ratio of that"
    return f"Factor of 1 + {mark}{found.of}{mark}" if found.logarithmic else ""


def _input_text(one: Coefficient, mark: str) -> str:
    name, unit = f"{mark}{one.name}{mark}", f" ({one.unit})" if one.unit else ""
    return (f"ln(1 + {name})" if one.logarithmic else name) + unit
