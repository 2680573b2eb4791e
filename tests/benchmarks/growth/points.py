"""One point of a curve: what is done at one size, in this process and no other.

`python -m tests.benchmarks.growth.points PROGRAM ARGUMENTS` prints one JSON object: by kind of work
its CPU seconds, user and system, and the most bytes that it made this process hold.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from consortium.config import Scalar
from consortium.site.person_sides import begin_sides, sides_of
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from sites.data.holdout import Mask, PersonRecords, Sides
from sites.data.source import TableFile
from sites.plans import ModelPlan, TrainingPlan
from sites.tasks.tabular.task import TabularTask
from tests.benchmarks.crowd import crowd_of_banks
from tests.benchmarks.growth import model_steps
from tests.benchmarks.growth.made_up_table import SCHEMA
from tests.benchmarks.growth.model_steps import Figures
from tests.benchmarks.peak import keep_peak

LIMIT_BYTES = 6_000_000_000  # of memory that a point may take
RECORDS = 25  # of each site of a crowd
BATCH_SIZE = 1_024  # of the training on a table
FEW_SITES = 4
OF_CROWD: Mapping[str, Scalar] = {"model": "logistic", "num-server-rounds": 1}

Point: TypeAlias = dict[str, Figures]


def cpu_s() -> float:
    """Return the CPU, user and system, of this process so far and of all that it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def sites(num_sites: int, aggregation: str, folder: Path) -> Point:
    """Measure a run of one round, staging left out, after a small one that loads all modules."""
    _run_of_crowd(FEW_SITES, aggregation, folder)
    return {aggregation: _run_of_crowd(num_sites, aggregation, folder)}


def _run_of_crowd(num_sites: int, aggregation: str, folder: Path) -> Figures:
    scenario, staged = (
        crowd_of_banks(num_sites, records=RECORDS, run_config=OF_CROWD),
        dict[str, float](),
    )

    def note_staged(_run: object) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
        staged.update(cpu_s=cpu_s(), held=_status_bytes("VmRSS"))

    order = ScenarioRun(
        scenario=scenario,
        config=scenario.config_with({"aggregation": aggregation}),
        on_staged=note_staged,
    )
    run_scenario(order, new_run_directory(scenario, under=folder, named=None))
    return {
        "cpu_s": cpu_s() - staged["cpu_s"],
        "peak_bytes": max(0, _status_bytes("VmHWM") - staged["held"]),
    }


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


class TimedSides:
    """Sides of persons that know how long they took to tell."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self.seconds = 0.0

    def held_out(self, records: PersonRecords) -> Mask:
        """Return which records are held out, and count the time."""
        began = time.process_time()
        mask = self._sides.held_out(records)
        self.seconds = time.process_time() - began
        return mask


def rows(small: Path, path: Path, folder: Path) -> Point:
    """Measure what a site does with a table: all until the update of a first round.

    Args:
        small: A small table, which is used before, so that all modules are loaded.
        path: The table.
        folder: An empty one, for what a site remembers.
    """
    _use_table(small, folder / "small")
    with keep_peak() as peak:
        seconds = _use_table(path, folder / "large")
    point: Point = {name: {"cpu_s": taken} for name, taken in seconds.items()}
    return {**point, "all": {"cpu_s": sum(seconds.values()), "peak_bytes": peak[0]}}


def _use_table(path: Path, folder: Path) -> Mapping[str, float]:
    folder.mkdir()
    begin_sides(folder)
    task = TabularTask(name="ward", schema=SCHEMA, model=ModelPlan(name="logistic"), seed=1)
    source = TableFile(path=path)
    sides = TimedSides(sides_of(folder, source, scenario_named("heart-diagnosis").config_with({})))
    taken: dict[str, float] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        taken[name] = time.process_time() - began

    with timed("read"):
        data = task.load(source, sides=sides)
    with timed("count"):
        pooled = task.statistics_of(data)
    with timed("train"):
        start = np.zeros(task.layout.dim)
        plan = TrainingPlan(batch_size=BATCH_SIZE)
        task.train(data, pooled, start, plan, rng=np.random.default_rng(1))
    return {**taken, "read": taken["read"] - sides.seconds, "divide": sides.seconds}


PROGRAMS: Mapping[str, Callable[..., Point]] = {
    "sites": lambda size, aggregation, folder: sites(int(size), aggregation, folder),
    "rows": lambda small, path, folder: rows(Path(small), Path(path), folder),
    "parameters": lambda step, dim, place, _folder: {
        step: model_steps.STEPS[step](int(dim), Path(place))
    },
}


def main() -> None:
    """Run the program that the arguments name, within the limit of memory; print its figures."""
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    name, *given = sys.argv[1:]
    out = os.dup(1)
    os.dup2(2, 1)  # TenSEAL prints from C++
    with tempfile.TemporaryDirectory() as folder:
        point: dict[str, Any] = PROGRAMS[name](*given, Path(folder))
    os.write(out, json.dumps(point).encode())


if __name__ == "__main__":
    main()
