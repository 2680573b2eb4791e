"""What is measured in either tree: a program of its own, which finds the names of that tree.

It is run by its path, with a tree in front of the modules that Python finds. It imports nothing of
the tree that holds it. Every program prints one JSON object of figures.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

ROUNDS = 20  # of bank-credit
SITES = 10  # that share 100 k parameters
CROWD = 500
MEMORY_CROWDS = (20, 120)
RECORDS = 50  # of each site of a crowd
HIDDEN_OF_100K = 1_790  # of bank-credit's network: so many parameters, a few more
HIDDEN_OF_10K = 178

# Where each name is, the newest first: commit 8f20355 had other modules and other verbs.
PLACES = {
    "run": ("scenarios.engines.runner:run_scenario", "scenarios.runner:carry_out"),
    "order": ("scenarios.engines.runner:ScenarioRun", "scenarios.runner:Order"),
    "directory": (
        "scenarios.engines.staging:new_run_directory",
        "scenarios.staging:new_run_directory",
    ),
    "scenario": ("scenarios.library.registry:scenario_named", "scenarios.catalogue:scenario_named"),
    "command": ("scenarios.cli.main:main", "scenarios.cli:main"),
}
CONFIGURE = ("config_with", "configured")
STAGED = ("on_staged", "ready")


def tree() -> Path:
    """Return the root of the tree that is measured: whoever starts this puts it first, alone."""
    return Path(os.environ["PYTHONPATH"])


def place_of(name: str) -> str:
    """Return the module and the name, as `module:name`, by which this tree has a thing.

    Raises:
        SystemExit: It has it by no name that is known here.
    """
    for place in PLACES[name]:
        # An environment that is shared may lead to the modules of another tree: files tell.
        module = place.split(":")[0].replace(".", "/")
        if (tree() / f"{module}.py").exists():
            return place
    raise SystemExit(f"{tree()} has none of {', '.join(PLACES[name])}: add what it is called here")


def named(name: str) -> Any:
    """Return a thing of this tree."""
    module, attribute = place_of(name).split(":")
    return getattr(import_module(module), attribute)


def attribute_of(thing: Any, names: tuple[str, ...]) -> str:
    """Return the first of these names that a thing has."""
    return next(name for name in names if hasattr(thing, name))


def cpu_s() -> float:
    """Return the CPU, user and system, of this process so far and of all that it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@dataclass(frozen=True)
class Spent:
    """What a run took.

    Args:
        wall_s: Seconds by the clock, as its summary says.
        cpu_s: Of CPU, staging included.
        staged_cpu_s: Of CPU, from when all was staged.
    """

    wall_s: float
    cpu_s: float
    staged_cpu_s: float


def run_of(scenario: Any, config: Mapping[str, object], folder: Path) -> Spent:
    """Carry out a run in this process."""
    began = cpu_s()
    staged: list[float] = []

    def note_staged(_run: object) -> None:
        staged.append(cpu_s())
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now

    order = named("order")
    given = {
        "scenario": scenario,
        "config": getattr(scenario, attribute_of(scenario, CONFIGURE))(config),
        attribute_of(order, STAGED): note_staged,
    }
    summary = named("run")(order(**given), named("directory")(scenario, under=folder, named=None))
    ended = cpu_s()
    return Spent(summary.seconds, ended - began, ended - staged[0])


def crowd(num_sites: int, hidden_units: int) -> Any:
    """Return bank-credit with so many sites, each of as many borrowers."""
    base = named("scenario")("bank-credit")
    names = tuple(f"site-{index:03}" for index in range(num_sites))
    person = base.table.person

    def site_of_row(frame: Any) -> Any:
        number = frame[person].rank(method="dense").astype(int) // RECORDS
        return number.map(dict(enumerate(names)))

    config = {"model": "mlp", "hidden-units": hidden_units, "batch-size": 4_096}
    # A round of commit 8f20355 was one step at such a site; it knows no floor.
    known = import_module("consortium.config").KEYS
    config |= {key: value for key, value in {"min-local-steps": 1}.items() if key in known}
    return replace(
        base, name="crowd", sites=names, faults={}, site_of_row=site_of_row, run_config=config
    )


