import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from consortium.deployment import processes
from consortium.deployment.processes import (
    Mark,
    end_processes,
    free_port,
    inherited_environment,
    program_path,
    start_program,
    stop_program,
    wait_until,
)

MARK = Mark("CONSORTIUM_TEST_MARK", "here")
SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    f"subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)\n"
    "print('ready', flush=True)\n"
    "time.sleep(600)\n"
)


def started(tmp_path: Path, code: str, value: str = "here") -> "subprocess.Popen[bytes]":
    environment = {**os.environ, MARK.variable: value}
    log = tmp_path / "log"
    command = [sys.executable, "-c", code]
    return start_program(command, cwd=tmp_path, environment=environment, log=log)


def test_a_mark_finds_every_process_and_no_other(tmp_path: Path) -> None:
    ours, other = started(tmp_path, SLEEP), started(tmp_path, SLEEP, "there")
    try:
        assert wait_until(lambda: bool(MARK.marked_processes()), alive=lambda: True, limit_s=10)
        assert [process.pid for process in MARK.marked_processes()] == [ours.pid]
    finally:
        stop_program(ours, MARK)
        other.kill()
        other.wait()
    assert MARK.marked_processes() == []


def test_what_will_not_end_is_ended_and_what_it_left_behind_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_LIMIT_S", 0.3)
    process = started(tmp_path, STUBBORN)
    log = tmp_path / "log"
    assert wait_until(lambda: "ready" in log.read_text(), alive=lambda: True, limit_s=20)
    assert len(MARK.marked_processes()) == 2
    stop_program(process, MARK)
    assert MARK.marked_processes() == []


def test_nobody_is_waited_for_who_is_dead_or_late(tmp_path: Path) -> None:
    assert not wait_until(lambda: False, alive=lambda: False, limit_s=60)
    before = time.monotonic()
    assert not wait_until(lambda: False, alive=lambda: True, limit_s=0.2)
    assert time.monotonic() - before < 5
    end_processes([])


def test_a_program_gets_no_more_of_the_environment_than_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A password in the operator's shell must reach neither Flower nor a bundle."""
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert "DATABASE_PASSWORD" not in inherited_environment()
    assert inherited_environment()["LANG"] == "C.UTF-8"


def test_programs_are_those_of_this_python() -> None:
    assert program_path("flwr") == str(Path(sys.executable).parent / "flwr")
    assert 1_024 <= free_port() < 65_536
