"""What the deployment engine costs, and how the in-process engine grows with the sites.

`python -m tests.benchmarks.deployment [--json]` from the root of the repository. Both apps of the
first part run one after the other on the same SuperLink over TLS, with the same sites, records,
model and training: ours, and a bare Flower app with FedAvg that imports and trains the same and
knows no policy, evidence, statistics exchange or evaluation. The second part runs crowds of sites
in fresh processes; memory is that of the coordinator's part alone, fed by sites that learn nothing.
"""

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from flwr.app import Context, Message

from consortium.bundle import toml
from consortium.config import KEYS, Scalar
from consortium.control import Control
from consortium.orders import Order as Ordered
from consortium.processes import program
from privacy import messages
from privacy.layout import Field, Layout
from scenarios.catalogue import scenario_named
from scenarios.deployment import await_end, found, running
from scenarios.engine import InProcessGrid
from scenarios.runner import Order, carry_out
from scenarios.scenario import Scenario
from scenarios.staging import new_run_directory, stage
from tests.small_site import MEAN, TERMS, Outcome, cohort_of, strategy_of

ROUNDS = 3
OVERHEAD_TARGET = 0.15
EXPONENT_TARGET = 1.1
MEMORY_TARGET = 1.5  # what the engine itself knows of each site is in it
CROWDS = (10, 100, 500)
DIM = 100_000
RECORDS = 50  # of each site of a crowd
HIDDEN = 1_790  # of bank-credit's network: 100 k parameters, a little more

BARE_CLIENT = """
import numpy as np
import torch
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from consortium.site import site_of

torch.set_num_threads(1)
app = ClientApp()


@app.train()
def train(message, context):
    site = site_of(context)
    statistics = site.task.statistics_of(site.data)
    (vector,) = message.content["arrays"].to_numpy_ndarrays()
    start = np.zeros(site.task.layout.dim) if vector.size == 1 else vector.astype(float)
    site.task.evaluate(site.data, statistics, start)
    trained = site.task.train(site.data, statistics, start, site.plan, rng=site.rng(1))
    content = {
        "arrays": ArrayRecord([np.asarray(start + trained.update, np.float32)]),
        "metrics": MetricRecord({"num-examples": trained.num_examples}),
    }
    return Message(RecordDict(content), reply_to=message)
"""
BARE_SERVER = """
import json, os, time
import numpy as np
from flwr.app import ArrayRecord
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


class Timed(FedAvg):
    began, seconds = 0.0, []

    def configure_train(self, *given):
        Timed.began = time.monotonic()
        return super().configure_train(*given)

    def aggregate_train(self, *given):
        made = super().aggregate_train(*given)
        Timed.seconds.append(time.monotonic() - Timed.began)
        return made


@app.main()
def main(grid, context):
    strategy = Timed(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2)
    strategy.start(
        grid=grid, initial_arrays=ArrayRecord([np.zeros(1, np.float32)]), num_rounds=ROUNDS
    )
    path = os.path.join(os.environ["CONSORTIUM_COORDINATOR_DIR"], "bare.json")
    with open(path, "w") as file:
        json.dump(Timed.seconds, file)
"""


def rounds_deployed() -> tuple[list[float], list[float]]:
    """Return seconds of each round of training on the deployment engine: ours, and bare."""
    base = scenario_named("heart-diagnosis")
    scenario = replace(base, sites=base.sites[:2])
    config = scenario.configured({"num-server-rounds": ROUNDS})
    with tempfile.TemporaryDirectory() as folder:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        stage(run, scenario)
        sites = [run.site(name) for name in scenario.sites]
        found(run.path / "deployment", run.charter, sites)
        with running(run.path / "deployment" / "coordinator", sites) as control:
            number = control.submit(Ordered(run=run.path, config=config.flat()))
            await_end(control, run, number)
            lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
            ours = [line["seconds"] for line in lines if 1 <= line["server_round"] <= ROUNDS]
            bare = _bare(control, sites, config.flat())
    return ours, bare


def _bare(control: Control, sites: list[Path], config: Mapping[str, Scalar]) -> list[float]:
    """Run the bare app where ours ran, with Flower's own programs in the place of the gate."""
    coordinator = control.superlink.directory
    for folder, name in [
        (coordinator, "flwr-serverapp"),
        *((site, "flwr-clientapp") for site in sites),
    ]:
        started = folder / "flower" / "programs" / name
        started.write_text(f"#!/bin/sh\nexec '{program(name)}' \"$@\"\n")
    app = coordinator / "app"
    shutil.rmtree(app)
    (app / "bare").mkdir(parents=True)
    (app / "bare" / "__init__.py").touch()
    (app / "bare" / "client_app.py").write_text(BARE_CLIENT)
    (app / "bare" / "server_app.py").write_text(BARE_SERVER.replace("ROUNDS", str(ROUNDS)))
    (app / "pyproject.toml").write_text(
        '[project]\nname = "bare"\nversion = "1.0.0"\n\n[tool.flwr.app]\npublisher = "bare"\n'
        'fab-include = ["bare/**/*.py"]\n\n[tool.flwr.app.components]\n'
        'serverapp = "bare.server_app:app"\nclientapp = "bare.client_app:app"\n\n'
        f"[tool.flwr.app.config]\n{toml(KEYS)}"
    )
    number = control.begin(config)
    told = coordinator / "bare.json"
    while not control.status_of(number).startswith("finished"):
        time.sleep(2)
    seconds: list[float] = json.loads(told.read_text())
    return seconds


