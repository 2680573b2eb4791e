"""Trials at work in processes of their own, of which one dies."""

import os
from pathlib import Path

import pytest

from consortium.run.directory import RunDirectory
from scenarios.engines.runner import ScenarioRun
from scenarios.library.registry import scenario_named
from scenarios.sweep.crew import DIED, Crew
from scenarios.sweep.trial import Reached, Rise, Trial

HEART = scenario_named("heart-diagnosis")


def dying(way: Rise) -> Reached:
    """Die as the second trial, as the system ends a process that takes too much memory."""
    if way.trial.number == 2:
        os._exit(9)
    return Reached(number=way.trial.number, value=1.0)


@pytest.mark.slow
def test_a_process_that_dies_ends_its_own_trial_only(tmp_path: Path) -> None:
    order = ScenarioRun(scenario=HEART, config=HEART.config_with({}))
    ways = [
        Rise(
            trial=Trial(number=one, settings={}, order=order, run=RunDirectory(tmp_path)),
            rounds=1,
            ends=False,
        )
        for one in (1, 2, 3)
    ]
    crew = Crew(1, act=dying)
    try:
        found = crew.all_risen(ways)
    finally:
        crew.close()
    assert [one.failed for one in found] == ["", DIED, ""]
    assert [one.number for one in found] == [1, 2, 3]
