"""A score card: the same bits in every mode and on every engine, and as of pooled records."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from consortium.cli.main import app
from consortium.config import Scalar
from consortium.model.files import read_model
from consortium.site.site import records_of
from scenarios.engines.runner import RunFailed, ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.prediction import predictions
from scenarios.library.registry import scenario_named
from sites.data.source import TableFile
from sites.learners.cards.learner import ScoreCard
from sites.schema.tables import Schema
from sites.statistics.tables import TableStatistics
from sites.tasks.tabular.data import TableData, encode_columns, pooled_table
from tests.graph_runs import session_of
from tests.neighbours import draw_the_same_noise
from tests.scenarios.conftest import Done, done
from tests.sites.learners.cards.card_records import holds, points_by_hand

CARD = "bank-scorecard"


@pytest.fixture(scope="module")
def clear(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return done(CARD, tmp_path_factory.mktemp("card"), {})


def results_in(run: Done, site: str) -> Mapping[str, Any]:
    read: Mapping[str, Any] = json.loads(
        (run.run.site(site) / "model" / "results.json").read_text()
    )
    return read


def data_of(run: Done) -> list[TableData]:
    found = []
    for site in run.scenario.sites:
        model = read_model(run.run.site(site) / "model")
        data = records_of(model.task, run.run.site(site), run.config)
        assert isinstance(data, TableData)
        found.append(data)
    return found


def test_an_encrypted_run_is_the_run_in_the_clear_to_the_bit(clear: Done, tmp_path: Path) -> None:
    sealed = done(CARD, tmp_path, {"aggregation": "encrypted"})
    assert sealed.summary.model_digest == clear.summary.model_digest
    assert sealed.summary.metrics["brier"] == clear.summary.metrics["brier"]
    for site in clear.scenario.sites:
        assert results_in(sealed, site) == results_in(clear, site)
    assert results_in(clear, "elm-bank")["settled"]


def test_with_the_same_noise_an_encrypted_card_is_the_one_in_the_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_the_same_noise(monkeypatch)
    noise: dict[str, Scalar] = {"dp.unit": "person", "dp.epsilon": 3.0, "dp.delta": 1e-5}
    noise |= {"dp.max-records-per-person": 1, "num-server-rounds": 2}
    clear = done(CARD, tmp_path / "clear", noise)
    sealed = done(CARD, tmp_path / "sealed", {**noise, "aggregation": "encrypted"})
    assert sealed.summary.model_digest == clear.summary.model_digest
    assert results_in(clear, "elm-bank")["noise"]["sites"] == 5
    assert results_in(clear, "elm-bank") == results_in(sealed, "elm-bank")
    assert clear.summary.metrics["roc_auc"].value > 0.7


def test_a_run_is_the_pooled_computation_to_the_bit(clear: Done) -> None:
    schema = clear.scenario.table
    learner = ScoreCard.of(schema, clear.config.card)
    model = read_model(clear.run.site("elm-bank") / "model")
    task, parts = model.task, data_of(clear)
    pooled = task.pool(parts)
    vector = np.zeros(task.layout.dim)
    for _ in range(clear.config.num_server_rounds):
        rng = np.random.default_rng(0)
        counted = task.train(pooled, model.statistics, vector, clear.config.training, rng=rng)
        moved = learner.move(vector, model.statistics, counted.summed)
        vector = moved.astype(np.float32).astype(np.float64)
    assert vector.tobytes() == model.vector.tobytes()


def test_a_card_ranks_as_well_as_a_regression_on_the_pooled_records(clear: Done) -> None:
    """To 0.005: what is given up for points that anybody can add up."""
    schema, parts = clear.scenario.table, data_of(clear)
    assert isinstance(schema, Schema)
    training, held_out = (
        pooled_table([getattr(part, side) for part in parts]) for side in ("training", "held_out")
    )
    statistics = TableStatistics(schema)
    counted = statistics.tally(training.columns, training.labels, persons=len(training))
    constants = statistics.constants(counted)
    rows = [encode_columns(one.columns, schema, constants) for one in (training, held_out)]
    fitted = LogisticRegression(C=1e4, max_iter=2_000).fit(rows[0], training.labels)
    regression = roc_auc_score(held_out.labels, fitted.decision_function(rows[1]))
    assert clear.summary.metrics["roc_auc"].value > regression - 0.005
    assert clear.config.num_server_rounds <= 20


def test_points_added_up_by_hand_are_the_models_predictions(clear: Done) -> None:
    card = results_in(clear, "elm-bank")
    model = read_model(clear.run.site("elm-bank") / "model")
    (data,) = data_of(clear)[-1:]
    predicted, _ = model.task.score(data, model.statistics, model.vector)
    columns, schema = data.held_out.columns, clear.scenario.table
    assert isinstance(schema, Schema)
    for row in range(50):
        record = {
            item.name: item.values[int(columns[item.name][row])]
            if item.kind == "category"
            else float(columns[item.name][row])
            for item in schema.features
        }
        doublings = (points_by_hand(card, record) - card["base_points"]) / card["pdo"]
        odds = card["base_odds"] * 2**doublings
        assert predicted[row] == pytest.approx(1 / (1 + odds), rel=1e-9)


def test_each_row_of_the_predictions_has_its_points_and_the_reasons_for_them(
    clear: Done, tmp_path: Path
) -> None:
    """By the printed card alone: the features whose points are farthest below their most."""
    card = results_in(clear, "elm-bank")
    rows = pd.read_parquet(clear.run.site("elm-bank") / "data.parquet").head(40)
    rows.to_csv(tmp_path / "own.csv", index=False)
    found = predictions(clear.run, TableFile(path=tmp_path / "own.csv"))
    columns = [f"reason_{place}" for place in range(1, 5)]
    assert list(found.columns)[-5:] == ["points", *columns]
    for row, told in zip(rows.to_dict("records"), found.to_dict("records"), strict=True):
        record = {str(name): None if pd.isna(value) else value for name, value in row.items()}
        assert told["points"] == points_by_hand(card, record)
        lost = {
            one["name"]: max(two["points"] for two in one["bins"])
            - next(
                two["points"] for two in one["bins"] if holds(two, record[one["name"]], one["kind"])
            )
            for one in card["features"]
        }
        largest = sorted((name for name in lost if lost[name]), key=lambda name: -lost[name])[:4]
        assert [told[name] for name in columns] == largest + [""] * (4 - len(largest))


def test_the_exported_card_gives_its_points_without_this_program(
    clear: Done, tmp_path: Path
) -> None:
    """As ONNX from the columns of a bank's table, to the point; and the JSON beside it."""
    made = CliRunner().invoke(app, ["export", str(clear.run.path), str(tmp_path / "out"), "--onnx"])
    assert made.exit_code == 0, made.output
    rows = pd.read_parquet(clear.run.site("elm-bank") / "data.parquet")
    rows.to_csv(tmp_path / "own.csv", index=False)
    ours = predictions(clear.run, TableFile(path=tmp_path / "own.csv"))
    schema = clear.scenario.table
    assert isinstance(schema, Schema)
    raw = {
        item.name: rows[item.name].to_numpy(object if item.kind == "category" else float)
        for item in schema.features
    }
    session = session_of((tmp_path / "out" / "model.onnx").read_bytes())
    points, shares = session.run(["points", "probability"], raw)
    assert points.tolist() == ours["points"].tolist()
    np.testing.assert_allclose(shares, ours["probability_yes"], rtol=1e-9)
    card = json.loads((tmp_path / "out" / "results.json").read_text())
    assert card == results_in(clear, "elm-bank")


