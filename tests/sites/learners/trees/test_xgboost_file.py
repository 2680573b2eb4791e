"""XGBoost loads the file, and predicts what we predict."""

import json
import subprocess
import sys
from dataclasses import replace
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

# In a process of its own: XGBoost reads out of bounds where siblings are not side by side.
EXPLAIN = """
import sys
import numpy as np
import xgboost

for place in sys.argv[1:]:
    booster = xgboost.Booster(model_file=f"{place}/xgboost.json")
    columns = np.load(f"{place}/columns.npy")
    matrix = xgboost.DMatrix(columns, feature_names=booster.feature_names)
    parts = booster.predict(matrix, pred_contribs=True)
    margins = booster.predict(matrix, output_margin=True)
    np.savez(f"{place}/found.npz", parts=parts, margins=margins)
"""


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


Case = tuple[Label, TreesPlan, int]
CASES: dict[str, Case] = {
    f"{label.column}-{name}": (label, plan, exchanges)
    for label in (ILL, DAYS)
    for name, plan, exchanges in (
        ("deep", TreesPlan(count=20, depth=4), 80),
        ("deepest", TreesPlan(count=2, depth=6), 12),
        ("base-alone", TreesPlan(count=3, depth=1, l2=0), 0),
    )
}


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a program of its own said what each column adds, for each of the cases."""
    folder = tmp_path_factory.mktemp("explained")
    for name, (label, plan, exchanges) in CASES.items():
        learner, data = learner_of(schema_of(label), plan), site(records(3, 400, label))
        statistics, made = statistics_of(learner, [data]), folder / name
        vector = grown(learner, [data], exchanges=exchanges)
        made.mkdir()
        (made / "xgboost.json").write_bytes(learner.files(vector, statistics)["xgboost.json"])
        columns = columns_of(records(4, 300, label), learner.cells(statistics).bins)
        np.save(made / "columns.npy", columns)
    places = [str(folder / name) for name in CASES]
    subprocess.run([sys.executable, "-c", EXPLAIN, *places], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_contributions_add_up_to_the_margin(name: str, explained: Path) -> None:
    """What each column adds to a prediction, the bias last, is the margin of that prediction."""
    label, _, exchanges = CASES[name]
    with np.load(explained / name / "found.npz") as found:
        parts, margins = found["parts"], found["margins"]
    unit = 60 if label is DAYS else 1
    np.testing.assert_allclose(parts.sum(axis=1), margins, rtol=0, atol=1e-5 * unit)
    assert (np.ptp(parts[:, :-1], axis=0) > 0).any() == (exchanges > 0)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    label=st.sampled_from([ILL, DAYS]),
    depth=st.integers(1, 6),
    trees=st.integers(0, 3),
)
def test_siblings_are_side_by_side_and_covers_add_up(
    seed: int, label: Label, depth: int, trees: int
) -> None:
    """Covers are whole for a number and never for classes: converters tell them apart so."""
    plan = TreesPlan(count=3, depth=depth)
    learner, data = learner_of(schema_of(label), plan), site(records(seed, 200, label))
    vector = grown(learner, [data], exchanges=trees * depth)
    content = learner.files(vector, statistics_of(learner, [data]))["xgboost.json"]
    for tree in json.loads(content)["learner"]["gradient_booster"]["model"]["trees"]:
        covers = np.array(tree["sum_hessian"])
        assert (covers > 0).all()
        np.testing.assert_array_equal(covers, covers.astype(np.float32))
        np.testing.assert_array_equal(covers == np.rint(covers), label is DAYS)
        left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
        (splits,) = np.nonzero(left >= 0)
        np.testing.assert_array_equal(right[splits], left[splits] + 1)
        np.testing.assert_array_equal(left[splits], 1 + 2 * np.arange(len(splits)))
        np.testing.assert_array_equal(covers[splits], covers[left[splits]] + covers[right[splits]])
        parents = np.array(tree["parents"])
        np.testing.assert_array_equal(parents[left[splits]], splits)
        np.testing.assert_array_equal(parents[right[splits]], splits)


def test_covers_are_the_shares_of_bins() -> None:
    """Of a number with missing values 32 bins and theirs, of a category its values and theirs."""
    learner = learner_of(schema_of(), TreesPlan(count=1, depth=1, bins=32))
    state = learner.form.read(np.zeros(learner.form.layout.dim))
    statistics = statistics_of(learner, [site(records(1, 400))])
    for feature, cut, missing_first in ((1, 7, True), (1, 7, False), (2, 7, True), (3, 2, False)):
        state.trees.feature[0, 0], state.trees.cut[0, 0] = feature, cut
        state.trees.missing_first[0, 0] = missing_first
        vector = learner.form.write(replace(state, exchanges=1))
        content = json.loads(learner.files(vector, statistics)["xgboost.json"])
        covers = content["learner"]["gradient_booster"]["model"]["trees"][1]["sum_hessian"]
        left = {(1, True): 9 / 33, (1, False): 8 / 33, (2, True): 8 / 32, (3, False): 3 / 4}
        assert covers[1] / covers[0] == pytest.approx(left[feature, missing_first], rel=1e-5)


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
