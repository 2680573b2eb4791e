"""What the deployment engine costs, and how the in-process engine grows with the sites.

`python -m tests.benchmarks.deployment [--json]` from the root of the repository. Both apps of the
first part run one after the other on the same SuperLink over TLS, with the same sites, records,
model and training: ours, and a bare Flower app with FedAvg that imports and trains the same and
knows no policy, evidence, statistics exchange or evaluation. The second part runs crowds of sites,
in the clear and encrypted beside each other, the coordinator in a process of its own, so that
what it holds can be told from what they hold. Rounds of the five sites of `bank-credit`, encrypted,
are measured with masks and without.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from consortium.config import Scalar
from consortium.deployment.control_client import Control
from consortium.deployment.run_orders import RunOrder as Ordered
from consortium.run.directory import RunDirectory
from scenarios.engines.deployment import await_end, running_consortium, set_up_consortium
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from scenarios.scenario import Scenario
from tests.benchmarks.apart import Apart, run_apart
from tests.benchmarks.crowd import crowd_of_banks
from tests.benchmarks.deployed_rounds import masked_round_ratio
from tests.benchmarks.figures import options, print_figures
from tests.benchmarks.foreign_apps import (
    BARE_CLIENT,
    BARE_SERVER,
    UPDATE_MEGABYTES,
    foreign,
    over_a_thin_line,
)
from tests.benchmarks.growth.curves import exponent

ROUNDS = 3
BUDGET_S = 590.0  # the whole benchmark
OVERHEAD_TARGET = 0.15
RESUME_TARGET_S = 5.0
MASKED_TARGET = 1.15
EXPONENT_TARGET = 1.1
MEMORY_TARGET = 0.1  # what the other exponent may be above that of linear; 0 is constant
CROWDS = (10, 100, 500)
SMALL_CROWDS = (4, 8)
DIM = 100_000
RECORDS = 50  # of each site of a crowd
HIDDEN = 1_790  # of bank-credit's network: 100 k parameters, a little more


def deployed() -> dict[str, Any]:
    """Return seconds of each round of training on the deployment engine: ours, and bare.

    And `resume_s`: from the order to go on with a run whose ServerApp was killed, to the moment
    when its first message leaves.
    """
    base = scenario_named("heart-diagnosis")
    scenario = replace(base, sites=base.sites[:2])
    config = scenario.config_with({"num-server-rounds": ROUNDS})
    with tempfile.TemporaryDirectory() as folder:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        stage(run, scenario)
        sites = [run.site(name) for name in scenario.sites]
        set_up_consortium(run.path / "deployment", run.charter, sites)
        with running_consortium(run.path / "deployment" / "coordinator", sites) as control:
            number = control.submit_order(Ordered(run=run.path, config=config.flat()))
            await_end(control, run, number)
            lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
            ours = [line["seconds"] for line in lines if 1 <= line["server_round"] <= ROUNDS]
            resumed = _resumed(control, run, config.flat())
            bare = _bare(control, sites, config.flat())
    return {"ours": ours, "bare": bare, "resume_s": resumed}


def _resumed(control: Control, whole: RunDirectory, config: Mapping[str, Scalar]) -> float:
    """Kill the ServerApp of a second run in its first round; return how long going on takes."""
    run = RunDirectory(whole.path / "second")
    run.path.mkdir()
    shutil.copy(whole.charter, run.charter)
    control.submit_order(Ordered(run=run.path, config=config))
    _await_text(run, '"event": "round-started", "server_round": 1')
    for process in control.superlink.mark.marked_processes():
        if "flwr-serverapp" in " ".join(process.cmdline()):
            process.kill()
    while control.active_runs():
        time.sleep(1)
    began = time.monotonic()
    control.submit_order(Ordered(run=run.path, config=config))
    _await_text(run, '"event": "run-resumed"')  # what comes next is the first message
    seconds = time.monotonic() - began
    for number in control.active_runs():
        control.stop_run(number)
    return seconds


def _await_text(run: RunDirectory, text: str) -> None:
    until = time.monotonic() + BUDGET_S
    while not run.events.exists() or text not in run.events.read_text():
        if time.monotonic() > until:
            raise TimeoutError(text)
        time.sleep(0.02)


def _bare(control: Control, sites: list[Path], config: Mapping[str, Scalar]) -> list[float]:
    """Run the bare app where ours ran."""
    server = BARE_SERVER.replace("ROUNDS", str(ROUNDS))
    seconds: list[float] = foreign(control, sites, BARE_CLIENT, server, config)
    return seconds


def crowd(num_sites: int, aggregation: str) -> Scenario:
    """Return bank-credit with so many sites, each of as many borrowers."""
    config: dict[str, Scalar] = {
        "model": "mlp",
        "hidden-units": HIDDEN,
        "num-server-rounds": 1,
        "batch-size": 4_096,
        "min-local-steps": 0,
        "aggregation": aggregation,
    }
    return crowd_of_banks(num_sites, records=RECORDS, run_config=config)


def alone(what: str, *given: str, until: float) -> Any:
    """Return one figure of a fresh process; or what kept it from one, as text."""
    command = [sys.executable, "-m", "tests.benchmarks.deployment", "--alone", what, *given]
    left = max(1.0, until - time.monotonic())
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=left)
    except subprocess.TimeoutExpired:
        return f"not within the {BUDGET_S:.0f} s of the whole benchmark"
    if told.returncode:
        return told.stderr.strip().splitlines()[-1][:200]
    return json.loads(told.stdout.splitlines()[-1])


def grown(
    crowds: Sequence[int], aggregation: str, *, until: float
) -> tuple[dict[int, Apart], dict[int, str]]:
    """Return the figures of a run by its number of sites; and why others have none.

    A crowd that would not end in time, going by the one before it, is not begun.
    """
    figures: dict[int, Apart] = {}
    untold: dict[int, str] = {}
    for n in crowds:
        fewer = max(figures, default=0)
        likely = figures[fewer]["seconds"] * n / fewer if fewer else 0.0
        if likely > until - time.monotonic():
            untold[n] = (
                f"not begun: some {likely:.0f} s, {max(until - time.monotonic(), 0):.0f} left"
            )
            continue
        told = alone("crowd", str(n), aggregation, until=until)
        if isinstance(told, dict):
            figures[n] = Apart(seconds=told["seconds"], coordinator_bytes=told["coordinator_bytes"])
        else:
            untold[n] = told
    return figures, untold


def _overhead(told: Mapping[str, Any]) -> float | None:
    if not told:
        return None
    ours, bare = statistics.median(told["ours"]), statistics.median(told["bare"])
    return float(ours / bare - 1)


def report(*, with_deployment: bool, crowds: Sequence[int] = CROWDS) -> dict[str, object]:
    """Return all figures, and the targets that were missed, a figure that is lacking included.

    Guarantee: ends within about `BUDGET_S`.
    """
    began = time.monotonic()
    until = began + BUDGET_S
    found_: dict[str, object] = {"benchmark": "deployment", "parameters": DIM}
    held: list[tuple[str, float | None, float]] = []
    if with_deployment:
        told = alone("deployed", until=until)
        found_["deployed"] = told
        figures = told if isinstance(told, dict) else {}
        held.append(("round_overhead", _overhead(figures), OVERHEAD_TARGET))
        held.append(("resume_s", figures.get("resume_s"), RESUME_TARGET_S))
        found_["masks"] = masked = alone("masks", until=until)
        ratio = masked.get("masked_round_ratio") if isinstance(masked, dict) else None
        held.append(("masked_round_ratio", ratio, MASKED_TARGET))
    if with_deployment:
        found_["thin_line"] = came = alone("line", str(UPDATE_MEGABYTES), until=until)
        whole = isinstance(came, dict) and bool(came["whole"])
        held.append(("thin_line_broken_updates", 0.0 if whole else None, 0.0))
    ways = ("clear", "encrypted")
    with ThreadPoolExecutor(len(ways)) as beside:  # one core each: there is no time for more
        came_of = beside.map(lambda way: grown(crowds, way, until=until), ways)
        by_way = dict(zip(ways, came_of, strict=True))
    for aggregation, (figures, untold) in by_way.items():
        found_[f"crowd_{aggregation}"] = {**figures, **untold}
        seconds = {n: figure["seconds"] for n, figure in figures.items()}
        taken = {n: float(figure["coordinator_bytes"]) for n, figure in figures.items()}
        held.append((f"exponent_{aggregation}", exponent(seconds), EXPONENT_TARGET))
        held.append((f"memory_exponent_{aggregation}", exponent(taken), MEMORY_TARGET))
        held += [(f"crowd_{aggregation}_{n}_sites", None, until - began) for n in untold]
    return {
        **found_,
        **{name: figure if figure is None else round(figure, 3) for name, figure, _ in held},
        "missed": [
            {"what": name, "figure": figure, "target": target}
            for name, figure, target in held
            if figure is None or figure > target
        ],
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--in-process-only", action="store_true", help="no deployed rounds")
    parser.add_argument("--small", action="store_true", help="small crowds, to try it out")
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    match chosen.alone:
        case ["crowd", sites, aggregation]:
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(run_apart(crowd(int(sites), aggregation), Path(folder))))
            return
        case ["deployed"]:
            print(json.dumps(deployed()))
            return
        case ["masks"]:
            print(json.dumps(masked_round_ratio()))
            return
        case ["line", megabytes]:
            print(json.dumps(over_a_thin_line(int(megabytes))))
            return
    crowds = SMALL_CROWDS if chosen.small else CROWDS
    print_figures(
        report(with_deployment=not chosen.in_process_only, crowds=crowds), as_json=chosen.json
    )


if __name__ == "__main__":
    main()
