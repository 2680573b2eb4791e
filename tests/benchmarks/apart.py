"""Runs in which the coordinator has a process of its own, and one other process is all sites.

What the coordinator holds is then that of its process, whatever the sites do; the apps are those
of the product, and every message between them passes whole from one to the other.
"""

import os
import pickle
import socket
from collections.abc import Iterable
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypedDict

from flwr.app import Message

from consortium.client_app import app as client_app
from consortium.run.directory import ENVIRONMENT, RunDirectory
from consortium.run.records import Summary, read_record
from consortium.server_app import app as server_app
from scenarios.engines.in_process import InProcessGrid, run_server_app
from scenarios.engines.staging import new_run_directory, stage
from scenarios.scenario import Scenario
from tests.benchmarks.peak import keep_peak


class Apart(TypedDict):
    """Figures of one run.

    Args:
        seconds: Of the run, staging left out.
        coordinator_bytes: What the run made the coordinator's process hold, at its peak.
    """

    seconds: float
    coordinator_bytes: int


def run_apart(scenario: Scenario, folder: Path) -> Apart:
    """Carry out a scenario to its end, the coordinator in this process, and return its figures."""
    run = new_run_directory(scenario, under=folder, named=None)
    os.environ[ENVIRONMENT] = str(run.path)
    config = scenario.config_with({})
    here, there = (Line(end) for end in socket.socketpair())
    sites = get_context("fork").Process(
        target=_be_the_sites, args=(scenario, run, there), daemon=True
    )
    sites.start()
    grid = RemoteBus(here, nodes=here.recv())  # all is staged
    with keep_peak() as held:
        run_server_app(server_app, grid, config.flat())
    here.send(None)
    sites.join()
    summary = read_record(run.summary, Summary)
    if summary.status != "finished":
        raise SystemExit(f"the run ended as {summary.status}: {summary.error}")
    return {"seconds": summary.seconds, "coordinator_bytes": held[0]}


def _be_the_sites(scenario: Scenario, run: RunDirectory, coordinator: "Line") -> None:
    """Stage the run, then answer for all of its sites until there is nothing more."""
    config = scenario.config_with({})
    stage(run, scenario, config=config)
    grid = InProcessGrid(client_app, len(scenario.sites), config.flat())
    coordinator.send(list(grid.get_node_ids()))
    while asked := coordinator.recv():
        verb, what = asked
        bus = grid.push_messages if verb == "push" else grid.pull_messages
        coordinator.send(list(bus(what)))


class Line:
    """One end of a line between two processes; large parts of what passes are not copied."""

    def __init__(self, end: socket.socket) -> None:
        self._file = end.makefile("rwb")

    def send(self, what: object) -> None:
        """Send a value."""
        pickle.dump(what, self._file, protocol=5)
        self._file.flush()

    def recv(self) -> Any:
        """Return the value that was sent next."""
        return pickle.load(self._file)  # noqa: S301 -- our own process


class RemoteBus(InProcessGrid):
    """A bus of whose sites this process holds nothing: another one answers for them."""

    def __init__(self, sites: Line, nodes: list[int]) -> None:
        super().__init__({}, 0, {})
        self._sites = sites
        self._there = nodes

    def get_node_ids(self) -> Iterable[int]:
        """Return the ids of the nodes of the other process."""
        return self._there

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Let the other process take messages, one at a time."""
        return [message_id for message in messages for message_id in self._ask("push", [message])]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Let the other process answer."""
        return self._ask("pull", list(message_ids))

    def _ask(self, verb: str, what: list[Any]) -> list[Any]:
        self._sites.send((verb, what))
        answer: list[Any] = self._sites.recv()
        return answer
