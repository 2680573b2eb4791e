"""One local step of all records is the average of gradients: a round is a step on all records."""

from pathlib import Path

import numpy as np

from consortium.config import Scalar
from consortium.model.files import read_model
from consortium.site.site import records_of
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library import heart_diagnosis

FEDSGD: dict[str, Scalar] = {
    "rule.name": "mean",
    "weighting": "examples",
    "local-optimizer": "sgd",
    "local-epochs": 1,
    "min-local-steps": 0,
    "batch-size": 100_000,
    "num-server-rounds": 1,
    "learning-rate": 0.3,
}


def test_a_round_of_one_step_is_a_step_on_the_records_of_all_sites(tmp_path: Path) -> None:
    """To 1e-6, weighted by records; docs/text.md calls it the average of gradients."""
    scenario = heart_diagnosis.SCENARIO
    run = new_run_directory(scenario, under=tmp_path, named=None)
    config = scenario.config_with(FEDSGD)
    run_scenario(ScenarioRun(scenario=scenario, config=config), run)
    shared = read_model(run.model)
    task = shared.task
    data = task.pool([records_of(task, run.site(name), config) for name in scenario.sites])
    start, rng = np.zeros(task.layout.dim), np.random.default_rng(1)
    pooled = task.train(data, shared.statistics, start, config.training, rng=rng)
    assert pooled.steps == 1
    assert np.abs(pooled.update).max() > 0.01
    np.testing.assert_allclose(shared.vector, pooled.update, atol=1e-6)
