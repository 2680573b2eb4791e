"""Runs in which the coordinator has a process of its own, and one other process is all sites.

What the coordinator holds is then that of its process, whatever the sites do; the apps are those
of the product, the messages between them are whole and pass a pipe.
"""

import os
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypedDict

from flwr.app import Context, Message

from consortium.client_app import app as client_app
from consortium.run_directory import ENVIRONMENT, RunDirectory
from consortium.server_app import app as server_app
from consortium.summary import Summary, read_record
from scenarios.engine import InProcessGrid, run_in_process
from scenarios.scenario import Scenario
from scenarios.staging import new_run_directory, stage
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
    config = scenario.configured({})
    here, there = get_context("fork").Pipe()
    sites = get_context("fork").Process(
        target=_be_the_sites, args=(scenario, run, there), daemon=True
    )
    sites.start()
    here.recv()  # all is staged
    with keep_peak() as held:
        run_in_process(
            server_app,
            _asked_through(here),
            num_sites=len(scenario.sites),
            run_config=config.flat(),
        )
    here.send(None)
    sites.join()
    summary = read_record(run.summary, Summary)
    if summary.status != "finished":
        raise SystemExit(f"the run ended as {summary.status}: {summary.error}")
    return {"seconds": summary.seconds, "coordinator_bytes": held[0]}


def _be_the_sites(scenario: Scenario, run: RunDirectory, coordinator: Connection) -> None:
    """Stage the run, then answer for all of its sites until there is nothing more."""
    config = scenario.configured({})
    stage(run, scenario, with_keys=config.aggregation == "encrypted")
    InProcessGrid({}, 0, {})  # a message needs Flower's process identity
    contexts: dict[int, Context] = {}
    coordinator.send(None)
    while asked := coordinator.recv():
        message, context = asked
        coordinator.send(client_app(message, contexts.setdefault(context.node_id, context)))


def _asked_through(sites: Connection) -> Callable[[Message, Context], Message]:
    def app(message: Message, context: Context) -> Message:
        sites.send((message, context))
        reply: Message = sites.recv()
        return reply

    return app
