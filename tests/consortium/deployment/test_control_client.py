"""Requests of an operator to a real SuperLink over TLS, with no site running."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.cli import coordinator as cli_coordinator
from consortium.cli import run as cli_run
from consortium.cli.run import NothingRuns
from consortium.config import RunConfig
from consortium.deployment import control_client as control
from consortium.deployment.control_client import Control, ControlRefused
from consortium.deployment.processes import end_processes, free_port
from consortium.deployment.status import coordinator_status
from consortium.deployment.superlink import SuperLink
from consortium.provisioning.installation import read_nodes
from tests.consortium.founded import NAMES, Founded, found

pytestmark = pytest.mark.timeout(300)
WAIT_S = 60.0


@dataclass(frozen=True)
class Up:
    """A consortium with a running SuperLink."""

    founded: Founded
    control: Control

    @property
    def coordinator(self) -> Path:
        """The coordinator's directory."""
        return self.founded.coordinator


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    founded = found(tmp_path_factory.mktemp("control"), port=free_port())
    founded.provision()
    founded.install()
    link = SuperLink(founded.coordinator)
    process = link.start()
    try:
        yield Up(founded, Control(link))
    finally:
        end_processes(link.mark.marked_processes())
        process.wait()


@pytest.mark.slow  # a dozen commands of Flower, some seconds each
def test_the_operator_sees_enrols_orders_and_puts_out(up: Up) -> None:
    """One test for all commands, because each call to the SuperLink takes a second."""
    assert coordinator_status(up.coordinator)[-1] == "run          none yet"
    runner = CliRunner()
    for command in ("resume", "wait", "stop"):
        said = runner.invoke(cli_run.app, [command, str(up.coordinator)])
        assert isinstance(said.exception, NothingRuns), command
    up.control.enrol_nodes()
    assert set(up.control.member_status()) == set(NAMES)
    assert len(up.control.nodes()) == len(NAMES)
    number = unordered(up)
    with pytest.raises(ControlRefused, match="knows no run"):
        up.control.run_status(number + 1)
    put_out(up, "west")
    lines = coordinator_status(up.coordinator)
    assert [line.split()[1] for line in lines if line.startswith("node ")] == ["east", "north"]
    assert any(line.startswith("Flower") and str(number) in line for line in lines)
    assert "down" in next(line for line in lines if line.startswith("SuperLink"))


def unordered(up: Up) -> int:
    """Start a run without an order; it fails and leaves nothing behind."""
    number = up.control.start_run(RunConfig().flat())
    until = time.monotonic() + WAIT_S
    while up.control.active_runs() and time.monotonic() < until:
        time.sleep(0.5)
    assert up.control.run_status(number) == "finished:failed"
    assert not (up.coordinator / "last-run").exists()
    with pytest.raises(ControlRefused, match="flwr stop"):
        up.control.stop_run(number)
    return number


def put_out(up: Up, name: str) -> None:
    """Remove a member from the coordinator's kit, and enrol the nodes again."""
    nodes = up.coordinator / "nodes.json"
    kept = {one: key for one, key in read_nodes(up.coordinator).items() if one != name}
    nodes.write_text(json.dumps(kept))
    up.control.enrol_nodes()
    assert set(up.control.member_status()) == set(kept)
    up.control.enrol_nodes()  # nothing is done twice
    assert len(up.control.nodes()) == len(kept)


def test_who_asks_a_superlink_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    founded = found(tmp_path / "away", port=free_port())
    founded.provision()
    founded.install()
    link = SuperLink(founded.coordinator)
    link.home.mkdir()
    assert not link.is_healthy()
    with pytest.raises(ControlRefused, match="flwr list"):
        Control(link).runs()
    said = CliRunner().invoke(cli_coordinator.app, ["down", str(founded.coordinator)])
    assert said.output == "nothing was running\n"
    lines = coordinator_status(founded.coordinator)
    assert lines[1:] == ["SuperLink    down", "run          none yet"]


@pytest.mark.parametrize("said", ["", "no json", "{", "[1]", "x [2] {"])
def test_what_is_no_json_object_says_nothing(said: str) -> None:
    assert control._json_in(said) == {}


def test_json_is_found_behind_other_words() -> None:
    assert control._json_in('warning: x\n{"success": true}\n') == {"success": True}
