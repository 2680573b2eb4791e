import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consortium.config import RunConfig
from consortium.coordinator.resume import NotResumable, interrupted_config, write_run_config
from consortium.run.directory import RunDirectory
from consortium.run.leader_lock import AlreadyLed, hold_leadership, is_led

LEADS = """
import sys, time
from pathlib import Path
from consortium.run.leader_lock import hold_leadership
with hold_leadership(Path(sys.argv[1])):
    print("leads", flush=True)
    time.sleep(600)
"""


@contextmanager
def another(lock: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Let another process hold the lock."""
    started = [sys.executable, "-c", LEADS, str(lock)]
    with subprocess.Popen(started, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"leads\n"
        try:
            yield process
        finally:
            process.kill()


def test_one_process_leads_and_after_its_death_the_next_one_at_once(tmp_path: Path) -> None:
    lock = tmp_path / "coordinator" / "leader.lock"
    assert not is_led(lock)
    with another(lock) as process:
        assert is_led(lock)
        with (
            pytest.raises(AlreadyLed, match="wait until it ends, or stop it"),
            hold_leadership(lock),
        ):
            pass
        process.kill()
        process.wait()
        assert not is_led(lock)
        with hold_leadership(lock):
            assert is_led(lock)
    assert not is_led(lock)
    assert lock.read_bytes() == b""


def test_who_only_looks_keeps_nobody_out(tmp_path: Path) -> None:
    lock, over = tmp_path / "leader.lock", threading.Event()

    def look() -> None:
        while not over.is_set():
            is_led(lock)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(50):
            with hold_leadership(lock):
                pass
    finally:
        over.set()
        looking.join()


def test_a_run_that_goes_on_is_not_resumed_beside_itself(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with pytest.raises(NotResumable, match="no run was started"):
        interrupted_config(run)
    write_run_config(run, RunConfig())
    with another(run.leader), pytest.raises(AlreadyLed, match="goes on"):
        interrupted_config(run)
    assert interrupted_config(run) == RunConfig()
