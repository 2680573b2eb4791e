"""One contract, checked against every scenario."""

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest

from consortium.differential_privacy import NotPrivate
from consortium.run.directory import RunDirectory
from consortium.site.site import model_plan, records_of
from scenarios.data.datasets import load_dataset
from scenarios.engines.staging import stage
from scenarios.library.registry import SCENARIOS, UnknownScenario, scenario_named
from scenarios.scenario import Scenario
from sites.evaluation.contract import evaluation_for
from sites.learners.plans import AUTOMATIC, LearnerName
from sites.tasks.registry import task_for

TELLING = {
    "taiwan-credit": {"credit_limit", "default"},
    "lending-club": {"addr_state", "interest_rate", "int_rate", "grade", "sub_grade", "outcome"},
    "heart-disease": {"hospital", "disease", "severity"},
    "ames": {"neighbourhood", "sale_price"},
    "lung": {"institution", "days", "status"},
}

each = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)


tables = pytest.mark.parametrize(
    "scenario", [s for s in SCENARIOS.values() if s.dataset], ids=lambda scenario: scenario.name
)


def owners_of(scenario: Scenario) -> "pd.Series[str]":
    assert scenario.site_of_row is not None
    frame = scenario.records() if scenario.records else load_dataset(str(scenario.dataset))
    return scenario.site_of_row(frame)


def test_no_two_scenarios_say_the_same_of_themselves() -> None:
    """Who reads the list has only that to choose by."""
    assert len({(one.title, one.story) for one in SCENARIOS.values()}) == len(SCENARIOS)
    assert len({one.title for one in SCENARIOS.values()}) == len(SCENARIOS)


def test_every_learner_that_makes_a_model_has_a_scenario() -> None:
    """`describe` makes a table, and has a command of its own; `distil` needs agreed texts."""
    asked = [(one.config_with({}).learner.name, one.task) for one in SCENARIOS.values()]
    learners = {AUTOMATIC.get(task, "gradient") if name == "auto" else name for name, task in asked}
    assert learners == {*get_args(LearnerName)} - {"auto", "describe", "distil"}


@each
def test_a_scenario_is_found_by_its_name(scenario: Scenario) -> None:
    assert scenario_named(scenario.name) is scenario
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", scenario.name)
    assert scenario.title
    assert scenario.story


@each
def test_every_record_belongs_to_one_of_the_sites_and_no_site_is_empty(scenario: Scenario) -> None:
    assert set(owners_of(scenario)) == set(scenario.sites)


@tables
def test_no_feature_reveals_the_site_or_the_outcome(scenario: Scenario) -> None:
    """A model could learn which bank it is, or what the lender's own score said."""
    features = {feature.name for feature in scenario.columns.features}
    assert scenario.dataset is not None
    telling = TELLING[scenario.dataset]
    assert not features & {scenario.table.label.column, scenario.table.person, *telling}
    assert features <= set(load_dataset(scenario.dataset).columns)


@each
def test_the_records_of_every_site_fit_the_schema(scenario: Scenario, tmp_path: Path) -> None:
    """Loading validates: every category is declared and every number within its bounds."""
    run, config = RunDirectory(tmp_path), scenario.config_with({})
    stage(run, scenario)
    plan = model_plan(config, scenario.table)
    task = task_for(scenario.task, scenario.table, plan, seed=config.seed)
    owner = owners_of(scenario)
    for site in scenario.sites:
        data = records_of(task, run.site(site), config)
        assert data.train_examples + data.held_out_examples == (owner == site).sum()
        small = (owner == site).sum() < 40  # chance says how many of a few are held out
        assert small or 0.1 < data.held_out_examples / (owner == site).sum() < 0.4
        if "min-local-steps" in scenario.run_config:
            continue  # a floor of its own
        # Figures of scenarios stand on several pages: the default must not change them unnoticed.
        passes = replace(config.training, min_local_steps=0)
        n = data.train_examples
        exchanges = config.learning.exchanges(scenario.task)
        trains = config.privacy == NotPrivate() and exchanges is None
        assert not trains or config.training.local_steps(n) == passes.local_steps(n)


@each
def test_the_headline_is_a_metric_of_the_task(scenario: Scenario) -> None:
    headline = scenario.headline
    labelled = {"roc_auc": "classes", "macro_f1": "classes", "rmse": "low", "entity_f1": "types"}
    labelled |= {"concordance": "time", "recall_at_1_percent": "costs"}
    assert hasattr(scenario.table.label, labelled[headline.name])
    assert evaluation_for(scenario.table).layout.size > 0


@each
def test_made_up_records_are_said_to_be_made_up(scenario: Scenario) -> None:
    said = "SYNTHETIC" in scenario.story or "made up" in scenario.story
    assert scenario.synthetic == said
    assert not (scenario.synthetic and scenario.dataset)


def test_no_two_scenarios_have_the_same_charter() -> None:
    """So nothing of one can be replayed in another."""
    assert len({one.charter.fingerprint for one in SCENARIOS.values()}) == len(SCENARIOS)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bank-credits", "did you mean 'bank-credit'?"),
        ("heart-diagnose", "did you mean 'heart-diagnosis'?"),
        ("@@@", "the scenarios are bank-credit, bank-scorecard"),
    ],
)
def test_an_unknown_name_is_an_error_that_suggests_the_nearest_or_all(name: str, said: str) -> None:
    with pytest.raises(UnknownScenario) as refused:
        scenario_named(name)
    assert said in str(refused.value)
