"""A regression as a graph, from the columns of a table to the probability or the number."""

from typing import cast

import numpy as np

from privacy.layout import Tally, Vector
from sites.graphs.columns import GraphColumns
from sites.graphs.graph import FLOAT64, Draft, Graph, GraphOutput
from sites.graphs.scaling import add_one_hot, add_standardised, add_unscaled
from sites.learners.regression.design import reach
from sites.learners.regression.equations import Equations, Regression
from sites.learners.regression.families import STEEPEST, Family, Logistic, Poisson
from sites.learners.regression.state import read_state
from sites.schema.tables import ClassLabel, Number, NumberLabel, Schema
from sites.statistics.tables import compress_values


def regression_graph(regression: Regression, statistics: Tally, vector: Vector) -> Graph:
    """Return the graph of a regression: `probability` or `value`.

    Args:
        regression: Which.
        statistics: The pooled statistics, by which numbers are scaled.
        vector: The state, shape (dim,).
    """
    state, equations = read_state(vector, regression.design.size), regression.at(statistics)
    columns = GraphColumns.of(regression.schema)
    draft, coefficients = columns.draft, state.trial
    intercept = state.figures.intercept
    if regression.design.intercept:
        intercept, coefficients = intercept + float(coefficients[0]), coefficients[1:]
    rows = _add_inputs(columns, equations)
    product = draft.add("MatMul", rows, draft.add_constant(coefficients[:, None]))
    predictor = draft.add_sum(draft.add_row(product), intercept)
    return columns.graph([_output(draft, regression.schema, equations.family, predictor)])


def _add_inputs(columns: GraphColumns, equations: Equations) -> str:
    """Add the inputs but the intercept, as `Design.rows`; return the tensor, shape (n, k)."""
    draft, design, parts = columns.draft, equations.regression.design, []
    for item in design.schema.features:
        if isinstance(item, Number):
            mean = equations.constants.numbers[item.name].mean
            standard = add_standardised(columns, item, mean=mean, deviation=reach(mean))
            parts.append(draft.add_column(standard))
        else:
            parts.append(add_one_hot(columns, item, first=1))
        if design.has_indicator(item):
            missing = draft.add_column(columns.missing[item.name])
            parts.append(draft.add("Cast", missing, to=FLOAT64))
    return draft.add("Concat", *parts, axis=1)


def _output(draft: Draft, schema: Schema, family: Family, predictor: str) -> GraphOutput:
    """Return the prediction that a linear predictor stands for, as the family's `means`."""
    steep = draft.add_clipped(predictor, -STEEPEST, STEEPEST)
    if isinstance(family, Logistic):
        label, odds = cast("ClassLabel", schema.label), draft.add("Exp", steep)
        odds = draft.add_product(odds, family.odds)
        return GraphOutput(
            name="probability",
            tensor=draft.add("Div", odds, draft.add_sum(odds, 1.0)),
            says=f"of {label.column} = {label.classes[1]}",
        )
    number = cast("NumberLabel", schema.label)
    said = f"{number.column}{f' in {number.unit}' if number.unit else ''}"
    if isinstance(family, Poisson):
        means = draft.add_product(draft.add("Exp", steep), family.mean)
        # As in `means`: a mean counts as no more than the residual that it could leave.
        limited = draft.add("Min", means, draft.add_constant(family.bounds.residual))
        return GraphOutput(name="value", tensor=limited, says=said)
    low, high = compress_values(number, np.array([number.low, number.high])).tolist()
    placed = draft.add_product(predictor, family.scale.factor)
    placed = draft.add_sum(placed, family.scale.offset - low)
    share = draft.add("Div", placed, draft.add_constant(high - low))
    return GraphOutput(name="value", tensor=add_unscaled(draft, number, share), says=said)
