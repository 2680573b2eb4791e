"""What the gateway before Flower's SuperLink costs of a deployed round.

`python -m tests.benchmarks.gateway [--json]` from the root of the repository. Three sites train
encrypted over TLS on this machine, a table and texts, with the gateway and without it in turn. A
round's time swings with whatever else the machine does, so the target is for the CPU of the
gateway's process in these rounds, beside that of all processes of the coordinator and the sites.
"""

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from consortium.config import Scalar
from consortium.deployment.app_bundle import Bundle, stage_bundle
from consortium.deployment.control_client import Control
from consortium.deployment.processes import end_processes, start_program, wait_until
from consortium.deployment.programs.path_shims import write_shims
from consortium.deployment.run_orders import RunOrder
from consortium.deployment.superlink import START_LIMIT_S, SuperLink
from consortium.deployment.supernode import SuperNode
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from scenarios.engines.deployment import set_up_consortium
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from tests.benchmarks.figures import options, print_figures

SHARE_TARGET = 0.05
ROUNDS = 3
REPEATS = 1
LIMIT_S = 600.0
SITES = 3
RUNS: dict[str, dict[str, Scalar]] = {"bank-credit": {}, "clinical-notes": {}}


class BareSuperLink(SuperLink):
    """Flower's SuperLink at the coordinator's address itself, with nothing before it."""

    @property
    def loopback(self) -> CoordinatorDirectory:
        """The coordinator's own certificates."""
        return self.paths

    @property
    def loopback_address(self) -> str:
        """The address in the charter."""
        return f"{self.door.host}:{self.door.port}"

    def start(self, *, host: str | None = None) -> "subprocess.Popen[bytes]":
        """Start it; return once it answers."""
        del host
        self.home.mkdir(exist_ok=True)
        write_shims(self.paths.programs, "coordinator")
        stage_bundle(self.paths.app, Bundle())
        process = start_program(
            self.flower_command(), cwd=self.home, environment=self.environment, log=self.log
        )
        if not wait_until(
            self.is_healthy, alive=lambda: process.poll() is None, limit_s=START_LIMIT_S
        ):
            raise SystemExit(f"Flower's SuperLink did not start; see {self.log}")
        return process


@dataclass(frozen=True)
class Rounds:
    """What the rounds of one run took.

    Args:
        seconds: Of each round.
        gateway_s: CPU of the gateway's process in all rounds; 0 without it.
        whole_s: CPU of all processes of the coordinator and the sites in all rounds.
    """

    seconds: tuple[float, ...]
    gateway_s: float
    whole_s: float


@contextmanager
def running(link: SuperLink, nodes: Sequence[SuperNode]) -> Iterator[Control]:
    """Run a coordinator and its sites; end all of them."""
    started = []
    try:
        started.append(link.start())
        control = Control(link)
        control.enrol_nodes()
        started += [node.launch() for node in nodes]
        for node in nodes:
            node.wait_until_healthy()
        yield control
    finally:
        for service in (*nodes, link):
            end_processes(service.mark.marked_processes())
        for process in started:
            process.wait()


def measured(name: str, kind: type[SuperLink], folder: Path) -> Rounds:
    """Return what the rounds of a run took."""
    base = scenario_named(name)
    scenario = replace(base, sites=base.sites[:SITES])
    asked: dict[str, Scalar] = {"aggregation": "encrypted", "num-server-rounds": ROUNDS}
    config = scenario.config_with({**asked, **RUNS[name]})
    run = new_run_directory(scenario, under=folder, named=None)
    stage(run, scenario, config=config)
    sites = [run.site(one) for one in scenario.sites]
    set_up_consortium(run.path / "deployment", run.charter, sites)
    link = kind(run.path / "deployment" / "coordinator")
    nodes = [SuperNode(site) for site in sites]
    with running(link, nodes) as control:
        control.submit_order(RunOrder(run=run.path, config=config.flat()))
        _await(lambda: _has(run, '"event": "round-started", "server_round": 1'))
        before = _cpu_seconds(link, nodes)
        _await(lambda: _has(run, f'"event": "round-finished", "server_round": {ROUNDS}'))
        after = _cpu_seconds(link, nodes)
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    seconds = tuple(line["seconds"] for line in lines if 1 <= line["server_round"] <= ROUNDS)
    gateway, whole = (a - b for a, b in zip(after, before, strict=True))
    return Rounds(seconds=seconds, gateway_s=gateway, whole_s=whole)


def _cpu_seconds(link: SuperLink, nodes: Sequence[SuperNode]) -> tuple[float, float]:
    """Return CPU seconds so far of the gateway and of everything, ended processes included."""
    gateway = whole = 0.0
    for service in (link, *nodes):
        for process in service.mark.marked_processes():
            try:
                words, used = process.cmdline(), process.cpu_times()
            except psutil.Error:
                continue
            own = used.user + used.system
            whole += own + used.children_user + used.children_system
            if "consortium.deployment.site_gateway" in words:
                gateway += own
    return gateway, whole


def _has(run: RunDirectory, text: str) -> bool:
    return run.events.exists() and text in run.events.read_text()


def _await(holds: Any) -> None:
    until = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.05)


def report(names: Sequence[str] = tuple(RUNS), *, repeats: int = REPEATS) -> dict[str, object]:
    """Return all figures, and the targets that were missed."""
    began = time.monotonic()
    found: dict[str, dict[str, float]] = {}
    for name in names:
        by_kind: dict[type[SuperLink], list[Rounds]] = {SuperLink: [], BareSuperLink: []}
        for _ in range(repeats):  # in turn, so that a busy machine burdens both alike
            for kind, kept in by_kind.items():
                with tempfile.TemporaryDirectory() as folder:
                    kept.append(measured(name, kind, Path(folder)))
        with_it, without = by_kind[SuperLink], by_kind[BareSuperLink]
        median = {
            kind: statistics.median(one for run in kept for one in run.seconds)
            for kind, kept in by_kind.items()
        }
        found[name] = {
            "gateway_cpu_share": sum(one.gateway_s for one in with_it)
            / sum(one.whole_s for one in with_it),
            "gateway_cpu_ms_a_round": 1_000
            * sum(one.gateway_s for one in with_it)
            / (repeats * ROUNDS),
            "cpu_ratio": sum(one.whole_s for one in with_it) / sum(one.whole_s for one in without),
            "round_s": median[SuperLink],
            "round_s_without": median[BareSuperLink],
        }
    return {
        "benchmark": "gateway",
        "baseline": "the same rounds with the sites at Flower's SuperLink itself",
        **{name: {what: round(one, 3) for what, one in row.items()} for name, row in found.items()},
        "missed": [
            {"what": f"{name}: gateway_cpu_share", "figure": figure, "target": SHARE_TARGET}
            for name, row in found.items()
            if (figure := round(row["gateway_cpu_share"], 3)) > SHARE_TARGET
        ],
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="runs of each kind")
    parser.add_argument("--only", choices=RUNS, help="one scenario")
    chosen = parser.parse_args()
    names = (chosen.only,) if chosen.only else tuple(RUNS)
    print_figures(report(names, repeats=chosen.repeats), as_json=chosen.json)


if __name__ == "__main__":
    main()
