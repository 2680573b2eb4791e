"""XGBoost loads the file, and predicts what we predict."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from sites.learners.trees.plan import TreesPlan
from sites.learners.trees.xgboost_file import xgboost_columns
from sites.schema.tables import Category, Label
from sites.tasks.tabular.data import Table
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


def loaded(content: bytes) -> xgboost.Booster:
    booster = xgboost.Booster()
    booster.load_model(bytearray(content))
    return booster


def columns_of(table: Table, bins: Any) -> np.ndarray[Any, Any]:
    """Return records as the file asks for them."""
    found = []
    for one in bins.features:
        values = table.columns[one.feature.name].astype(np.float64)
        if isinstance(one.feature, Category):
            for code in range(len(one.feature.values)):
                found.append(np.where(values < 0, np.nan, values == code))
        else:
            found.append(values)
    return np.stack(found, axis=1).astype(np.float32)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    label=st.sampled_from([ILL, DAYS]),
    plan=st.sampled_from([TreesPlan(count=20, depth=4), TreesPlan(count=3, depth=1, l2=0)]),
    exchanges=st.integers(0, 80),
)
def test_xgboost_predicts_the_same(
    seed: int, label: Label, plan: TreesPlan, exchanges: int
) -> None:
    learner, data = learner_of(schema_of(label), plan), site(records(seed, 300, label))
    other = records(seed + 1, 200, label)
    statistics = statistics_of(learner, [data])
    vector = grown(learner, [data], exchanges=min(exchanges, plan.exchanges))
    bins = learner.cells(statistics).bins
    content = learner.files(vector, statistics)["xgboost.json"]
    matrix = xgboost.DMatrix(
        columns_of(other, bins), feature_names=json.loads(content)["learner"]["feature_names"]
    )
    found = loaded(content).predict(matrix)
    ours = task_of(learner).predict_columns(other.columns, statistics, vector)
    unit = 60 if label is DAYS else 1
    np.testing.assert_allclose(np.clip(found, 0, unit), ours, atol=1e-6 * unit)


def test_a_value_on_an_edge_goes_where_we_send_it() -> None:
    learner, data = learner_of(schema_of()), site(records(1, 400))
    statistics, vector = statistics_of(learner, [data]), grown(learner, [data])
    bins = learner.cells(statistics).bins
    for place, name in enumerate(("age", "bill")):
        edges = bins.features[place].edges
        near = np.concatenate([edges, np.nextafter(edges, -np.inf, dtype=np.float32)])
        one = records(1, len(near)).columns
        table = Table(
            columns={**one, name: near.astype(np.float64)},
            labels=np.zeros(len(near), np.int64),
            persons=np.array(["p"] * len(near)),
        )
        content = learner.files(vector, statistics)["xgboost.json"]
        matrix = xgboost.DMatrix(columns_of(table, bins), feature_names=xgboost_columns(bins))
        found = loaded(content).predict(matrix)
        ours = task_of(learner).predict_columns(table.columns, statistics, vector)
        np.testing.assert_allclose(found, ours, atol=1e-6)


def test_the_file_says_what_it_needs(tmp_path: Path) -> None:
    learner, data = learner_of(schema_of()), site(records(1, 400))
    statistics, vector = statistics_of(learner, [data]), grown(learner, [data])
    path = tmp_path / "xgboost.json"
    path.write_bytes(learner.files(vector, statistics)["xgboost.json"])
    booster = xgboost.Booster(model_file=path)
    names = ["age", "bill", "ward=day", "ward=night", "ward=intensive"]
    assert booster.feature_names == names
    assert booster.num_boosted_rounds() == learner.plan.count + 1  # the first is the base
    gains = booster.get_score(importance_type="total_gain")
    ours = {
        one["feature"]: one["gain"] for one in learner.results(vector, statistics)["importance"]
    }
    assert gains["age"] == pytest.approx(ours["age"], rel=1e-5)


def test_names_that_xgboost_forbids_are_written_otherwise() -> None:
    ward = Category(name="ward", values=("a [b]", "< 5"))
    schema = schema_of().model_copy(update={"features": (ward,)})
    learner = learner_of(schema)
    statistics = np.zeros(task_of(learner).statistics.layout.size, np.int64)
    bins = learner.cells(statistics).bins
    assert xgboost_columns(bins) == ["ward=a (b)", "ward=less than 5"]
