"""How long a deployed round takes, and what of it is waiting.

`python -m tests.benchmarks.deployed_rounds [--json]` from the root of the repository. Two sites of
`heart-diagnosis`, whose training takes some milliseconds, and the five of `bank-credit` for 20
rounds, all processes on this machine, over TLS. The second run is compared with one process that
runs the same in this tree; `--against REVISION` takes the process of an earlier revision.
`--environment FOLDER` is one that has what that revision needs.
"""

import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from consortium.config import Scalar
from consortium.deployment.processes import Mark
from consortium.deployment.run_orders import RunOrder
from consortium.deployment.supernode import SuperNode
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from scenarios.engines.deployment import await_end, running_consortium, set_up_consortium
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from scenarios.scenario import Scenario
from tests.benchmarks.against.trees import this_tree, tree_of_revision
from tests.benchmarks.figures import options, print_figures

ROUNDS = 20
SHORT_ROUNDS = 8
AT_MOST = {"round_s_nothing_to_train": 0.8, "deployed_over_in_process": 5.0}
_PROGRAMS = {
    "gateway": "site_gateway",
    "superlink": "flower-superlink",
    "server_app": "flwr-serverapp",
    "supernodes": "flower-supernode",
}


@dataclass(frozen=True)
class Deployed:
    """What a deployed run took.

    Args:
        seconds: From its first message to its end.
        round_s: The median of its rounds but the first.
        cpu_ms: CPU a round, by program; what answers a message is not in it.
    """

    seconds: float
    round_s: float
    cpu_ms: Mapping[str, float]


def deployed(scenario: Scenario, config: Mapping[str, Scalar]) -> Deployed:
    """Run a scenario on this machine, each party in processes of its own."""
    chosen = scenario.config_with(config)
    with tempfile.TemporaryDirectory() as folder:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        stage(run, scenario)
        sites = [run.site(name) for name in scenario.sites]
        set_up_consortium(run.path / "deployment", run.charter, sites)
        with running_consortium(run.path / "deployment" / "coordinator", sites) as control:
            marks = [control.superlink.mark, *(SuperNode(site).mark for site in sites)]
            before = cpu_by_program(marks)
            number = control.submit_order(RunOrder(run=run.path, config=chosen.flat()))
            after = cpu_until_the_end(run, marks)
            await_end(control, run, number)
        lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
        rounds = [line["seconds"] for line in lines if line["server_round"] > 1]
        summary = read_record(run.summary, Summary)
    taken = after - before
    cpu_ms = {name: round(taken[name] / len(lines), 1) for name in _PROGRAMS}
    return Deployed(summary.seconds, statistics.median(rounds), cpu_ms)


def masked_round_ratio() -> dict[str, float]:
    """Return how long a round of five sites takes with masks, without, and their ratio."""
    banks, sealed = scenario_named("bank-credit"), {"aggregation": "encrypted"}
    config: dict[str, Scalar] = {"num-server-rounds": SHORT_ROUNDS, **sealed}
    without = deployed(banks, {**config, "masks": False})
    masked = deployed(banks, {**config, "masks": True})
    return {
        "encrypted_round_s": round(without.round_s, 2),
        "masked_round_s": round(masked.round_s, 2),
        "masked_round_ratio": round(masked.round_s / without.round_s, 3),
    }


def cpu_until_the_end(run: RunDirectory, marks: list[Mark]) -> Counter[str]:
    """Wait for the summary of a run; return the CPU of each program, also of one that has ended."""
    spent = cpu_by_program(marks)
    while not run.summary.exists():
        time.sleep(0.5)
        spent |= cpu_by_program(marks)  # the larger of each
    return spent


def cpu_by_program(marks: list[Mark]) -> Counter[str]:
    """Return the CPU so far of each program of a consortium, in milliseconds."""
    spent_ms: Counter[str] = Counter()
    for process in [one for mark in marks for one in mark.marked_processes()]:
        with suppress(psutil.NoSuchProcess):
            words, times = " ".join(process.cmdline()), process.cpu_times()
            for name, program in _PROGRAMS.items():
                if program in words:
                    spent_ms[name] += round(1000 * (times.user + times.system))
                    break
    return spent_ms


def in_process_s(revision: str | None, environment: Path | None) -> float:
    """Return the CPU seconds of a process that runs `bank-credit` for 20 rounds."""
    if revision is None:
        told = this_tree().figures(("bank", "clear"))
    else:
        with tree_of_revision(revision, environment=environment) as tree:
            told = tree.figures(("bank", "clear"))
    return told["fixed_clear_s"] + ROUNDS * told["round_clear_s"]


def report(revision: str | None, environment: Path | None) -> dict[str, object]:
    """Return all figures, and the targets that were missed."""
    heart = scenario_named("heart-diagnosis")
    two = deployed(replace(heart, sites=heart.sites[:2]), {"num-server-rounds": SHORT_ROUNDS})
    five = deployed(scenario_named("bank-credit"), {"num-server-rounds": ROUNDS})
    alone = in_process_s(revision, environment)
    figures = {
        "round_s_nothing_to_train": round(two.round_s, 2),
        "deployed_over_in_process": round(five.seconds / alone, 1),
    }
    return {
        "benchmark": "deployed_rounds",
        "in_process_of": revision or "this tree",
        **figures,
        "deployed_s": round(five.seconds, 1),
        "in_process_s": round(alone, 2),
        "round_s_five_sites": round(five.round_s, 2),
        "cpu_ms_a_round_two_sites": two.cpu_ms,
        "cpu_ms_a_round_five_sites": five.cpu_ms,
        "missed": [
            {"what": name, "figure": figures[name], "target": most}
            for name, most in AT_MOST.items()
            if figures[name] > most
        ],
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--against", help="the revision whose one process is compared with")
    parser.add_argument("--environment", type=Path, help="of that revision, instead of a new one")
    chosen = parser.parse_args()
    print_figures(report(chosen.against, chosen.environment), as_json=chosen.json)


if __name__ == "__main__":
    main()
