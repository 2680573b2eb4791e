"""A model trained by gradients as a graph, from the columns of a table to what it predicts."""

import numpy as np

from privacy.layout import Tally, Vector
from sites.graphs.columns import GraphColumns
from sites.graphs.graph import FLOAT64, Graph, GraphOutput
from sites.graphs.scaling import add_one_hot, add_standardised, add_unscaled
from sites.schema.tables import ClassLabel, Number, NumberLabel
from sites.statistics.normalisation import Constants
from sites.tasks.tabular.task import TabularTask


def tabular_graph(task: TabularTask, statistics: Tally, vector: Vector) -> Graph:
    """Return the graph of a linear model or a perceptron: `probability` or `value`.

    Inputs are rounded to float32, as the model was trained with them; sums are float64.

    Args:
        task: Of the model.
        statistics: The pooled statistics, by which numbers are scaled.
        vector: The federated vector, shape (dim,).
    """
    constants = task.statistics.constants(statistics)
    columns, arrays = GraphColumns.of(task.schema), task.parameters(vector)
    draft, scores = columns.draft, _add_inputs(columns, constants)
    for layer in ("hidden", "output"):
        if f"{layer}.weight" not in arrays:
            continue
        weight, bias = (
            np.asarray(arrays[f"{layer}.{part}"], np.float64) for part in ("weight", "bias")
        )
        product = draft.add("MatMul", scores, draft.add_constant(weight.T))
        scores = draft.add("Add", product, draft.add_constant(bias))
        scores = draft.add("Relu", scores) if layer == "hidden" else scores
    return columns.graph([_output(columns, constants, scores)])


def _add_inputs(columns: GraphColumns, constants: Constants) -> str:
    """Add the model's inputs, as `encode_columns`; return the tensor, shape (n, inputs)."""
    draft, parts = columns.draft, []
    for item in columns.schema.features:
        if isinstance(item, Number):
            standard = constants.numbers[item.name]
            number = add_standardised(
                columns, item, mean=standard.mean, deviation=standard.deviation
            )
            parts.append(draft.add_column(number))
        else:
            parts.append(add_one_hot(columns, item))
        if item.missing:
            missing = draft.add_column(columns.missing[item.name])
            parts.append(draft.add("Cast", missing, to=FLOAT64))
    return draft.add_float64(draft.add_float32(draft.add("Concat", *parts, axis=1)))


def _output(columns: GraphColumns, constants: Constants, scores: str) -> GraphOutput:
    """Return the prediction that the model's outputs stand for."""
    draft, label = columns.draft, columns.schema.label
    if isinstance(label, NumberLabel):
        said = f"{label.column}{f' in {label.unit}' if label.unit else ''}"
        stretched = draft.add_product(draft.add_row(scores), constants.label.deviation)
        share = draft.add_sum(stretched, constants.label.mean)
        return GraphOutput(name="value", tensor=add_unscaled(draft, label, share), says=said)
    if isinstance(label, ClassLabel) and not label.binary:
        shares = draft.add("Softmax", scores, axis=1)
        said = f"of each {label.column}"
        return GraphOutput(name="probability", tensor=shares, columns=label.classes, says=said)
    share = draft.add("Sigmoid", draft.add_row(scores))
    return GraphOutput(
        name="probability", tensor=share, says=f"of {label.column} = {label.classes[1]}"
    )
