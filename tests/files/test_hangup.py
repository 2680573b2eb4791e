"""However a simulation is ended, nothing of it goes on."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from consortium.deployment.processes import Mark, end_processes, wait_until
from consortium.run.directory import ENVIRONMENT, RunDirectory

START_LIMIT_S = 120
STOP_LIMIT_S = 60
LEAVE_LIMIT_S = 15


@contextmanager
def simulated(run: RunDirectory) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a long simulation from a terminal of its own; end all of it, and what Ray wrote."""
    command = [str(Path(sys.executable).parent / "scenario"), "run", "heart-diagnosis"]
    options = ["--engine", "simulation", "--set", "num-server-rounds=500", "--out", str(run.path)]
    process = subprocess.Popen([*command, *options], start_new_session=True)
    rays: set[str] = set()
    try:
        running = wait_until(
            run.metrics.exists, alive=lambda: process.poll() is None, limit_s=START_LIMIT_S
        )
        if not running:
            pytest.fail("the simulation did not come to the end of its first round")
        rays = {one.environ()["RAY_TMPDIR"] for one in family(run)}
        yield process
    finally:
        process.kill()
        process.wait()
        end_processes(family(run))
        for folder in rays:
            shutil.rmtree(folder, ignore_errors=True)


def family(run: RunDirectory) -> list[psutil.Process]:
    """Return the processes that were started for a run and are alive."""
    return Mark(ENVIRONMENT, str(run.path)).marked_processes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=lambda one: one.name)
def test_a_simulation_ends_with_its_command(number: signal.Signals, tmp_path: Path) -> None:
    """When its terminal closes, and when a scheduler ends the job."""
    run = RunDirectory(tmp_path / "run")
    with simulated(run) as process:
        process.send_signal(number)
        assert process.wait(STOP_LIMIT_S) == 128 + number
        assert wait_until(lambda: not family(run), alive=lambda: True, limit_s=LEAVE_LIMIT_S)
