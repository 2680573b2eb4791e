"""Comparison of sites alone, together and pooled: same records, same start, same plan."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from consortium.client.private_training import training_of
from consortium.config import Scalar
from consortium.model.files import BadModel, read_model
from consortium.run.directory import RunDirectory
from consortium.run.records import Comparison, read_record, write_record
from consortium.site.site import records_of, site_rng
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory, stage
from scenarios.experiments.comparison import compare
from sites.data.source import TableFile
from sites.task import Trained
from sites.tasks.tabular.task import TabularTask
from tests.scenarios.conftest import Done, done

FEW = 40


def comparison_of(over: Done, *, n_resamples: int = FEW) -> Comparison:
    return compare(
        over.scenario, over.config, over.run, tell=lambda _text: None, n_resamples=n_resamples
    )


@pytest.fixture(scope="module")
def hearts(heart: Done, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A copy of the finished run, as comparing writes into its directory."""
    folder = tmp_path_factory.mktemp("compared") / "run"
    shutil.copytree(heart.run.path, folder)
    return Done(heart.scenario, heart.config, RunDirectory(folder), heart.summary)


@pytest.fixture(scope="module")
def comparison(hearts: Done) -> Comparison:
    return comparison_of(hearts)


def arm(comparison: Comparison, name: str) -> float:
    for one in comparison.arms:
        if name in (one.site, one.kind):
            return one.value
    raise LookupError(name)


def test_the_arms_are_each_site_the_consortium_and_the_pooled_records(
    hearts: Done, comparison: Comparison
) -> None:
    assert [one.kind for one in comparison.arms] == ["federated", *["alone"] * 4, "pooled"]
    assert tuple(one.site for one in comparison.arms if one.site) == hearts.scenario.sites
    assert comparison.held_out == hearts.summary.held_out
    assert comparison.resamples == FEW


def test_differences_compare_the_same_records(comparison: Comparison) -> None:
    for one in comparison.differences:
        assert one.value == pytest.approx(
            arm(comparison, "federated") - arm(comparison, one.against)
        )
        assert one.low <= one.value <= one.high
    widths = {one.name: one.high - one.low for one in comparison.arms}
    paired = {one.against: one.high - one.low for one in comparison.differences}
    assert paired["pooled"] < max(widths.values())


def test_an_interval_contains_its_value(comparison: Comparison) -> None:
    assert all(one.low <= one.value <= one.high for one in comparison.arms)


def test_comparing_twice_gives_the_same_and_leaves_the_federated_model_alone(
    hearts: Done, comparison: Comparison
) -> None:
    before = read_model(hearts.run.model).vector
    again = comparison_of(hearts)
    assert again.model_copy(update={"seconds": comparison.seconds}) == comparison
    assert np.array_equal(read_model(hearts.run.model).vector, before)


