"""A hub's SuperNode is started again when it dies, and not at once every time."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from consortium.deployment.hubs.node_keeper import NodeKeeper
from consortium.deployment.supernode import SuperNode
from consortium.run.directory import COORDINATOR, SITE
from tests.consortium.founded import found_with_hubs


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return its time."""
        return self.now


@dataclass(frozen=True)
class ShortLived(SuperNode):
    """A SuperNode whose program ends at once."""

    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start the program."""
        self.started.append(subprocess.Popen([sys.executable, "-c", ""]))
        return self.started[-1]


def test_the_pause_before_each_start_doubles_up_to_a_minute(tmp_path: Path) -> None:
    node, clock = ShortLived(tmp_path), Clock()
    keeper = NodeKeeper(node, clock=clock)
    keeper.look()
    begun = []
    for _ in range(8):
        node.started[-1].wait()
        keeper.look()
        died, before = clock.now, len(node.started)
        while len(node.started) == before:
            clock.now += 0.5
            keeper.look()
        begun.append(clock.now - died)
    assert begun == [2, 4, 8, 16, 32, 60, 60, 60]
    clock.now += 100  # it lived for longer than a minute
    node.started[-1].wait()
    keeper.look()
    clock.now += 1
    keeper.look()
    assert len(node.started) == 10
    node.started[-1].wait()


def test_what_keeps_it_from_starting_is_said_and_it_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hub may be brought up before its kit is there: its SuperLink says so as well."""
    clock = Clock()
    keeper = NodeKeeper(SuperNode.of_hub(found_with_hubs(tmp_path).path / "alps"), clock=clock)
    keeper.look()
    assert "bad-charter: there is no charter at" in capsys.readouterr().err
    keeper.look()
    assert capsys.readouterr().err == ""
    clock.now += 61
    keeper.look()
    assert "bad-charter" in capsys.readouterr().err


def test_whoever_ends_the_processes_of_a_hub_ends_those_of_its_node(tmp_path: Path) -> None:
    node = SuperNode.of_hub(tmp_path)
    assert node.environment[COORDINATOR] == str(tmp_path)
    assert node.environment[SITE] == str(tmp_path / "node")
    assert COORDINATOR not in SuperNode(tmp_path).environment
