"""The package as a user has it: its wheel in an empty environment, outside the repository."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.followed_operation import follow_page
from tests.matrix import built_wheel, run

TRAINS = "train"  # the first scenario and the page learn by gradients


@pytest.fixture(scope="module")
def commands() -> Iterator[Path]:
    """Yield the folder of the commands of an environment that holds the wheel and no more."""
    with tempfile.TemporaryDirectory(prefix="wheel-", dir=os.environ.get("TMPDIR")) as held:
        folder = Path(held)
        wheel, environment = built_wheel(folder), folder / "environment"
        run([sys.executable, "-m", "venv", str(environment)])
        python = str(environment / "bin" / "python")
        run([python, "-m", "pip", "install", "--quiet", f"{wheel}[{TRAINS}]"], inside=folder)
        yield environment / "bin"


def environment_with(commands: Path) -> dict[str, str]:
    """Return an environment in which nothing leads to the repository."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**ours, "PATH": f"{commands}{os.pathsep}/usr/bin{os.pathsep}/bin"}


def said_by(commands: Path, *words: str, inside: Path) -> str:
    """Run a program of the environment, and return what it printed."""
    done = subprocess.run(
        [str(commands / words[0]), *words[1:]],
        cwd=inside,
        env=environment_with(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_installed_package_is_not_the_repository(commands: Path, tmp_path: Path) -> None:
    where = said_by(
        commands, "python", "-c", "import consortium; print(consortium.__file__)", inside=tmp_path
    )
    assert where.startswith(str(commands.parent))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_first_result_needs_no_repository(commands: Path, tmp_path: Path) -> None:
    said = said_by(commands, "scenario", "compare", "bank-credit", inside=tmp_path)
    report = Path(said.strip().splitlines()[-1].removeprefix("report: "))
    assert report.is_relative_to(tmp_path)
    assert report.name == "report.html"
    assert report.exists()


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_walk_through_of_operation_needs_no_repository(commands: Path, tmp_path: Path) -> None:
    follow_page(tmp_path, environment_with(commands))
