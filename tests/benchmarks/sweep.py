"""Are both cores used? The same sweep by one worker and by two, in one run, as a ratio.

`python -m tests.benchmarks.sweep [--json]` from the root of the repository. Each sweep is measured
in a process of its own, so that starting its workers is in both figures; they take turns, and the
faster of two counts. On a machine that others use, two workers get twice the share of one: the
ratio says something of the program only if the load that is told beside it is that of the sweep
alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from consortium.run.records import read_record
from scenarios.library.registry import scenario_named
from scenarios.sweep.order import SweepOrder
from scenarios.sweep.records import SweepDirectory, SweepRecord
from scenarios.sweep.search.space import parse_searches
from scenarios.sweep.sweep import run_sweep
from tests.benchmarks.figures import options, print_figures

SCENARIO, TRIALS, ROUNDS = "bank-credit", 48, 16
AT_LEAST = 1.6


def swept(folder: Path, workers: int) -> tuple[SweepRecord, float]:
    """Run the sweep; return what came of it, and its seconds."""
    scenario = scenario_named(SCENARIO)
    chosen = {"num-server-rounds": ROUNDS}
    order = SweepOrder(
        name=SCENARIO,
        scenario=scenario,
        config=scenario.config_with(chosen),
        chosen=chosen,
        searches=parse_searches(["learning-rate=log(1e-3,1)", "momentum=choice(0.0,0.9)"]),
        trials=TRIALS,
        reduction=2,
    )
    began = time.monotonic()
    record = run_sweep(order, SweepDirectory(folder), tell=lambda _line: None, workers=workers)
    return record, time.monotonic() - began


def measure(workers: int) -> tuple[SweepRecord, float]:
    """Run the sweep in a process of its own; return what came of it, and its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", __spec__.name, "--workers", str(workers), "--into", folder]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        record = read_record(SweepDirectory(Path(folder) / "sweep").result, SweepRecord)
    return record, float(done.stdout.split()[-1])


def report() -> dict[str, object]:
    """Return the seconds, their ratio, and whether it was missed."""
    load = os.getloadavg()[0]
    runs = [(workers, *measure(workers)) for workers in (2, 1, 1, 2)]
    seconds = {
        workers: min(took for number, _, took in runs if number == workers) for workers in (1, 2)
    }
    ratio = round(seconds[1] / seconds[2], 2)
    missed = [] if ratio >= AT_LEAST else [f"one worker over two: {ratio}, {AT_LEAST} asked"]
    if any(record != runs[0][1] for _, record, _ in runs):
        missed.append("one worker and two gave other results")
    return {
        "sweep": {
            "trials": TRIALS,
            "rounds": ROUNDS,
            "load_before": round(load, 1),
            "one_worker_s": round(seconds[1], 1),
            "two_workers_s": round(seconds[2], 1),
            "one_over_two": ratio,
        },
        "missed": missed,
    }


def main() -> None:
    """Print the figures; or, in a process of its own, the seconds of one sweep."""
    parser = options(__doc__)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.into is not None:
        print(swept(asked.into / "sweep", asked.workers)[1])
        return
    print_figures(report(), as_json=asked.json)


if __name__ == "__main__":
    main()
