"""The simulation engine: the same model as elsewhere, and no process left behind."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from consortium.config import Scalar
from consortium.run.directory import ENVIRONMENT, RunDirectory
from consortium.run.records import Summary, read_record
from scenarios.cli.main import app
from tests.scenarios.conftest import done

TWO: dict[str, Scalar] = {"num-server-rounds": 2}
FLOOR: dict[str, Scalar] = {"min-local-steps": 24}  # above the passes of two of the four sites
README = Path(__file__).parents[2] / "README.md"


def processes_of(run: Path) -> list[int]:
    """Return the living processes that were started for a run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(ENVIRONMENT) == str(run) and process.pid != os.getpid():
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def recorder_of(make: Callable[..., str], made: list[str]) -> Callable[..., str]:
    """Return a function that makes directories and records them in `made`."""

    def remembering(**named: Any) -> str:
        made.append(make(**named))
        return made[-1]

    return remembering


def folder_of_ray(pids: list[int]) -> Path:
    """Return where Ray has its sockets: the path of a run directory is too long for them."""
    return Path(psutil.Process(pids[0]).environ()["RAY_TMPDIR"])


def documented_command() -> list[str]:
    """Return the words of the command in the README."""
    (line,) = re.findall(r"^\$ (scenario run .*--engine simulation.*)$", README.read_text(), re.M)
    return shlex.split(line)[1:]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param({"aggregation": "encrypted", **FLOOR}, id="encrypted"),
        pytest.param({"aggregation": "clear", **FLOOR}, id="clear", marks=pytest.mark.slow),
    ],
)
def test_every_engine_gives_the_same_model_and_leaves_nothing_behind(
    chosen: dict[str, Scalar], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is that of the README."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    made: list[str] = []
    monkeypatch.setattr("tempfile.mkdtemp", recorder_of(tempfile.mkdtemp, made))
    here = done("heart-diagnosis", tmp_path, {**TWO, **chosen}).summary
    run = RunDirectory(tmp_path / "there")
    others = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
    told = CliRunner().invoke(app, [*documented_command(), *others, "--out", str(run.path)])
    assert told.exit_code == 0, told.output
    there = read_record(run.summary, Summary)
    assert there.model_digest == here.model_digest
    assert there.metrics == here.metrics
    assert there.quarantined == []
    assert processes_of(run.path) == []
    assert (run.path / "flower" / "config.toml").exists()
    assert (run.path / "app").is_dir()
    assert {path.name for path in home.glob("*/*")} <= {"matplotlib"}  # as of every report
    assert {path.name for path in home.iterdir()} <= {".cache", ".config"}
    assert made
    assert not any(Path(folder).exists() for folder in made)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("whole_group", [True, False], ids=["ctrl-c", "kill -INT"])
def test_an_interrupted_simulation_leaves_nothing_behind(
    tmp_path: Path, *, whole_group: bool
) -> None:
    """A terminal interrupts all processes in the foreground; kill interrupts only one."""
    run = tmp_path / "run"
    program = Path(sys.executable).parent / "scenario"
    command = [str(program), "run", "heart-diagnosis", "--engine", "simulation", "--out", str(run)]
    process = subprocess.Popen(
        [*command, "--set", "num-server-rounds=500"],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 180  # Ray starts slowly where other tests run
    while not (run / "metrics.jsonl").exists() and time.monotonic() < until:
        time.sleep(0.2)
    ray = folder_of_ray(processes_of(run))
    assert ray.exists()
    if whole_group:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=110)
    assert process.returncode == 130
    assert "interrupted; nothing was left running" in said
    assert processes_of(run) == []
    assert not ray.exists()
