"""What a buffered and a triggered schedule gain: time to the same AUC, and updates not sent.

`python -m tests.benchmarks.schedules [--json]` from the root of the repository. `bank-credit`: five
sites in threads of one process, the real apps, each working when it is asked. Four declare
that a round of training takes them 0.2 s, the fifth ten times that; they really wait. Both
schedules have the same quorum; a buffer takes four updates. The time is from the first question to
train to the round whose figures reach the AUC, which is that of the synchronous run at its end less
0.005. Then the triggered schedule against the synchronous one in process, over 40 rounds, where
nobody waits.
"""

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from flwr.app import Context, Message

from consortium.client_app import app as client_app
from consortium.config import Scalar
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from consortium.server_app import app as server_app
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid, SiteApp, run_server_app
from scenarios.engines.runner import run_in_environment
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from tests.benchmarks.figures import options, print_figures
from tests.side_by_side import SideBySideGrid

BANKS = scenario_named("bank-credit")
QUICK_S, SLOW_S = 0.2, 2.0
LEEWAY = 0.005
BUFFER = len(BANKS.sites) - 1
ROUNDS, LONG_ROUNDS = 10, 40
AT_MOST = {"time_to_auc_ratio": 0.5}
SYNCHRONOUS: Mapping[str, Scalar] = {
    "num-server-rounds": ROUNDS,
    "quorum": BUFFER,
    "deadline-s": 120.0,
    "seed": 7,
}
BUFFERED: Mapping[str, Scalar] = {
    **SYNCHRONOUS,
    "schedule": "buffered",
    "buffer-size": BUFFER,
    "num-server-rounds": 3 * ROUNDS,
}


def waiting(seconds: float) -> SiteApp:
    """Return the app of a site whose training takes so long."""

    def app(message: Message, context: Context) -> Message:
        if message.metadata.message_type == messages.TRAIN:
            time.sleep(seconds)
        return client_app(message, context)

    return app


def run_of(config: Mapping[str, Scalar], grid_of: Callable[[int], InProcessGrid]) -> RunDirectory:
    """Run the banks; return the run's directory."""
    chosen = BANKS.config_with(config)
    run = new_run_directory(BANKS, under=Path(tempfile.mkdtemp()), named=None)
    stage(run, BANKS, config=chosen)
    with run_in_environment(run):
        run_server_app(server_app, grid_of(len(BANKS.sites)), chosen.flat())
    return run


def side_by_side(config: Mapping[str, Scalar]) -> RunDirectory:
    """Run the banks side by side, the last of them ten times slower."""
    chosen = BANKS.config_with(config)
    apps = [waiting(SLOW_S if last else QUICK_S) for last in (*[False] * BUFFER, True)]
    with ExitStack() as stack:
        return run_of(config, lambda _sites: SideBySideGrid(apps, stack, chosen.flat()))


def course_of(run: RunDirectory) -> list[tuple[float, float, int]]:
    """Return seconds since the first question to train, AUC and round, of each judged model."""
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    began = next(
        one["at_s"] for one in lines if one["event"] == "round-started" and one["server_round"] == 1
    )
    return [
        (one["at_s"] - began, one["metrics"]["roc_auc"]["value"], one["server_round"])
        for one in lines
        if one["event"] == "round-finished"
    ]


def time_to(course: list[tuple[float, float, int]], auc: float) -> float:
    """Return the seconds until the figures reach an AUC; infinity if they never do."""
    return next((at for at, reached, _ in course if reached >= auc), float("inf"))


def in_process(config: Mapping[str, Scalar]) -> RunDirectory:
    """Run the banks one after the other."""
    flat = BANKS.config_with(config).flat()
    return run_of(config, lambda sites: InProcessGrid(client_app, sites, flat))


def triggered_figures() -> dict[str, object]:
    """Return what a triggered run sends and trains, beside a synchronous one."""
    of_all = {**SYNCHRONOUS, "num-server-rounds": LONG_ROUNDS, "quorum": 2}
    every, some = (
        read_record(run.summary, Summary)
        for run in (in_process(of_all), in_process({**of_all, "schedule": "triggered"}))
    )
    unchanged = sum(site.unchanged for site in some.sites)
    return {
        "triggered_rounds": LONG_ROUNDS,
        "triggered_updates": LONG_ROUNDS * len(BANKS.sites) - unchanged,
        "synchronous_updates": LONG_ROUNDS * len(BANKS.sites),
        "triggered_bytes_up_ratio": round(some.bytes_up / every.bytes_up, 3),
        "triggered_auc": round(some.metrics["roc_auc"].value, 4),
        "synchronous_auc": round(every.metrics["roc_auc"].value, 4),
    }


def report() -> dict[str, object]:
    """Return all figures, and the targets that were missed."""
    synchronous, buffered = (course_of(side_by_side(one)) for one in (SYNCHRONOUS, BUFFERED))
    wanted = synchronous[-1][1] - LEEWAY
    waited, took = time_to(synchronous, wanted), time_to(buffered, wanted)
    figures = {"time_to_auc_ratio": round(took / waited, 3)}
    return {
        "benchmark": "schedules",
        "auc": round(wanted, 4),
        "synchronous_s": round(waited, 2),
        "buffered_s": round(took, 2),
        **figures,
        **triggered_figures(),
        "missed": [
            {"what": name, "figure": figures[name], "target": most}
            for name, most in AT_MOST.items()
            if figures[name] > most
        ],
    }


if __name__ == "__main__":
    asked = options(__doc__).parse_args()
    print_figures(report(), as_json=asked.json)
