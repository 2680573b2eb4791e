"""What a round costs beyond the training, and what the coordinator holds in the clear.

`python -m tests.benchmarks.orchestration [--json]` from the root of the repository. Overhead is
the wall time of a run in process less the time spent in the task's own training and evaluation.
Memory is that of a fresh process that takes a round of replies, beyond what it held before; the
baseline is Flower's FedAvg on the same replies in the same run.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg

from consortium.charter.document import Floors
from privacy.layout import Field, Layout
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from scenarios.scenario import Scenario
from sites.tasks.tabular.task import TabularTask
from strategies.coordinator.messaging.reply_validation import checked_contribution
from strategies.rules.mean import StreamingMean
from tests.benchmarks.figures import options, print_figures
from tests.benchmarks.peak import keep_peak

ROUNDS = 5
OVERHEAD_TARGET_MS = 10.0
DIM = 10_000_000
MEMORY_TARGET = 1.5
AGREEMENT_TARGET = 1e-6
SAMPLED = 10_000  # numbers of the result that are compared, all along it
TALLY = np.zeros(1, np.int64)


def crowd(num_sites: int) -> Scenario:
    """Return heart-diagnosis with its patients dealt out to so many sites."""
    base = scenario_named("heart-diagnosis")
    names = tuple(f"site-{index:03}" for index in range(num_sites))
    return Scenario(
        name="crowd",
        title="A crowd of small sites",
        story="",
        task=base.task,
        table=base.table,
        dataset=base.dataset,
        site_of_row=lambda frame: frame["patient"].mod(num_sites).map(dict(enumerate(names))),
        sites=names,
        run_config={**base.run_config, "num-server-rounds": ROUNDS},
        floors=Floors(),
    )


def overhead_ms(num_sites: int) -> float:
    """Return the milliseconds a site and round cost beyond training and evaluation."""
    scenario = crowd(num_sites)
    learning = [0.0]
    with tempfile.TemporaryDirectory() as folder, _timed(learning):
        run = new_run_directory(scenario, under=Path(folder), named=None)
        order = ScenarioRun(scenario=scenario, config=scenario.config_with({}))
        run_scenario(order, run)
        lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    rounds = sum(line["seconds"] for line in lines)
    return float(1000 * (rounds - learning[0]) / (num_sites * len(lines)))


@contextmanager
def _timed(learning: list[float]) -> Iterator[None]:
    """Add up the time spent in the task's own training and evaluation."""

    def around(name: str) -> object:
        inner = getattr(TabularTask, name)

        def timed(*given: object, **named: object) -> object:
            began = time.monotonic()
            try:
                return inner(*given, **named)
            finally:
                learning[0] += time.monotonic() - began

        return timed

    with (
        mock.patch.object(TabularTask, "train", around("train")),
        mock.patch.object(TabularTask, "evaluate", around("evaluate")),
    ):
        yield


def update(site: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return the update of a site, the same every time."""
    return np.random.default_rng(site).standard_normal(DIM, np.float32)


def ours(num_sites: int) -> StreamingMean:
    """Take a round of replies as `Synchronous` does with the mean: one at a time."""
    layout, mean = Layout(fields=(Field("w", (DIM,)),)), StreamingMean(DIM)
    for site in range(num_sites):
        content = messages.contribution(
            messages.Contribution(update=update(site), num_examples=8, tally=TALLY, released=True)
        )
        reply = Message(content, reply_to=Message(RecordDict(), site + 1, "train"))
        del content
        sent = checked_contribution(reply, layout=layout, tally_size=1, max_examples=8)
        mean.add(sent.update, 8.0)
        del sent, reply
    return mean


def theirs(num_sites: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Give the same replies to Flower's FedAvg: all at once, as it asks for them."""
    replies = [
        Message(
            RecordDict(
                {
                    "arrays": ArrayRecord([update(site)]),
                    "metrics": MetricRecord({"num-examples": 8}),
                }
            ),
            reply_to=Message(RecordDict(), site + 1, "train"),
        )
        for site in range(num_sites)
    ]
    arrays, _ = FedAvg().aggregate_train(1, replies)
    if arrays is None:
        raise SystemExit("Flower's FedAvg gave nothing")
    return next(iter(arrays.to_numpy_ndarrays()))


def measured(who: str, num_sites: int) -> dict[str, Any]:
    """Return peak bytes beyond the start, seconds, and a sample of what came out, of one way."""
    InProcessGrid({}, 0, {})  # a message needs Flower's process identity
    with keep_peak() as peak:
        began = time.process_time()
        result = ours(num_sites).result() if who == "ours" else theirs(num_sites)
        seconds = time.process_time() - began
    return {
        "bytes": peak[0],
        "seconds": seconds,
        "sample": result[:: DIM // SAMPLED].astype(np.float64).tolist(),
    }


def alone(who: str, num_sites: int) -> dict[str, Any]:
    """Return `measured` of a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.orchestration"]
    told = subprocess.run(
        [*command, "--round", who, str(num_sites)], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def report() -> dict[str, object]:
    """Return all figures, and the targets that were missed."""
    began = time.monotonic()
    overhead = {
        sites: statistics.median(overhead_ms(sites) for _ in range(3)) for sites in (4, 100)
    }
    few, many = alone("ours", 4), alone("ours", 64)
    flower_few = alone("flower", 4)
    figures = {
        "overhead_ms_4_sites": (overhead[4], OVERHEAD_TARGET_MS),
        "overhead_ms_100_sites": (overhead[100], OVERHEAD_TARGET_MS),
        "memory_64_over_4_sites": (many["bytes"] / few["bytes"], MEMORY_TARGET),
        "time_over_fedavg": (few["seconds"] / flower_few["seconds"], 1.0),
        "difference_from_fedavg": (
            float(np.abs(np.subtract(few["sample"], flower_few["sample"])).max()),
            AGREEMENT_TARGET,
        ),
    }
    return {
        "benchmark": "orchestration",
        "baseline": "Flower's FedAvg on the same 4 replies of 10 M numbers",
        **{name: round(figure, 8) for name, (figure, _) in figures.items()},
        "memory_bytes_per_number": {
            "ours_4_sites": round(few["bytes"] / DIM, 2),
            "ours_64_sites": round(many["bytes"] / DIM, 2),
            "flower_4_sites": round(flower_few["bytes"] / DIM, 2),
        },
        "missed": [
            {"what": name, "figure": figure, "target": target}
            for name, (figure, target) in figures.items()
            if figure > target
        ],
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--round", nargs=2, metavar=("WHO", "SITES"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.round:
        print(json.dumps(measured(chosen.round[0], int(chosen.round[1]))))
        return
    print_figures(report(), as_json=chosen.json)


if __name__ == "__main__":
    main()
