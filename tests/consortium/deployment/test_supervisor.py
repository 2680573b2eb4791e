"""Tests of the supervisor, with one sleeping process in place of Flower's programs."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from consortium.deployment.processes import LaunchFailed, Mark, start_program
from consortium.deployment.supervisor import (
    AlreadyUp,
    kill_service,
    read_supervisor_state,
    start_detached,
    stop_service,
    supervise_service,
)

STOP = signal.SIGTERM


@dataclass
class Sleeper:
    """A service; counts its starts.

    Args:
        home: A directory.
        lives: Seconds of each process.
        fails: Starts that fail after the first.
    """

    home: Path
    lives: float = 600
    fails: int = 0
    starts: int = 0
    started: list[int] = field(default_factory=list)

    @property
    def mark(self) -> Mark:
        """The mark of its processes."""
        return Mark("CONSORTIUM_TEST_MARK", str(self.home))

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it, or raise."""
        self.starts += 1
        if 1 < self.starts <= 1 + self.fails:
            raise LaunchFailed("not this time")
        process = start_program(
            [sys.executable, "-c", f"import time; time.sleep({self.lives})"],
            cwd=self.home,
            environment={**os.environ, self.mark.variable: self.mark.value},
            log=self.home / "log",
        )
        self.started.append(process.pid)
        while process.poll() is None and process.pid not in self._seen():
            threading.Event().wait(0.01)  # its environment can be read a moment after it began
        return process

    def _seen(self) -> set[int]:
        return {process.pid for process in self.mark.marked_processes()}

    def is_healthy(self) -> bool:
        """Return that it is healthy."""
        return True


def stopping(after: int, pauses: list[float]) -> Callable[[float], None]:
    """Return a sleep that kills the process soon and sends the signal after some pauses."""

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len([pause for pause in pauses if pause >= 1]) >= after:
            os.kill(os.getpid(), STOP)
        threading.Event().wait(min(seconds, 0.05))

    return sleep


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_told_to_stop_it_stops_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when its terminal closes, which hangs it up."""
    monkeypatch.setattr(sys.modules[__name__], "STOP", number)
    service = Sleeper(tmp_path)
    supervise_service(service, sleep=stopping(0, []))
    assert service.starts == 1
    assert service.mark.marked_processes() == []
    assert read_supervisor_state(service) is None


def test_what_dies_is_started_again_after_pauses_that_double(tmp_path: Path) -> None:
    service = Sleeper(tmp_path, lives=0)
    pauses: list[float] = []
    ready: list[int] = []
    supervise_service(service, ready=lambda: ready.append(1), sleep=stopping(3, pauses))
    assert service.starts >= 3
    assert len(ready) == service.starts
    assert [pause for pause in pauses if pause >= 1][:3] == [2, 4, 8]


def test_what_is_due_every_hour_is_done_at_once_and_an_error_in_it_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Sleeper(tmp_path)
    done: list[int] = []

    def hourly() -> None:
        done.append(len(done))
        raise OSError("the disk is gone")

    def sleep(_seconds: float) -> None:
        if done:
            os.kill(os.getpid(), STOP)

    supervise_service(service, hourly=hourly, sleep=sleep)
    assert done == [0]
    assert service.starts == 1
    assert "the disk is gone" in capsys.readouterr().err


def test_a_restart_that_fails_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Sleeper(tmp_path, lives=0, fails=2)
    supervise_service(service, sleep=stopping(4, []))
    assert service.starts >= 4
    assert "launch-failed: not this time" in capsys.readouterr().err


def test_a_service_that_never_starts_is_an_error(tmp_path: Path) -> None:
    service = Sleeper(tmp_path)
    service.starts, service.fails = 1, 5
    with pytest.raises(LaunchFailed):
        supervise_service(service)
    assert read_supervisor_state(service) is None


def test_nobody_supervises_what_is_supervised(tmp_path: Path) -> None:
    service = Sleeper(tmp_path)
    seen: list[bool] = []

    def second(_seconds: float) -> None:
        with pytest.raises(AlreadyUp):
            supervise_service(service)
        up = read_supervisor_state(service)
        seen.append(up is not None and up.pid == os.getpid() and up.restarts == 0)
        os.kill(os.getpid(), STOP)

    supervise_service(service, sleep=second)
    assert seen == [True]


def test_what_a_killed_supervisor_left_is_ended_before_the_next_begins(tmp_path: Path) -> None:
    service = Sleeper(tmp_path)
    orphan = service.start()
    supervise_service(service, sleep=stopping(0, []))
    orphan.wait(5)
    assert len(service.started) == 2
    assert service.mark.marked_processes() == []


def test_bringing_down_ends_all_and_says_whether_there_was_anything(tmp_path: Path) -> None:
    service = Sleeper(tmp_path)
    orphan = service.start()
    assert stop_service(service)
    orphan.wait(5)
    assert not stop_service(service)


def noted(service: Sleeper, process: psutil.Process, *, born: float) -> None:
    """Write a supervisor's state in the name of another process."""
    note = {"pid": process.pid, "born": born, "since": "2026-01-01T00:00:00+00:00", "restarts": 0}
    (service.home / "supervisor.json").write_text(json.dumps(note))


def test_a_power_cut_ends_supervisor_and_service_unasked(tmp_path: Path) -> None:
    service = Sleeper(tmp_path)
    program = service.start()
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    supervisor = subprocess.Popen([sys.executable, "-c", deaf])
    process = psutil.Process(supervisor.pid)
    noted(service, process, born=process.create_time())
    assert kill_service(service)
    assert not psutil.pid_exists(program.pid)
    assert not psutil.pid_exists(supervisor.pid)
    program.wait()  # psutil has mourned them already
    supervisor.wait()
    assert not kill_service(service)


def test_another_process_under_the_number_of_a_dead_supervisor_is_left_alone(
    tmp_path: Path,
) -> None:
    """This is the state after a reboot."""
    service = Sleeper(tmp_path)
    innocent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    noted(service, psutil.Process(innocent.pid), born=1.0)
    assert read_supervisor_state(service) is None
    assert not stop_service(service)
    assert not kill_service(service)
    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


def test_a_supervisor_that_is_dead_and_unmourned_supervises_nothing(tmp_path: Path) -> None:
    service = Sleeper(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    process = psutil.Process(dead.pid)
    noted(service, process, born=process.create_time())
    while process.status() != psutil.STATUS_ZOMBIE:
        threading.Event().wait(0.01)
    assert read_supervisor_state(service) is None
    dead.wait()


def test_a_command_line_that_does_not_come_up_is_an_error_that_quotes_and_names_its_log(
    tmp_path: Path,
) -> None:
    """Only what it said this time: nobody should have to open a log for it."""
    (tmp_path / "supervisor.log").write_text("an older failure\n")
    with pytest.raises(LaunchFailed, match=r"start: Usage.*no-such-command.*supervisor\.log"):
        start_detached(["no-such-command"], Sleeper(tmp_path))
    assert "no-such-command" in (tmp_path / "supervisor.log").read_text()


@pytest.mark.parametrize("text", ["", "{", "{}", '{"pid": 1}'])
def test_a_note_that_cannot_be_read_is_of_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "supervisor.json").write_text(text)
    assert read_supervisor_state(Sleeper(tmp_path)) is None