def test_training_the_arms_in_parallel_gives_the_same_comparison(
    hearts: Done, comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process beside this one trains as several do, and is started in the same way."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    run = RunDirectory(shutil.copytree(hearts.run.path, tmp_path / "run"))
    summary = hearts.summary.model_copy(update={"seconds": 3_600.0})
    write_record(run.summary, summary)
    found = comparison_of(Done(hearts.scenario, hearts.config, run, summary))
    assert found.model_copy(update={"seconds": comparison.seconds}) == comparison


def test_the_comparison_is_written_where_the_report_reads_it(
    hearts: Done, comparison: Comparison
) -> None:
    written = read_record(hearts.run.comparison, Comparison)
    assert written.model_copy(update={"seconds": comparison.seconds}) == comparison
    assert json.loads(hearts.run.comparison.read_text())["metric"] == "roc_auc"


def test_every_training_is_announced(hearts: Done, tmp_path: Path) -> None:
    told: list[str] = []
    run = RunDirectory(shutil.copytree(hearts.run.path, tmp_path / "run"))
    compare(hearts.scenario, hearts.config, run, tell=told.append, n_resamples=2)
    assert told == [
        *(f"training {name} alone" for name in hearts.scenario.sites),
        "training on the pooled records",
    ]


def test_a_local_model_is_what_the_site_trains_without_the_others(
    hearts: Done, comparison: Comparison
) -> None:
    """It uses the site's own statistics and order of records, for as many rounds."""
    model, config = read_model(hearts.run.model), hearts.config
    task, plan = model.task, config.training
    parts = [records_of(task, hearts.run.site(name), config) for name in hearts.scenario.sites]
    data, name = parts[0], hearts.scenario.sites[0]
    statistics, vector = task.statistics_of(data), np.zeros(task.layout.dim)
    for turn in range(1, config.num_server_rounds + 1):
        rng = site_rng(config.seed, name, turn)
        vector = vector + task.train(data, statistics, vector, plan, rng=rng).update
    scored = [task.score(part, statistics, vector) for part in parts]
    scores, labels = (np.concatenate([one[i] for one in scored]) for i in (0, 1))
    ranks = pd.Series(scores).rank()
    positives = labels > 0.5
    wins = ranks[positives].sum() - positives.sum() * (positives.sum() + 1) / 2
    assert arm(comparison, name) == pytest.approx(
        wins / (positives.sum() * (~positives).sum()), abs=1e-6
    )


def test_two_sites_with_equal_records_do_as_well_as_one_of_them_alone(
    hearts: Done, tmp_path: Path
) -> None:
    """They are the same up to the order of records."""
    scenario, config = hearts.scenario, hearts.config
    frame = pd.read_parquet(hearts.run.site("hungary") / "data.parquet")
    frame.to_parquet(tmp_path / "same.parquet")
    own = dict.fromkeys(scenario.sites, TableFile(path=tmp_path / "same.parquet"))
    run = new_run_directory(scenario, under=tmp_path, named=None)
    summary = run_scenario(ScenarioRun(scenario=scenario, config=config, own_data=own), run)
    found = comparison_of(Done(scenario, config, run, summary))
    for name in scenario.sites:
        assert arm(found, name) == pytest.approx(arm(found, "federated"), abs=0.02)


def test_a_regression_is_compared_by_its_error_where_lower_is_better(tmp_path: Path) -> None:
    over = done("house-prices", tmp_path, {"num-server-rounds": 3})
    found = comparison_of(over, n_resamples=10)
    assert (found.metric, found.higher_is_better) == ("rmse", False)
    assert all(one.value > 0 for one in found.arms)
    bound = over.summary.metrics["rmse"].error_bound
    assert abs(arm(found, "federated") - over.summary.metrics["rmse"].value) <= bound + 1e-6


def test_a_site_with_one_class_is_not_judged_on_its_own_records(
    hearts: Done, tmp_path: Path
) -> None:
    """An AUC needs both classes; the site's model is still measured on all records."""
    scenario, config = hearts.scenario, hearts.config
    frame = pd.read_parquet(hearts.run.site("hungary") / "data.parquet")
    frame[frame["disease"] == "yes"].to_parquet(tmp_path / "ill.parquet")
    run = new_run_directory(scenario, under=tmp_path, named=None)
    own = {"hungary": TableFile(path=tmp_path / "ill.parquet")}
    summary = run_scenario(ScenarioRun(scenario=scenario, config=config, own_data=own), run)
    found = comparison_of(Done(scenario, config, run, summary), n_resamples=10)
    (hungary,) = [one for one in found.arms if one.site == "hungary"]
    assert (hungary.own_value, hungary.federated_on_own) == (None, None)
    assert 0.0 <= hungary.value <= 1.0
    others = [one for one in found.arms if one.kind == "alone" and one.site != "hungary"]
    assert all(one.own_value is not None for one in others)


def test_a_run_without_a_model_cannot_be_compared(hearts: Done, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    stage(run, hearts.scenario)
    with pytest.raises(BadModel):
        comparison_of(Done(hearts.scenario, hearts.config, run, hearts.summary))


def test_the_arms_of_a_private_run_have_the_same_epsilon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has the noise that its number of persons needs, and no counted statistics."""
    settings: dict[str, Scalar] = {
        "num-server-rounds": 2,
        "weighting": "equal",
        "local-optimizer": "sgd",
        "dp.unit": "person",
        "dp.epsilon": 2.0,
        "dp.steps": 3,
    }
    over = done("heart-diagnosis", tmp_path, settings)
    real, seen = TabularTask.train, []

    def train(*given: Any, **named: Any) -> Trained:
        _, data, pooled, _, plan = given
        event = training_of(over.config).planned_event(data)
        assert event is not None
        seen.append((plan.privacy.noise_multiplier == event.noise_multiplier, bool(pooled.any())))
        return real(*given, **named)

    monkeypatch.setattr(TabularTask, "train", train)
    comparison_of(over, n_resamples=10)
    assert seen == [(True, False)] * 2 * (4 + 1)