def crowd(num_sites: int, aggregation: str) -> Scenario:
    """Return bank-credit with so many sites, each of as many borrowers."""
    base = scenario_named("bank-credit")
    names = tuple(f"site-{index:03}" for index in range(num_sites))
    person = base.table.person
    return replace(
        base,
        name="crowd",
        sites=names,
        faults={},
        site_of_row=lambda frame: (frame[person].rank(method="dense").astype(int) // RECORDS).map(
            dict(enumerate(names))
        ),
        run_config={
            "model": "mlp",
            "hidden-units": HIDDEN,
            "num-server-rounds": 1,
            "batch-size": 4_096,
            "aggregation": aggregation,
            "buckets": max(1, num_sites // 50) if aggregation == "encrypted" else 1,
        },
    )


def engine_seconds(num_sites: int, aggregation: str) -> dict[str, float]:
    """Return wall seconds of one in-process run, and bytes its process held at most."""
    scenario = crowd(num_sites, aggregation)
    with tempfile.TemporaryDirectory() as folder:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        done = carry_out(Order(scenario=scenario, config=scenario.configured({})), run)
    return {"seconds": done.seconds, "dim": done.dim}


def coordinator_bytes(num_sites: int) -> float:
    """Return what a run in the clear makes a process hold that has stand-ins for its sites."""
    layout = Layout(fields=(Field("w", (DIM,)),))
    names = tuple(f"site-{index:03}" for index in range(num_sites))
    counts = np.ones(1, np.int64)

    def site(index: int) -> Any:
        def app(message: Message, _context: Context) -> Message:
            kind, record = message.metadata.message_type, message.content
            if kind == messages.HELLO:
                charter, _ = messages.read_greeting(record)
                said = messages.Introduction(
                    site=names[index], charter=charter, layout=layout, num_examples=8
                )
                return Message(messages.introduction(said), reply_to=message)
            if kind == messages.TRAIN:
                update = np.random.default_rng(index).standard_normal(DIM, np.float32)
                sent = messages.Contribution(
                    update=update, num_examples=8, tally=counts, released=True
                )
                return Message(messages.contribution(sent), reply_to=message)
            told = messages.Counts(tally=counts, released=True)
            return Message(messages.counts(told), reply_to=message)

        return app

    grid = InProcessGrid({index: site(index) for index in range(num_sites)}, num_sites, {})
    terms = replace(TERMS, statistics_size=1, evaluation_size=1, max_examples=8)
    strategy = strategy_of(Outcome(), cohort=cohort_of(names), gather=MEAN, terms=terms)
    before = psutil.Process().memory_info().rss
    Path("/proc/self/clear_refs").write_text("5")
    strategy.start(grid, 2)
    status = Path("/proc/self/status").read_text()
    high = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(high.split()[1]) * 1024 - before


def alone(what: str, *given: str) -> Any:
    """Return one figure of a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.deployment", "--alone", what, *given]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        return {"refused": told.stderr.strip().splitlines()[-1][:200]}
    return json.loads(told.stdout.splitlines()[-1])


def exponent(seconds: Mapping[int, float]) -> float:
    """Return the power of the number of sites by which time grows, least squares."""
    x = [math.log(sites) for sites in seconds]
    y = [math.log(one) for one in seconds.values()]
    return statistics.linear_regression(x, y).slope


def report(*, deployed: bool) -> dict[str, object]:
    """Return all figures, and the targets that were missed."""
    began = time.monotonic()
    found_: dict[str, object] = {"benchmark": "deployment", "parameters": DIM}
    held: list[tuple[str, float, float]] = []
    if deployed:
        ours, bare = rounds_deployed()
        overhead = statistics.median(ours) / statistics.median(bare) - 1
        found_["round_seconds"] = {"ours": ours, "bare": bare}
        held.append(("round_overhead", overhead, OVERHEAD_TARGET))
    for aggregation in ("clear", "encrypted"):
        figures = {sites: alone("engine", str(sites), aggregation) for sites in CROWDS}
        found_[f"engine_{aggregation}"] = figures
        seconds = {n: one["seconds"] for n, one in figures.items() if "seconds" in one}
        if len(seconds) > 1:
            held.append((f"exponent_{aggregation}", exponent(seconds), EXPONENT_TARGET))
    memory = {sites: alone("coordinator", str(sites)) for sites in CROWDS}
    found_["coordinator_bytes"] = memory
    held.append(("memory_500_over_10_sites", memory[500] / memory[10], MEMORY_TARGET))
    return {
        **found_,
        **{name: round(figure, 3) for name, figure, _ in held},
        "missed": [
            {"what": name, "figure": figure, "target": target}
            for name, figure, target in held
            if figure > target
        ],
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--in-process-only", action="store_true", help="no deployed rounds")
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    match chosen.alone:
        case ["engine", sites, aggregation]:
            print(json.dumps(engine_seconds(int(sites), aggregation)))
            return
        case ["coordinator", sites]:
            print(json.dumps(coordinator_bytes(int(sites))))
            return
    found_ = report(deployed=not chosen.in_process_only)
    if chosen.json:
        print(json.dumps(found_, indent=1))
        return
    for name, figure in found_.items():
        print(f"{name:30} {figure}")


if __name__ == "__main__":
    main()
