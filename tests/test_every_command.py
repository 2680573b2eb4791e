"""Every command, given what it cannot use, says so in a sentence, and leaves nothing behind."""

import sys
from collections.abc import Callable, Iterator
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
    """A command that does something: its words, and what it must be given."""

    words: tuple[str, ...]
    arguments: tuple[click.Parameter, ...]

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
        yield Leaf(words, tuple(one for one in command.params if one.required))


LEAVES = [
    leaf
    for name, module in PROGRAMS.items()
    for leaf in leaves(name, get_command(module.app), (name,))
]
NEEDY = [leaf for leaf in LEAVES if leaf.arguments]


def nothing() -> str:
    """A path at which there is nothing."""
    return NOBODY


def empty_directory() -> str:
    """An empty directory."""
    Path("empty").mkdir(exist_ok=True)
    return "empty"


def bytes_of_nothing() -> str:
    """A file of bytes that are no text, and no format of ours."""
    Path("bytes").write_bytes(bytes(range(256)))
    return "bytes"


def directory_of_bytes() -> str:
    """A directory whose files have the right names and hold no text."""
    folder = Path("broken")
    for path in ("charter.json", "site.json", "policy.json", "kit.json", "summary.json"):
        folder.mkdir(exist_ok=True)
        (folder / path).write_bytes(bytes(range(256)))
    return "broken"


def below_a_file() -> str:
    """A path that the system refuses, whoever asks: its parent is no directory."""
    return f"{bytes_of_nothing()}/inside"


WRONG = (nothing, empty_directory, bytes_of_nothing, directory_of_bytes, below_a_file)
RIGHT = {
    ("consortium coordinator init", nothing),  # it makes the directory
    ("consortium site stop-all", directory_of_bytes),  # a site is stopped whatever is broken there
    ("consortium site down", directory_of_bytes),
}
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


def given(leaf: Leaf, value: str) -> list[str]:
    """Return a command with the value for all that it must be given."""
    words = list(leaf.words)
    for one in leaf.arguments:
        words += [one.opts[0], value] if isinstance(one, click.Option) else [value]
    return words


every_wrong = pytest.mark.parametrize(
    ("leaf", "wrong"),
    [(leaf, wrong) for leaf in NEEDY for wrong in WRONG if (leaf.name, wrong) not in RIGHT],
    ids=lambda one: one.name if isinstance(one, Leaf) else one.__name__,
)


@every_wrong
def test_a_command_says_what_is_wrong_and_leaves_nothing(
    leaf: Leaf,
    wrong: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = given(leaf, wrong())
    before = sorted(tmp_path.rglob("*"))
    code = run(monkeypatch, words)
    told = capsys.readouterr()
    assert code in (1, 2), f"{words}: {told}"
    assert told.out + told.err
    assert "Traceback" not in told.out + told.err
    assert [one for one in sorted(tmp_path.rglob("*")) if one.name != OWN_FOLDER] == before


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.name)
def test_an_option_that_no_command_has_is_wrong_usage(
    leaf: Leaf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, [*given(leaf, NOBODY), "--nobody-has-this-option"]) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_a_program_says_its_version(
    program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, [program, "--version"]) == 0
    assert capsys.readouterr().out.split()[0] == program
