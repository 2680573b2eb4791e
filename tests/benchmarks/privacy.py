"""What privacy costs: a decision of the ledger, gate and audit log, and a private step.

`python -m tests.benchmarks.privacy [--json]` from the root of the repository. A decision is the
whole of `Ledger.reserve`: the chain is read and checked, all of the past and the new run are
composed, the entry is written and synced. Times are those of the clock and of the CPU: others at
work on the machine stretch the first, never the second.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from privacy.differential.ledger import Ledger
from privacy.differential.ledger_entries import Budget, DataSet
from privacy.differential.mechanisms import SampledGaussian
from tests.benchmarks import evidence, private_steps
from tests.benchmarks.figures import options

PAST = 30
BUDGET = Budget(epsilon=20.0, delta=1e-6)
DATA_SET = DataSet(name="patients", fingerprint="a" * 64)
MOST_S = 1.0
ACCOUNTING = "dp_accounting.pld.accountant"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one decision took.

    Args:
        what: Which.
        clock_s: Seconds by the clock.
        cpu_s: Seconds of CPU.
        target_s: What we mean to stay below, by the clock.
    """

    what: str
    clock_s: float
    cpu_s: float
    target_s: float


def run_number(number: int) -> SampledGaussian:
    """Return one of many runs, no two alike: epsilon 1 or so each."""
    rng = np.random.default_rng(number)
    return SampledGaussian(
        noise_multiplier=float(rng.uniform(2.0, 4.0)),
        sampling_rate=float(rng.uniform(0.01, 0.05)),
        steps=int(rng.integers(100, 600)),
        clip_norm=1.0,
        unit="person",
    )


def reserve(ledger: Ledger, number: int) -> None:
    """Reserve one of the runs."""
    ledger.reserve(run_number(number), data_set=DATA_SET, run=f"run {number}", budget=BUDGET)


def timed(what: str, call: Callable[[], object]) -> Figure:
    """Return what a call took."""
    clock, cpu = time.perf_counter(), time.process_time()
    call()
    return Figure(
        what=what,
        clock_s=time.perf_counter() - clock,
        cpu_s=time.process_time() - cpu,
        target_s=MOST_S,
    )


def fill(directory: Path) -> None:
    """Make a ledger of past runs."""
    with Ledger(directory) as ledger:
        for number in range(PAST):
            reserve(ledger, number)


def decisions(directory: Path) -> list[Figure]:
    """Return what the first and the second decision of this process took, and loading for them."""
    with Ledger(directory) as ledger:
        return [
            timed("loading dp-accounting, once a process", lambda: import_module(ACCOUNTING)),
            timed(f"decision at {PAST} past runs, fresh process", lambda: reserve(ledger, PAST)),
            timed(f"decision at {PAST} past runs, same process", lambda: reserve(ledger, PAST + 1)),
        ]


def ledger_figures() -> list[Figure]:
    """Return the figures of the ledger: the past is made here, the decisions elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "ledger"
        fill(directory)
        ended = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.privacy", "--decide", str(directory)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return [Figure(**one) for one in json.loads(ended.stdout)]


def missed(figures: list[Figure]) -> list[dict[str, object]]:
    """Return the targets that were not met, with figure and target."""
    return [
        {"what": one.what, "target": one.target_s, "figure": one.clock_s}
        for one in figures
        if one.clock_s > one.target_s
    ]


def report() -> dict[str, object]:
    """Return all figures, and the targets that were missed."""
    figures = ledger_figures()
    gate, missed_there = evidence.figures()
    steps, missed_in_steps = private_steps.figures()
    return {
        "benchmark": "privacy",
        "ledger": [asdict(one) for one in figures],
        "gate": gate,
        "steps": steps,
        "missed": missed(figures) + missed_there + missed_in_steps,
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--decide", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.decide is not None:
        print(json.dumps([asdict(one) for one in decisions(chosen.decide)]))
        return
    found = report()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
