"""A proxy is for the network: what a machine asks itself does not go there."""

from dataclasses import replace
from pathlib import Path

import pytest

from consortium.deployment.processes import end_processes
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supernode import SuperNode
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.heart_diagnosis import SCENARIO
from tests.files.refusals import refusal

HEART = replace(SCENARIO, sites=("cleveland", "hungary"))
PROXY = "http://127.0.0.1:9"  # where nobody listens


@pytest.mark.slow
def test_a_deployment_on_this_machine_runs_beside_a_proxy_or_says_that_it_is_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it does not run, it names the proxy and what to set so that it is not asked."""
    for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", PROXY)
    run = new_run_directory(HEART, under=tmp_path, named=None)
    config = HEART.config_with({"num-server-rounds": 1})
    order = ScenarioRun(scenario=HEART, config=config, engine="deployment")
    coordinator = SuperLink(run.path / "deployment" / "coordinator")
    marks = [coordinator.mark, *(SuperNode(run.site(name)).mark for name in HEART.sites)]
    try:
        error = refusal(lambda: run_scenario(order, run))
    finally:
        end_processes([process for mark in marks for process in mark.marked_processes()])
    assert error is None or (PROXY in str(error) and "no_proxy" in str(error))
