import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scenarios.experiments.process_pool import LOADED_ONCE, parallel_processes

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


def parent_and_missing() -> tuple[int, set[str]]:
    """Return which process forked this one, and what this one would still have to load."""
    return os.getppid(), set(LOADED_ONCE) - set(sys.modules)


def test_what_takes_long_to_load_is_loaded_once_for_all_workers() -> None:
    found = []
    for _ in range(2):
        with parallel_processes(1) as pool:
            found.append(pool.submit(parent_and_missing).result())
    (first, missing), again = found
    assert again == (first, missing)
    assert (first == os.getpid(), missing) == (False, set())


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
