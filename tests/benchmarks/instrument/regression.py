"""A regression with inference beside training: CPU of encrypted runs on `bank-credit`, five sites.

Runs of eight exchanges and of twenty rounds of the default model alternate in one process, after
one of each that warms up; medians of CPU time, user and system, of all parties are compared. An
exchange is the mean of those from the second to the fifth, in which all sites count.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consortium.config import Scalar
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from tests.benchmarks.encrypted_rounds import timed_rounds

REPEATS = 3
EXCHANGE_TARGET = 0.08  # seconds
RUN_TARGET = 0.6  # of the run of twenty rounds
ROUNDS_TARGET = 0.25  # of its rounds
COUNTED: Mapping[str, Scalar] = {"aggregation": "encrypted", "learner": "glm"}
TRAINED: Mapping[str, Scalar] = {"aggregation": "encrypted"}


@dataclass(frozen=True)
class Spent:
    """CPU seconds of a run.

    Args:
        whole: From its start to its end.
        rounds: Of its rounds, from the first question to the one that ends the run.
        each: Of a round, the mean from the second to the fifth.
    """

    whole: float
    rounds: float
    each: float


def spent_on(chosen: Mapping[str, Scalar], folder: Path) -> Spent:
    """Return what one run takes in process."""
    scenario = scenario_named("bank-credit")
    config = scenario.config_with(chosen)
    run = new_run_directory(scenario, under=folder, named=None)
    began = time.process_time()
    with timed_rounds() as times:
        run_scenario(ScenarioRun(scenario=scenario, config=config), run)
    at = [moment for moment, _ in times.began]
    return Spent(
        whole=time.process_time() - began,
        rounds=at[config.num_server_rounds + 1] - at[1],
        each=(at[6] - at[2]) / 4,
    )


def measured() -> dict[str, Any]:
    """Return CPU times and their ratios, and which targets were missed."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for warming in (TRAINED, COUNTED):
            spent_on(warming, place)
        turns = [(spent_on(COUNTED, place), spent_on(TRAINED, place)) for _ in range(REPEATS)]
    figures = {
        "exchange_s": (statistics.median(one.each for one, _ in turns), EXCHANGE_TARGET),
        "run_ratio": (statistics.median(a.whole / b.whole for a, b in turns), RUN_TARGET),
        "rounds_ratio": (statistics.median(a.rounds / b.rounds for a, b in turns), ROUNDS_TARGET),
    }
    return {
        "run_s": statistics.median(one.whole for one, _ in turns),
        **{name: figure for name, (figure, _) in figures.items()},
        "missed": [
            {"what": name, "figure": figure, "target": target}
            for name, (figure, target) in figures.items()
            if figure > target
        ],
    }
