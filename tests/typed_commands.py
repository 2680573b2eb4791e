"""Commands as they are typed, for the tests that try all of them: found, run, and looked at."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from typer.main import get_command

from consortium.cli import main as consortium_program
from scenarios.cli import main as scenario_program

PROGRAMS = {"consortium": consortium_program, "scenario": scenario_program}
NOBODY = "nobody-has-this-name"


@dataclass(frozen=True)
class Leaf:
    """A command that does something: its words, what it must be given, and what it may be."""

    words: tuple[str, ...]
    arguments: tuple[click.Parameter, ...]
    options: tuple[click.Option, ...] = ()

    @property
    def name(self) -> str:
        """The command as it is typed."""
        return " ".join(self.words)


def leaves(name: str, command: click.Command, words: tuple[str, ...]) -> Iterator[Leaf]:
    """Yield every command under a command."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            _, inner, _ = command.resolve_command(context, [each])
            assert inner is not None
            yield from leaves(each, inner, (*words, each))
    else:
        given = [one for one in command.params if one.expose_value]
        yield Leaf(
            words,
            tuple(one for one in given if one.required),
            tuple(
                one
                for one in given
                if isinstance(one, click.Option) and not one.required and not one.is_flag
            ),
        )


LEAVES = [
    leaf
    for name, module in PROGRAMS.items()
    for leaf in leaves(name, get_command(module.app), (name,))
]
NEEDY = [leaf for leaf in LEAVES if leaf.arguments]


OWN_FOLDER = "flower"  # of the processes that a party starts


def run(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> int:
    """Return how a command ends, run as its entry point runs it."""
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    try:
        PROGRAMS[words[0]].main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


NOBODYS = 65_534  # the user that owns nothing; who runs tests as root may read everything


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Be a user whom the system refuses what is another's, also where root runs the tests."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODYS)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def given(leaf: Leaf, value: str) -> list[str]:
    """Return a command with the value for all that it must be given."""
    words = list(leaf.words)
    for one in leaf.arguments:
        words += [one.opts[0], value] if isinstance(one, click.Option) else [value]
    return words


def files_under(folder: Path) -> list[Path]:
    """Return all that is in a directory but the folder of processes, and behind a locked door."""
    found = sorted(folder.rglob("*"))
    return [one for one in found if OWN_FOLDER not in one.parts and one.parent.name != "locked"]


def assert_spoken(told: str) -> None:
    """Check that a command said what is wrong, in words of its own."""
    assert told.strip()
    assert "Traceback" not in told
    assert '"success"' not in told, "the answer of Flower's program is no sentence"
