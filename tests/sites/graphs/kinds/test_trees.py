"""The graph of trees predicts what the trees predict."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.layout import Tally, Vector
from sites.graphs.kinds.trees import trees_graph
from sites.learners.trees.learner import BoostedTrees
from sites.learners.trees.plan import TreesPlan
from sites.schema.tables import Category, Label, Number, NumberLabel
from sites.tasks.tabular.data import Columns
from tests.graph_runs import run
from tests.grown_trees import (
    DAYS,
    ILL,
    grown,
    learner_of,
    records,
    schema_of,
    site,
    statistics_of,
    task_of,
)

LARGEST = float(np.finfo(np.float32).max)
COST = NumberLabel(column="cost", low=0, high=1e6, unit="EUR", scale="log")


def same_as_ours(
    learner: BoostedTrees, statistics: Tally, vector: Vector, columns: Columns
) -> None:
    """To a millionth of a probability, or of the declared range."""
    label = learner.schema.label
    found = run(trees_graph(learner, statistics, vector), learner.schema, columns)
    ours = task_of(learner).predict_columns(columns, statistics, vector)
    number = isinstance(label, NumberLabel)
    unit = label.high - label.low if isinstance(label, NumberLabel) else 1
    np.testing.assert_allclose(found["value" if number else "probability"], ours, atol=1e-6 * unit)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    label=st.sampled_from([ILL, DAYS]),
    plan=st.sampled_from([TreesPlan(count=20, depth=4), TreesPlan(count=3, depth=1, l2=0)]),
    exchanges=st.integers(0, 80),
)
def test_the_graph_predicts_the_same(
    seed: int, label: Label, plan: TreesPlan, exchanges: int
) -> None:
    learner, data = learner_of(schema_of(label), plan), site(records(seed, 300, label))
    vector = grown(learner, [data], exchanges=min(exchanges, plan.exchanges))
    other = records(seed + 1, 200, label)
    same_as_ours(learner, statistics_of(learner, [data]), vector, other.columns)


def test_an_amount_on_a_logarithmic_scale_comes_back_in_its_unit() -> None:
    learner = learner_of(schema_of(COST))
    table = records(3, 400, DAYS)
    data = site(table)
    same_as_ours(
        learner, statistics_of(learner, [data]), grown(learner, [data]), records(4, 100).columns
    )


def test_a_value_on_an_edge_goes_where_the_trees_send_it() -> None:
    learner, data = learner_of(schema_of()), site(records(1, 400))
    statistics, vector = statistics_of(learner, [data]), grown(learner, [data])
    for place, name in enumerate(("age", "bill")):
        edges = learner.cells(statistics).bins.features[place].edges
        near = np.concatenate([edges, np.nextafter(edges, -np.inf, dtype=np.float32)])
        columns = {**records(1, len(near)).columns, name: near.astype(np.float64)}
        same_as_ours(learner, statistics, vector, columns)


@pytest.mark.parametrize("missing_first", [False, True])
def test_a_split_of_the_missing_from_all_others_holds_for_the_largest_numbers(
    missing_first: bool,
) -> None:
    """Up to the largest number of float32; and for categories."""
    schema = schema_of()
    wide = Number(name="bill", low=-LARGEST, high=LARGEST, missing=True)
    schema = schema.model_copy(update={"features": (schema.features[0], wide, schema.features[2])})
    learner, data = learner_of(schema), site(records(1, 400))
    statistics = statistics_of(learner, [data])
    for feature in (1, 2, 3):
        state = learner.form.read(grown(learner, [data]))
        one = learner.cells(statistics).bins.features[feature - 1]
        of_value = isinstance(one.feature, Category)
        state.trees.feature[:], state.trees.cut[:] = 0, 0
        state.trees.feature[:, 0] = feature
        state.trees.cut[:, 0] = 1 if of_value else len(one.edges)
        state.trees.missing_first[:, 0] = missing_first
        columns = {
            "age": np.array([0.0, 100.0, np.nan, 5.0]),
            "bill": np.array([LARGEST, -LARGEST, np.nan, 1e30]),
            "ward": np.array([0, 1, -1, 2]),
        }
        same_as_ours(learner, statistics, learner.form.write(state), columns)