def bank(aggregation: str, folder: Path) -> dict[str, float]:
    """Measure bank-credit: a process up to the end of its first run, its rounds, and the clock."""
    scenario = named("scenario")("bank-credit")

    def config(rounds: int) -> dict[str, object]:
        return {"aggregation": aggregation, "num-server-rounds": rounds}

    run_of(scenario, config(1), folder)
    first = cpu_s()  # with the start of Python, and all that was loaded for the run
    few, many = run_of(scenario, config(1), folder), run_of(scenario, config(ROUNDS), folder)
    a_round = (many.cpu_s - few.cpu_s) / (ROUNDS - 1)
    return {
        f"fixed_{aggregation}_s": first - a_round,
        f"fixed_of_a_later_run_{aggregation}_s": few.cpu_s - a_round,
        f"round_{aggregation}_s": a_round,
        f"wall_{aggregation}_s": many.wall_s,
    }


def sites(aggregation: str, folder: Path) -> dict[str, float]:
    """Measure what a site and round take: the difference of a longer run and a shorter one."""
    scenario = crowd(SITES, HIDDEN_OF_100K)
    few, many = 2, {"clear": 12, "encrypted": 6}[aggregation]

    def cpu_of(rounds: int) -> float:
        config = {"aggregation": aggregation, "num-server-rounds": rounds}
        return run_of(scenario, config, folder).cpu_s

    cpu_of(1)
    milliseconds = 1000 * (cpu_of(many) - cpu_of(few)) / ((many - few) * SITES)
    return {f"site_round_{aggregation}_ms": milliseconds}


def many_sites(aggregation: str, folder: Path) -> dict[str, float]:
    """Measure one round of many sites, staging left out."""
    config = {"aggregation": aggregation, "num-server-rounds": 1}
    spent = run_of(crowd(CROWD, HIDDEN_OF_100K), config, folder)
    return {f"crowd_{aggregation}_s": spent.staged_cpu_s}


def memory(aggregation: str, _folder: Path) -> dict[str, float]:
    """Measure what one more site adds to the peak of a process."""
    few, many = MEMORY_CROWDS
    added = peak_of(aggregation, many) - peak_of(aggregation, few)
    return {f"site_memory_{aggregation}_mb": added / (many - few)}


def peak_of(aggregation: str, num_sites: int) -> float:
    """Return the peak of a fresh process that runs so many sites, in megabytes."""
    command = [sys.executable, "-P", __file__, "peak", aggregation, str(num_sites)]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(told.stdout.splitlines()[-1])["peak_mb"])


def peak(aggregation: str, num_sites: int, folder: Path) -> dict[str, float]:
    """Run two rounds of a crowd; return the peak of this process since all was staged."""
    config = {"aggregation": aggregation, "num-server-rounds": 2}
    run_of(crowd(num_sites, HIDDEN_OF_10K), config, folder)
    status = Path("/proc/self/status").read_text()
    return {"peak_mb": int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) * 1024 / 1e6}


def gate(_folder: Path) -> dict[str, float]:
    """Measure what gate and audit log take of a megabyte, by this tree's own benchmark."""
    evidence = import_module("tests.benchmarks.evidence")
    small, large = (evidence.message_cost(size) for size in (evidence.SMALL, evidence.LARGE))
    added = (large.cpu_ms - small.cpu_ms) / (large.megabytes - small.megabytes)
    return {"gate_ms_per_mb": added}


def demo(folder: Path) -> dict[str, float]:
    """Measure the command of `make demo`, as this tree's Makefile has it."""
    module, function = place_of("command").split(":")
    makefile = (tree() / "Makefile").read_text()
    told = re.search(r"(?m)^demo:.*\n\t\$\(BIN\)/scenario (.*)$", makefile)
    if told is None:
        raise SystemExit("the Makefile of this tree shows no command of `scenario` for `demo`")
    code = f"from {module} import {function}; {function}()"
    began = cpu_s()
    command = [sys.executable, "-P", "-c", code, *told[1].split()]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return {"demo_s": cpu_s() - began}


PROGRAMS: Mapping[str, Callable[..., dict[str, float]]] = {
    "bank": bank,
    "sites": sites,
    "crowd": many_sites,
    "memory": memory,
    "gate": gate,
    "demo": demo,
}


def main() -> None:
    """Run the program that the arguments name, in an empty folder; print its figures."""
    name, *given = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        if name == "peak":
            figures = peak(given[0], int(given[1]), Path(folder))
        else:
            figures = PROGRAMS[name](*given, Path(folder))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
