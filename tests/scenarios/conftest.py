"""Runs that several tests share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from consortium.config import RunConfig, Scalar
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from scenarios.scenario import Scenario
from tests.small_consortium import Consortium, Course, rehearsed


@dataclass(frozen=True)
class Done:
    """A finished run."""

    scenario: Scenario
    config: RunConfig
    run: RunDirectory
    summary: Summary


def done(name: str, folder: Path, chosen: Mapping[str, Scalar]) -> Done:
    """Run a scenario in process."""
    scenario = scenario_named(name)
    config = scenario.config_with(chosen)
    run = new_run_directory(scenario, under=folder, named=None)
    return Done(
        scenario, config, run, run_scenario(ScenarioRun(scenario=scenario, config=config), run)
    )


@pytest.fixture(scope="session")
def heart(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Four hospitals, three rounds, in the clear."""
    return done("heart-diagnosis", tmp_path_factory.mktemp("heart"), {"num-server-rounds": 3})


@pytest.fixture(scope="session")
def sealed_heart(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The same run, encrypted."""
    chosen: dict[str, Scalar] = {"num-server-rounds": 3, "aggregation": "encrypted"}
    return done("heart-diagnosis", tmp_path_factory.mktemp("sealed"), chosen)


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Consortium, Course]:
    """A small encrypted run of three rounds in which nobody lied, with every moment of it."""
    return rehearsed(tmp_path_factory.mktemp("honest"))
