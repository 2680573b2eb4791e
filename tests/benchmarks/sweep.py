"""Are both cores used? The same sweep by one worker and by two, in one run, as a ratio.

`python -m tests.benchmarks.sweep [--json]` from the root of the repository. Starting the workers
is in both figures. On a machine that others use, two workers get twice the share of one: the ratio
says something of the program only if the load that is told beside it is that of the sweep alone.
"""

import os
import tempfile
import time
from pathlib import Path

from scenarios.library.registry import scenario_named
from scenarios.sweep.order import SweepOrder
from scenarios.sweep.records import SweepDirectory, SweepRecord
from scenarios.sweep.search.space import parse_searches
from scenarios.sweep.sweep import run_sweep
from tests.benchmarks.figures import options, print_figures

SCENARIO, TRIALS, ROUNDS = "bank-credit", 16, 16
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


def main() -> None:
    """Print the seconds, their ratio, and whether it was missed."""
    asked = options(__doc__).parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        two, two_s = swept(Path(folder) / "two", 2)
        one, one_s = swept(Path(folder) / "one", 1)
    ratio = round(one_s / two_s, 2)
    missed = [] if ratio >= AT_LEAST else [f"one worker over two: {ratio}, {AT_LEAST} asked"]
    if one != two:
        missed.append("one worker and two gave other results")
    report = {
        "sweep": {
            "trials": TRIALS,
            "rounds": ROUNDS,
            "load_before": round(load, 1),
            "one_worker_s": round(one_s, 1),
            "two_workers_s": round(two_s, 1),
            "one_over_two": ratio,
        },
        "missed": missed,
    }
    print_figures(report, as_json=asked.json)


if __name__ == "__main__":
    main()
