"""A survival analysis: the same bits in every mode and on every engine."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

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
from sites.statistics.life_tables import LifeTable
from sites.tasks.tabular.data import TableData
from tests.scenarios.conftest import Done, done
from tests.sites.learners.survival.test_cox import oracle

LUNG = "lung-survival"


@pytest.fixture(scope="module")
def lung(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return done(LUNG, tmp_path_factory.mktemp("lung"), {})


def results_of(run: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.run.model / "results.json").read_text())
    return found


def parts_of(run: Done) -> list[TableData]:
    parts = []
    for site in run.scenario.sites:
        model = read_model(run.run.site(site) / "model")
        data = records_of(model.task, run.run.site(site), run.config)
        assert isinstance(data, TableData)
        parts.append(data)
    return parts


def test_an_encrypted_run_is_the_run_in_the_clear_to_the_bit(tmp_path: Path) -> None:
    chosen: dict[str, Scalar] = {"num-server-rounds": 2}  # each more costs as much, for no more
    clear = done(LUNG, tmp_path / "clear", chosen)
    sealed = done(LUNG, tmp_path / "sealed", {**chosen, "aggregation": "encrypted"})
    assert sealed.summary.status == "finished"
    assert sealed.summary.model_digest == clear.summary.model_digest
    assert sealed.summary.metrics == clear.summary.metrics
    assert results_of(sealed) == results_of(clear)


def test_a_run_is_the_stratified_model_of_all_training_records(lung: Done) -> None:
    """By statsmodels, on the records of all institutions in one place."""
    fit = oracle(parts_of(lung), "efron", stratified=True).fit(disp=0)
    told = results_of(lung)["coefficients"]
    assert_allclose([one["coefficient"] for one in told], fit.params, rtol=1e-6)
    assert_allclose([one["standard_error"] for one in told], fit.bse, rtol=1e-6)
    assert all(one["settled"] for one in told)
    assert lung.config.num_server_rounds == 8


def test_its_curves_are_those_of_all_training_records_to_the_last_count(lung: Done) -> None:
    ends = np.concatenate([one.training.labels for one in parts_of(lung)])
    sex = np.concatenate([one.training.columns["sex"] for one in parts_of(lung)])
    everybody, *curves = results_of(lung)["curves"]
    for curve, rows in zip((everybody, *curves), (sex >= 0, sex == 0, sex == 1), strict=True):
        table = LifeTable.of(ends[rows, 1], ends[rows, 0] == 1, tuple(everybody["times"]))
        assert curve["at_risk"] == table.at_risk.tolist()
        assert curve["events"] == table.events.tolist()
        assert curve["survival"] == table.survival.tolist()


def test_concordance_is_of_pairs_within_institutions(lung: Done) -> None:
    metrics = lung.summary.metrics
    assert 0.5 < metrics["concordance"].value < 0.8
    assert metrics["concordance"].error_bound == 0
    assert 0 < metrics["predicted_risk"].value < 1


def test_one_baseline_for_all_runs_encrypted_as_in_the_clear(tmp_path: Path) -> None:
    chosen: dict[str, Scalar] = {"cox.baseline": "pooled", "num-server-rounds": 2}
    clear = done(LUNG, tmp_path / "clear", chosen)
    sealed = done(LUNG, tmp_path / "sealed", {**chosen, "aggregation": "encrypted"})
    assert sealed.summary.model_digest == clear.summary.model_digest
    assert min(results_of(clear)["hazard"]["events"]) >= 10


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"dp.unit": "record", "dp.epsilon": 1.0}, "cox"),
        ({"rule.name": "coordinate-median"}, "Set rule.name to mean$"),
        ({"cox.group": "age"}, "cox.group must be a category of the schema"),
        ({"learner": "gradient"}, "learner must be auto or cox, got gradient"),
    ],
)
def test_what_it_cannot_do_is_refused_with_what_to_do(
    chosen: dict[str, Scalar], said: str, tmp_path: Path
) -> None:
    with pytest.raises(RunFailed, match=said):
        done(LUNG, tmp_path, {**chosen, "weighting": "equal"})


def test_a_policy_that_demands_privacy_refuses_it(lung: Done) -> None:
    place = lung.run.site("institution-1")
    site = Site(place, read_site_config(place), Charter.read(lung.run.charter), lung.config)
    asked = asked_of(lung.config, site.charter, site.task)
    told = {one.code: str(one) for one in violations(strict(site.charter), asked)}
    assert "learner=cox needs exact sums of single persons' values" in told["privacy-required"]
    assert "choose learner=describe, which counts a survival curve" in told["privacy-required"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_deployed_run_is_the_run_in_one_process(lung: Done, tmp_path: Path) -> None:
    scenario = scenario_named(LUNG)
    config = scenario.config_with({"aggregation": "encrypted"})
    run = new_run_directory(scenario, under=tmp_path, named=None)
    order = ScenarioRun(scenario=scenario, config=config, engine="deployment")
    assert run_scenario(order, run).model_digest == lung.summary.model_digest
