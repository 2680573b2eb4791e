"""Boosted trees from the command line to the file that XGBoost loads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from consortium.charter.document import Charter
from consortium.client.policy_gate import asked_of
from consortium.client.site_ledger import ledger_of
from consortium.config import Scalar
from consortium.model.files import read_model
from consortium.run.directory import RunDirectory
from consortium.site.directory import read_site_config
from consortium.site.policy_templates import strict
from consortium.site.site import Site, records_of
from privacy.differential.ledger_entries import Charge
from privacy.differential.mechanisms import Gaussian
from privacy.policy.run_request import violations
from privacy.storage.site_process import SITE_PROCESS
from scenarios.cli.main import app
from scenarios.data.datasets import load_dataset
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from scenarios.scenario import Engine
from sites.data.source import TableFile
from sites.data.validation import validate_table
from sites.learners.trees.plan import TreesPlan
from sites.schema.tables import Number
from sites.tasks.tabular.data import TableData, pooled_table
from sites.tasks.tabular.loading import table_of
from tests.grown_trees import (
    fewest_persons,
    in_bins,
    learner_of,
    site,
    statistics_of,
    task_of,
)
from tests.grown_trees import grown as grown_on
from tests.neighbours import draw_the_same_noise

HEART = scenario_named("heart-diagnosis")
FEW = ("--set", "learner=trees", "--set", "trees.count=3", "--set", "trees.depth=2")


def grown(folder: Path, *options: str) -> RunDirectory:
    command = ["run", "heart-diagnosis", "--out", str(folder), *FEW, *options]
    done = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return RunDirectory(folder)


def states(run: RunDirectory) -> set[bytes]:
    return {read_model(run.site(name) / "model").vector.tobytes() for name in HEART.sites}


def test_encrypted_trees_are_those_in_the_clear_to_the_bit(tmp_path: Path) -> None:
    clear = grown(tmp_path / "clear")
    sealed = grown(tmp_path / "sealed", "--set", "aggregation=encrypted")
    assert states(clear) == states(sealed)
    assert len(states(clear)) == 1
    summaries = [json.loads(run.summary.read_text()) for run in (clear, sealed)]
    for name, one in summaries[0]["metrics"].items():
        # The bins of scores follow earlier evaluations, of which an encrypted run has one fewer.
        other = summaries[1]["metrics"][name]
        bound = one["error_bound"] + other["error_bound"]
        assert one["value"] == pytest.approx(other["value"], abs=bound + 1e-12)
    assert [one["rounds"] for one in summaries] == [6, 6]
    assert summaries[0]["convergence"] is None
    for name in ("xgboost.json", "results.json"):
        assert (clear.model / name).read_bytes() == (sealed.model / name).read_bytes()
    for run in (clear, sealed):
        page = run.report.read_text()
        assert "What do the trees split on?" in page
        assert "How did the loss fall, tree by tree?" in page
        assert "had not converged" not in page


def test_leaves_of_a_run_have_the_persons_that_were_asked_and_its_model_holds_no_sums(
    tmp_path: Path,
) -> None:
    run = grown(tmp_path / "run", "--set", "trees.min-records=40", "--set", "aggregation=encrypted")
    model = read_model(run.site("cleveland") / "model")
    parts = [records_of(model.task, run.site(name), model.config) for name in HEART.sites]
    table = pooled_table([part.training for part in parts if isinstance(part, TableData)])
    learner = learner_of(HEART.columns, model.config.trees)
    state = learner.form.read(model.vector)
    assert (state.exchanges, bool(state.trees.feature.any())) == (6, True)
    assert not state.sums.any()
    assert fewest_persons(learner, model.statistics, model.vector, table) >= 40


def test_the_file_predicts_what_the_command_predicts(tmp_path: Path) -> None:
    run, records, out = grown(tmp_path / "run"), tmp_path / "new.csv", tmp_path / "scores.csv"
    frame = load_dataset("heart-disease").head(50)
    frame.to_csv(records, index=False)
    command = ["predict", str(tmp_path / "run"), str(records), "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    ours = pd.read_csv(out).select_dtypes("number").iloc[:, -1].to_numpy()
    model = read_model(run.site(HEART.sites[0]) / "model")
    assert model.predict(TableFile(path=str(records))).tolist() == pytest.approx(ours.tolist())
    columns = {}
    for item in HEART.columns.features:
        given = frame[item.name]
        if isinstance(item, Number):
            columns[item.name] = pd.to_numeric(given, errors="coerce")
            continue
        text = given.astype("string")
        for value in item.values:
            held = (text == value).astype("float64")
            columns[f"{item.name}={value}"] = held.where(text.notna())
    booster = xgboost.Booster(model_file=run.model / "xgboost.json")
    found = booster.predict(xgboost.DMatrix(pd.DataFrame(columns)[booster.feature_names]))
    np.testing.assert_allclose(found, ours, atol=1e-6)


def test_all_records_in_one_place_give_the_same_metrics(tmp_path: Path) -> None:
    """The gap to the same algorithm on pooled records is 0."""
    command = ["compare", "heart-diagnosis", "--out", str(tmp_path / "run"), *FEW]
    done = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "run" / "comparison.json").read_text())
    together, pooled = (
        next(one["value"] for one in found["arms"] if one["kind"] == kind)
        for kind in ("federated", "pooled")
    )
    assert together == pooled > 0.5


NOISE = ("dp.unit=person", "dp.max-records-per-person=1", "dp.epsilon=20", "dp.delta=1e-5")


def test_with_the_same_noise_encrypted_trees_are_those_in_the_clear_and_both_tell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_the_same_noise(monkeypatch)
    noisy = [part for one in NOISE for part in ("--set", one)]
    clear = grown(tmp_path / "clear", *noisy, "--set", "aggregation=clear")
    sealed = grown(tmp_path / "sealed", *noisy, "--set", "aggregation=encrypted")
    assert len(states(clear) | states(sealed)) == 1
    page = sealed.report.read_text()
    assert "grown on sums with noise over all hospitals" in page
    assert "has a standard error of" in page
    found = json.loads((sealed.model / "results.json").read_text())
    assert (found["noise"]["sites"], found["noise"]["most_records"]) == (4, 1)
    (charge,) = training_charges(sealed, "cleveland")
    assert isinstance(charge.reserved.event, Gaussian)
    assert charge.reserved.event.count == 6
    assert charge.used == {f"round {one}": 1 for one in range(1, 7)}


def training_charges(run: RunDirectory, name: str) -> tuple[Charge, ...]:
    """Return what a site's ledger counts of training."""
    with ledger_of(run.site(name)) as ledger:
        return tuple(one for one in ledger.charges() if one.reserved.part.startswith("training"))


