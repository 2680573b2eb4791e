"""A regression with inference: the same bits in every mode and on every engine."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consortium.charter.document import Charter
from consortium.client.policy_gate import asked_of
from consortium.config import Scalar
from consortium.model.files import read_model
from consortium.site.directory import read_site_config
from consortium.site.policy_templates import strict
from consortium.site.site import Site, records_of
from privacy.policy.run_request import violations
from scenarios.engines.runner import RunFailed, ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from sites.schema.tables import Schema
from sites.tasks.tabular.data import TableData
from tests.scenarios.conftest import Done, done
from tests.sites.learners.regression.oracle import (
    fitted,
    own_rows,
    statsmodels_fit,
    worst_difference,
)

ODDS = "heart-odds"


@pytest.fixture(scope="module")
def odds(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return done(ODDS, tmp_path_factory.mktemp("odds"), {})


def results_in(run: Done, site: str) -> Mapping[str, Any]:
    text = (run.run.site(site) / "model" / "results.json").read_text()
    read: Mapping[str, Any] = json.loads(text)
    return read


def test_an_encrypted_run_is_the_run_in_the_clear_to_the_bit(odds: Done, tmp_path: Path) -> None:
    sealed = done(ODDS, tmp_path, {"aggregation": "encrypted"})
    assert sealed.summary.model_digest == odds.summary.model_digest
    # of the other metrics, some depend on bins that follow an evaluation more in the clear
    assert sealed.summary.metrics["brier"] == odds.summary.metrics["brier"]
    for site in odds.scenario.sites:
        assert results_in(sealed, site) == results_in(odds, site)


def test_a_run_is_the_pooled_computation(odds: Done) -> None:
    """Of the training records that the sites have, in one place: by statsmodels."""
    schema, parts = odds.scenario.table, []
    assert isinstance(schema, Schema)
    for site in odds.scenario.sites:
        model = read_model(odds.run.site(site) / "model")
        data = records_of(model.task, odds.run.site(site), odds.config)
        assert isinstance(data, TableData)
        parts.append(data.training)
    told = results_in(odds, odds.scenario.sites[0])
    again = fitted(schema, odds.config.glm, parts).results
    assert json.loads(json.dumps(again)) == told
    rows = np.vstack([own_rows(schema, part, missing="indicator")[:, 1:] for part in parts])
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    own = (owner[:, None] == np.arange(len(parts))) * 1.0
    labels = np.concatenate([part.labels for part in parts])
    wanted = statsmodels_fit(np.hstack([rows, own]), labels, "logistic")
    assert worst_difference(told, wanted) < 1e-6


def test_eight_exchanges_are_enough_for_five_banks(tmp_path: Path) -> None:
    run = done("bank-credit", tmp_path, {"learner": "glm"})
    told = results_in(run, run.scenario.sites[0])
    assert run.config.num_server_rounds == 8
    assert told["status"] == "fitted"
    assert run.summary.metrics["roc_auc"].value > 0.75


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (
            {"dp.unit": "record", "dp.epsilon": 1.0},
            "privacy is demanded, choose learner=gradient",
        ),
        ({"rule.name": "coordinate-median"}, "Set rule.name to mean$"),
    ],
)
def test_what_only_updates_have_is_refused_with_what_to_do(
    chosen: dict[str, Scalar], said: str, tmp_path: Path
) -> None:
    with pytest.raises(RunFailed, match=f"glm sends exact tallies.*{said}"):
        done(ODDS, tmp_path, {**chosen, "weighting": "equal"})


def test_a_policy_that_demands_privacy_refuses_it_with_what_to_do(odds: Done) -> None:
    site = Site(
        odds.run.site("cleveland"),
        read_site_config(odds.run.site("cleveland")),
        Charter.read(odds.run.charter),
        odds.config,
    )
    asked = asked_of(odds.config, site.charter, site.task)
    told = {one.code: str(one) for one in violations(strict(site.charter), asked)}
    assert "learner=glm needs exact sums of single persons' values" in told["privacy-required"]
    assert "choose learner=gradient, which trains with noise" in told["privacy-required"]


def test_few_persons_are_not_shown_by_their_missing_values(tmp_path: Path) -> None:
    """One hospital left one patient's exercise test out: complete cases would show that patient."""
    run = done(ODDS, tmp_path, {"missing-values": "complete"})
    assert {(one.site, one.code) for one in run.summary.quarantined} == {
        ("hungary", "site-refused.too-few-left-out")
    }
    assert results_in(run, "cleveland")["sites"] == 3


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_deployed_run_is_the_run_in_one_process(odds: Done, tmp_path: Path) -> None:
    scenario = scenario_named(ODDS)
    config = scenario.config_with({"aggregation": "encrypted"})
    run = new_run_directory(scenario, under=tmp_path, named=None)
    order = ScenarioRun(scenario=scenario, config=config, engine="deployment")
    assert run_scenario(order, run).model_digest == odds.summary.model_digest
