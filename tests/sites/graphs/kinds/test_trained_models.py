"""The graph of a trained model predicts what the model predicts."""

import numpy as np
import pytest

from sites.graphs.kinds.trained_models import tabular_graph
from sites.plans import ModelName, ModelPlan
from sites.schema.tables import ClassLabel, NumberLabel, Outcome
from sites.statistics.tables import scale_values
from sites.tasks.tabular.data import Table, TableData
from sites.tasks.tabular.task import TabularTask
from tests.graph_runs import run
from tests.sites.learners.regression.generated import AMOUNT, schema_of, table_with

ILL = ClassLabel(column="ill", classes=("no", "yes"))
GRADE = ClassLabel(column="grade", classes=("low", "middle", "high"))
COST = NumberLabel(column="cost", low=0, high=1e6, unit="EUR", scale="log")


def records_of(label: Outcome) -> TableData:
    """Return records with values that are missing, and at their bounds."""
    made = table_with(AMOUNT, 150, seed=3, missing=0.2)
    n_classes = len(label.classes) if isinstance(label, ClassLabel) else 0
    labels = np.arange(150) % n_classes if n_classes else np.linspace(0, 900, 150)
    ends = {"age": [0.0, 120.0], "income": [0.0, 1e6]}
    columns = {name: np.append(made.columns[name][:-2], held) for name, held in ends.items()}
    table = Table(columns={**made.columns, **columns}, labels=labels, persons=made.persons)
    return TableData(training=table, held_out=table, n_classes=n_classes)


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "by-bounds"])
@pytest.mark.parametrize("size", [0.1, 30.0], ids=["usual", "extreme"])
@pytest.mark.parametrize(
    ("label", "model"),
    [
        (ILL, "logistic"),
        (ILL, "mlp"),
        (GRADE, "logistic"),
        (GRADE, "mlp"),
        (AMOUNT, "linear"),
        (COST, "linear"),
        (COST, "mlp"),
    ],
)
def test_the_graph_predicts_the_same(
    label: Outcome, model: ModelName, size: float, *, counted: bool
) -> None:
    """To a millionth of a probability, or of the range of a number on its scale.

    The model adds up in float32 and the graph in float64: with parameters of an extreme size the
    model itself is known to so many digits of a score, and no more.
    """
    task = TabularTask("credit", schema_of(label), ModelPlan(name=model, hidden_units=5), 7)
    data = records_of(label)
    statistics = task.statistics_of(data) * int(counted)
    vector = np.random.default_rng(5).normal(0, size, task.layout.dim).astype(np.float32)
    ours, _ = task.score(data, statistics, vector.astype(np.float64))
    graph = tabular_graph(task, statistics, vector.astype(np.float64))
    found = run(graph, task.schema, data.held_out.columns)
    near = 1e-6 if size < 1 else 1e-3
    if isinstance(label, NumberLabel):
        theirs, expected = (scale_values(label, one) for one in (found["value"], ours))
        np.testing.assert_allclose(theirs, expected, rtol=0, atol=near)
        return
    assert found["probability"].shape == ours.shape
    np.testing.assert_allclose(found["probability"], ours, rtol=0, atol=near)
    assert graph.outputs[0].columns == (() if label is ILL else GRADE.classes)
