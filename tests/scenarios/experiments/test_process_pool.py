import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scenarios.experiments.process_pool import parallel_processes

AHEAD = """
import os, sys
from scenarios.experiments.process_pool import load_ahead, parallel_processes
if __name__ == "__main__":
    load_ahead(["colorsys"])
    os.environ["SET_LATER"] = "yes"
    with parallel_processes(1) as pool:
        print(pool.submit(eval, "'colorsys' in __import__('sys').modules").result())
        print(pool.submit(os.getenv, "SET_LATER").result())
        print("colorsys" in sys.modules)
"""
PROGRAM = """
import os, time
from scenarios.experiments.process_pool import parallel_processes
if __name__ == "__main__":
    with parallel_processes(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


def test_work_runs_in_other_processes() -> None:
    with parallel_processes(1) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()
        assert list(pool.map(abs, [-1, 2])) == [1, 2]


def test_what_is_loaded_ahead_is_there_in_a_worker_with_the_environment_of_now(
    tmp_path: Path,
) -> None:
    """And is not loaded here."""
    program = tmp_path / "program.py"
    program.write_text(AHEAD)
    root = Path(__file__).parents[3]
    said = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["True", "yes", "False"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_started_it(tmp_path: Path, how: signal.Signals) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    root = Path(__file__).parents[3]
    starter = subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    worker = psutil.Process(int(starter.stdout.readline()))
    starter.send_signal(how)
    starter.communicate()
    until = time.monotonic() + 60
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, "the worker lives on"
        time.sleep(0.05)