def test_a_policy_that_demands_privacy_refuses_trees_without_noise(tmp_path: Path) -> None:
    run = grown(tmp_path / "run")
    directory, charter = run.site("cleveland"), Charter.read(run.charter)
    told = {}
    for chosen in ({}, dict(one.split("=") for one in NOISE[:1])):
        noise: dict[str, Scalar] = {"dp.epsilon": 1.0, "dp.delta": 1e-6} if chosen else {}
        keys: dict[str, Scalar] = {"learner": "trees", "aggregation": "encrypted"}
        config = HEART.config_with({**keys, **chosen, **noise})
        at = Site(directory, read_site_config(directory), charter, config)
        found = violations(strict(charter), asked_of(config, charter, at.task))
        told[len(noise)] = {one.code: str(one) for one in found}
    assert "set dp.unit to person, and dp.epsilon" in told[0]["privacy-required"]
    assert not {one for one in told[2] if "privacy" in one or "epsilon" in one}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["clear", "encrypted"])
def test_a_deployment_grows_the_same_trees(tmp_path: Path, mode: str) -> None:
    """There each message may reach a process that knows nothing of the one before."""
    three = replace(HEART, sites=("cleveland", "hungary", "switzerland"))
    chosen: dict[str, Scalar] = {
        "learner": "trees",
        "trees.count": 2,
        "trees.depth": 2,
        "aggregation": mode,
    }
    found = set()
    engines: tuple[Engine, ...] = ("inprocess", "deployment")
    for engine in engines:
        SITE_PROCESS.clear()
        run = new_run_directory(three, under=tmp_path, named=tmp_path / engine)
        order = ScenarioRun(scenario=three, config=three.config_with(chosen), engine=engine)
        found.add(run_scenario(order, run).model_digest)
    assert len(found) == 1


@pytest.mark.slow
def test_trees_rank_borrowers_as_well_as_those_of_scikit_learn_in_the_same_bins() -> None:
    """100 trees of depth 4 on 30,000 borrowers; what all banks grow is what one place grows."""
    schema = scenario_named("bank-credit").columns
    table = table_of(validate_table(load_dataset("taiwan-credit"), schema), schema)
    held_out = np.random.default_rng(0).random(len(table)) < 0.2
    data = site(table.select(~held_out), table.select(held_out))
    learner = learner_of(schema, TreesPlan())
    statistics, vector = statistics_of(learner, [data]), grown_on(learner, [data])
    bins = learner.cells(statistics).bins
    scores, labels = task_of(learner).score(data, statistics, vector)
    theirs = HistGradientBoostingClassifier(
        max_iter=100,
        max_depth=4,
        max_leaf_nodes=None,
        l2_regularization=1.0,
        min_samples_leaf=20,
        early_stopping=False,
    ).fit(in_bins(data.training, bins), data.training.labels)
    found = theirs.predict_proba(in_bins(data.held_out, bins))[:, 1]
    assert roc_auc_score(labels, scores) >= roc_auc_score(labels, found) - 0.003
