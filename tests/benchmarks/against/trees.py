"""A tree to measure: the files of a revision, and a Python that has what they need."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAMS = Path(__file__).with_name("programs.py")


@dataclass(frozen=True)
class Tree:
    """Files and the Python to run them with.

    Args:
        path: The root of the files.
        python: An interpreter with the libraries that they need.
    """

    path: Path
    python: Path

    def figures(self, program: Sequence[str]) -> dict[str, float]:
        """Return the figures of a program of `programs`, run in this tree.

        Raises:
            SystemExit: It failed; its last words are repeated.
        """
        command = [str(self.python), "-P", str(PROGRAMS), *program]
        with tempfile.TemporaryDirectory() as folder:
            ended = subprocess.run(
                command,
                env=self._environment(),
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
        if ended.returncode:
            raise SystemExit(f"{' '.join(program)} in {self.path}: {ended.stderr[-2000:]}")
        figures: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
        return figures

    def _environment(self) -> dict[str, str]:
        """Return the environment: this tree before all others, one thread, compiled files kept."""
        kept = {name: one for name, one in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**kept, "PYTHONPATH": str(self.path), "OMP_NUM_THREADS": "1"}


def this_tree() -> Tree:
    """Return the tree of this file, with the Python that runs it."""
    return Tree(ROOT, Path(sys.executable))


@contextmanager
def tree_of_revision(revision: str, *, environment: Path | None) -> Iterator[Tree]:
    """Yield a revision's files in a temporary folder, which is removed afterwards.

    Args:
        revision: As git names it.
        environment: A virtual environment that has what the revision needs; without one, a new
            one is made from the revision's own pins.

    Raises:
        CalledProcessError: There is no such revision, or its pins cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="against-") as folder:
        path = Path(folder) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(path), revision)
        try:
            chosen = environment or _new_environment(path, Path(folder) / "environment")
            yield Tree(path, chosen.absolute() / "bin" / "python")
        finally:
            _git("worktree", "remove", "--force", str(path))


def _git(*arguments: str) -> None:
    command = ["git", "-C", str(ROOT), *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr)


def _new_environment(tree: Path, folder: Path) -> Path:
    """Install what a tree needs, as its `make install` would, but for the tools of developers."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, stdout=sys.stderr)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, "--editable", f"{tree}[all]"], check=True, stdout=sys.stderr)
    return folder
