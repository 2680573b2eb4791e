"""Every command, given what it cannot use, says so in a sentence, and leaves nothing behind."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.typed_commands import (
    LEAVES,
    NEEDY,
    NOBODY,
    PROGRAMS,
    Leaf,
    assert_spoken,
    files_under,
    given,
    ordinary_user,
    run,
)


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
    return str(write_bytes_in(Path("broken")))


def write_bytes_in(folder: Path) -> Path:
    """Write bytes that are no text to files of the names that commands look for."""
    folder.mkdir(exist_ok=True)
    for path in ("charter.json", "site.json", "policy.json", "kit.json", "summary.json"):
        (folder / path).write_bytes(bytes(range(256)))
    return folder


def locked_directory() -> str:
    """A directory that exists and that only another user may enter."""
    write_bytes_in(Path("locked")).chmod(0)
    return "locked"


def below_a_file() -> str:
    """A path that the system refuses, whoever asks: its parent is no directory."""
    return f"{bytes_of_nothing()}/inside"


WRONG = (
    nothing,
    empty_directory,
    bytes_of_nothing,
    directory_of_bytes,
    below_a_file,
    locked_directory,
)
RIGHT = {
    ("consortium coordinator init", nothing),  # it makes the directory
    ("consortium site stop-all", directory_of_bytes),  # a site is stopped whatever is broken there
    ("consortium site down", directory_of_bytes),
}


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
    before = files_under(tmp_path)
    with ordinary_user() if wrong is locked_directory else nullcontext():
        code = run(monkeypatch, words)
    told = capsys.readouterr()
    assert code in (1, 2), f"{words}: {told}"
    assert_spoken(told.out + told.err)
    assert files_under(tmp_path) == before


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