def test_no_bin_of_the_card_has_fewer_than_ten_records_of_a_class(clear: Done) -> None:
    card = results_in(clear, "elm-bank")
    for feature in card["features"]:
        counts = [(one["first"], one["second"]) for one in feature["bins"]]
        assert len(counts) > 1
        assert min(min(one) for one in counts) >= 10


def test_curves_keep_the_directions_that_the_banks_agreed_on(clear: Done) -> None:
    card = {one["name"]: one for one in results_in(clear, "elm-bank")["features"]}
    late = [one["points"] for one in card["months_late_sep"]["bins"]]
    paid = [one["points"] for one in card["paid_sep"]["bins"]]
    assert late == sorted(late, reverse=True)
    assert paid == sorted(paid)
    assert min(len(late), len(paid)) > 1


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"dp.unit": "record", "dp.epsilon": 1.0}, "scorecard adds the same noise"),
        ({"rule.name": "coordinate-median"}, "scorecard sends exact tallies"),
        ({"card.monotone": "months_late:up"}, "did you mean months_late_"),
    ],
)
def test_what_a_card_cannot_be_asked_is_refused_with_what_to_do(
    chosen: dict[str, Scalar], words: str, tmp_path: Path
) -> None:
    with pytest.raises(RunFailed, match=words):
        done(CARD, tmp_path, {**chosen, "weighting": "equal"})


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_deployed_run_is_the_run_in_one_process(clear: Done, tmp_path: Path) -> None:
    scenario = scenario_named(CARD)
    config = scenario.config_with({"aggregation": "encrypted"})
    run = new_run_directory(scenario, under=tmp_path, named=None)
    order = ScenarioRun(scenario=scenario, config=config, engine="deployment")
    assert run_scenario(order, run).model_digest == clear.summary.model_digest
