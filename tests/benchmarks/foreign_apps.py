"""Flower apps that are not ours, on a consortium's machines: to compare with, and to burden it."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from consortium.charter.addresses import own_door
from consortium.config import DEFAULTS, Scalar
from consortium.deployment.app_bundle import toml_lines
from consortium.deployment.control_client import Control
from consortium.deployment.processes import program_path, start_program
from consortium.deployment.supernode import SuperNode
from scenarios.engines.deployment import HOST, running_consortium, set_up_consortium
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from tests.thin_line import thin_line

BEHIND = "127.0.0.2"  # where the SuperLink listens if a line that breaks is before it
UPDATE_MEGABYTES = 400
BARE_CLIENT = """
import numpy as np
import torch
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from consortium.site.site import site_of

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
LARGE_CLIENT = """
import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message, context):
    data = np.random.default_rng(7).bytes(SIZE)
    array = Array(dtype="uint8", shape=(SIZE,), stype="consortium.sealed/1", data=data)
    return Message(RecordDict({"arrays": ArrayRecord({"update": array})}), reply_to=message)
"""
LARGE_SERVER = """
import json, os, time
from pathlib import Path

import numpy as np
from consortium.run.party_directory import CoordinatorDirectory
from flwr.app import Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    while not list(grid.get_node_ids()):
        time.sleep(0.5)
    # the door lets through what a model of this size sends: 4 bytes a parameter
    door = CoordinatorDirectory(Path(os.environ["CONSORTIUM_COORDINATOR_DIR"])).layout_size
    door.write_text(str(SIZE // 4))
    began = time.monotonic()
    asked = Message(RecordDict(), list(grid.get_node_ids())[0], "train", ttl=3600.0, group_id="1")
    ids = list(grid.push_messages([asked]))
    replies = []
    while not replies:
        replies = list(grid.pull_messages(ids))
        time.sleep(0.1)
    seconds = time.monotonic() - began
    came = None if replies[0].has_error() else replies[0].content["arrays"]["update"].data
    whole = came == np.random.default_rng(7).bytes(SIZE)
    path = os.path.join(os.environ["CONSORTIUM_COORDINATOR_DIR"], "bare.json")
    with open(path, "w") as file:
        json.dump({"seconds": seconds, "whole": whole}, file)
"""


def foreign(
    control: Control, sites: list[Path], client: str, server: str, config: Mapping[str, Scalar]
) -> Any:
    """Run an app that is not ours, with Flower's own programs in the place of the gate.

    Returns:
        What its ServerApp wrote as JSON to `bare.json` in the coordinator's directory.
    """
    coordinator = control.superlink.directory
    _in_place_of_the_gate(coordinator, "flwr-serverapp")
    for site in sites:
        _in_place_of_the_gate(site, "flwr-clientapp")
    starters = [_messages_alone(SuperNode(site)) for site in sites]
    app = coordinator / "app"
    shutil.rmtree(app)
    (app / "bare").mkdir(parents=True)
    (app / "bare" / "__init__.py").touch()
    (app / "bare" / "client_app.py").write_text(client)
    (app / "bare" / "server_app.py").write_text(server)
    (app / "pyproject.toml").write_text(
        '[project]\nname = "bare"\nversion = "1.0.0"\n\n[tool.flwr.app]\npublisher = "bare"\n'
        'fab-include = ["bare/**/*.py"]\n\n[tool.flwr.app.components]\n'
        'serverapp = "bare.server_app:app"\nclientapp = "bare.client_app:app"\n\n'
        f"[tool.flwr.app.config]\n{toml_lines(DEFAULTS)}"
    )
    number = control.start_run(config)
    while not control.run_status(number).startswith("finished"):
        time.sleep(2)
    for starter in starters:
        starter.kill()
        starter.wait()
    return json.loads((coordinator / "bare.json").read_text())


def _in_place_of_the_gate(folder: Path, name: str) -> None:
    started = folder / "flower" / "programs" / name
    started.write_text(f"#!/bin/sh\nexec '{program_path(name)}' \"$@\"\n")


def _messages_alone(node: SuperNode) -> "subprocess.Popen[bytes]":
    """Put Flower's own starter of messages in the place of the one that forks them."""
    name = "flower-superexec"
    # A SuperNode answers while its starter of messages is still being loaded.
    while not (found := [one for one in node.mark.marked_processes() if name in one.cmdline()]):
        time.sleep(0.1)
    (ours,) = found
    words, environment = ours.cmdline(), ours.environ()
    ours.kill()
    command = [program_path(name), *words[words.index(name) + 1 :]]
    return start_program(command, cwd=node.home, environment=environment, log=node.log)


def over_a_thin_line(megabytes: int, *, share: float = 0.02) -> dict[str, float]:
    """Send one update from a site through a line that breaks; return what came of it.

    Returns:
        `seconds` until the coordinator had all of it, `resets` of connections, `megabytes` that
        passed in all, and `whole`: whether every byte arrived.
    """
    base = scenario_named("heart-diagnosis")
    scenario = replace(base, sites=base.sites[:1])
    with tempfile.TemporaryDirectory() as folder:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        stage(run, scenario)
        sites = [run.site(name) for name in scenario.sites]
        office = run.path / "deployment"
        charter = set_up_consortium(office, run.charter, sites, hosts=(HOST, BEHIND))
        door = own_door(charter)
        line = thin_line((door.host, door.port), (BEHIND, door.port), share=share)
        coordinator = run.path / "deployment" / "coordinator"
        with line as passed, running_consortium(coordinator, sites, listen=BEHIND) as control:
            server = LARGE_SERVER.replace("SIZE", str(megabytes * 1_000_000))
            client = LARGE_CLIENT.replace("SIZE", str(megabytes * 1_000_000))
            told = foreign(control, sites, client, server, scenario.config_with({}).flat())
            return {
                "seconds": told["seconds"],
                "whole": told["whole"],
                "resets": passed.resets,
                "megabytes": round(passed.bytes_passed / 1e6, 1),
            }
