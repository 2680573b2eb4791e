"""Supervise a SuperLink or a SuperNode: restart it when it dies, end all of it on a signal."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import psutil

from consortium.deployment.processes import LaunchFailed, Mark, end_processes, start_program
from privacy.errors import ConsortiumError
from privacy.storage.durable_files import write_atomically

_LOOK_S = 0.5
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_READY_LIMIT_S = 120.0
_STOP_LIMIT_S = 20.0
_HOUR_S = 3_600.0
_MOST_QUOTED = 2_000  # characters
_PID = "supervisor.json"


class AlreadyUp(ConsortiumError, RuntimeError, code="already-up"):
    """The program of this directory is already running."""


class Service(Protocol):
    """A SuperLink or a SuperNode."""

    @property
    def home(self) -> Path:
        """The folder for Flower's own files."""

    @property
    def mark(self) -> Mark:
        """The environment variable that marks all its processes."""

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the service and return once it answers."""

    def is_healthy(self) -> bool:
        """Return whether it answers."""


@dataclass(frozen=True)
class SupervisorState:
    """The running supervisor of a service, as it wrote it down.

    Args:
        pid: The supervisor's process id.
        born: Start time of that process according to the kernel. A pid can be reused; the pair of
            pid and start time cannot.
        since: When the supervisor started, in UTC.
        restarts: How often it restarted the program.
    """

    pid: int
    born: float
    since: datetime
    restarts: int = 0


def supervise_service(
    service: Service,
    *,
    ready: Callable[[], None] = lambda: None,
    hourly: Callable[[], None] = lambda: None,
    often: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Run a service until SIGTERM, SIGHUP or Ctrl-C, and restart it whenever it dies.

    Guarantee: none of its processes is alive afterwards. The pause before a restart doubles from
    one second to one minute, and is reset once the service has run for longer than a minute.

    Args:
        service: The service to run.
        ready: Called after each start.
        hourly: Called after each start and every hour.
        often: Called every half second while the service runs.
        sleep: Pauses for a number of seconds; tests pass their own.

    Raises:
        AlreadyUp: Another supervisor runs the service.
        LaunchFailed: The first start failed.
    """
    service.home.mkdir(exist_ok=True)
    require_not_running(service)
    end_processes(service.mark.marked_processes())  # left behind by a killed supervisor
    pause, restarts = _FIRST_PAUSE_S, 0
    process: subprocess.Popen[bytes] | None = None
    with _stop_requests() as told:
        try:
            process = service.start()
            ready()
            while not told():
                _write_state(service, restarts)
                began = time.monotonic()
                _watch(process, told, hourly=hourly, often=often, sleep=sleep)
                if told():
                    break
                pause = _next_pause(pause, time.monotonic() - began)
                sleep(pause)
                restarts += 1
                process = _restart(service, process, ready)
        finally:
            end_processes(service.mark.marked_processes())
            if process is not None:
                process.wait()
            (service.home / _PID).unlink(missing_ok=True)


def start_detached(words: list[str], service: Service) -> int:
    """Start this command line in the background; return its process id once the service runs.

    Raises:
        AlreadyUp: The service is already running.
        LaunchFailed: It did not start, or not in time; the message says what it said last, and
            names the log.
    """
    service.home.mkdir(exist_ok=True)
    require_not_running(service)
    log = service.home / "supervisor.log"
    written = log.stat().st_size if log.exists() else 0
    process = start_program(
        [sys.executable, "-P", "-m", "consortium.cli.main", *words],
        cwd=Path.cwd(),
        environment=dict(os.environ),
        log=log,
    )
    until = time.monotonic() + _READY_LIMIT_S
    while time.monotonic() < until and process.poll() is None:
        if read_supervisor_state(service) is not None:
            return process.pid
        time.sleep(_LOOK_S)
    if process.poll() is None:
        raise LaunchFailed(f"it did not start within {_READY_LIMIT_S:.0f} s; see {log}")
    said = " ".join(log.read_bytes()[written:].decode(errors="replace").split())
    raise LaunchFailed(f"it did not start: {said[-_MOST_QUOTED:]} (its log is {log})")


def read_supervisor_state(service: Service) -> SupervisorState | None:
    """Return the running supervisor of a service, or None."""
    try:
        held = json.loads((service.home / _PID).read_bytes())
        since = datetime.fromisoformat(held["since"])
        up = SupervisorState(held["pid"], held["born"], since, held["restarts"])
        process = psutil.Process(up.pid)
        same = process.create_time() == up.born and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return None
    return up if same else None


def require_not_running(service: Service) -> None:
    """Check that no supervisor runs a service.

    Raises:
        AlreadyUp: One does.
    """
    up = read_supervisor_state(service)
    if up is not None:
        raise AlreadyUp(
            f"it has been running since {up.since:%Y-%m-%d %H:%M} UTC as process {up.pid}: stop it "
            "with `down` first"
        )


def stop_service(service: Service) -> bool:
    """Stop a service and its supervisor; return whether anything was running."""
    supervisor = _supervisor_processes(service)
    for process in supervisor:
        process.send_signal(signal.SIGTERM)
    psutil.wait_procs(supervisor, timeout=_STOP_LIMIT_S)
    left = service.mark.marked_processes()
    end_processes(left)
    (service.home / _PID).unlink(missing_ok=True)
    return bool(supervisor or left)


def kill_service(service: Service) -> bool:
    """Kill a service and its supervisor, as a power cut would; return whether anything was running.

    Guarantee: every process gets SIGKILL without a request before, and none is alive afterwards.
    Their files stay as they were.
    """
    found = False
    # A process can fork while others are being killed, so look again until none is left.
    while alive := [*_supervisor_processes(service), *service.mark.marked_processes()]:
        found = True
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=_STOP_LIMIT_S)
    return found


def _supervisor_processes(service: Service) -> list[psutil.Process]:
    up = read_supervisor_state(service)
    return [psutil.Process(up.pid)] if up is not None and psutil.pid_exists(up.pid) else []


def _next_pause(pause: float, ran_s: float) -> float:
    return _FIRST_PAUSE_S if ran_s > _LONGEST_PAUSE_S else min(2 * pause, _LONGEST_PAUSE_S)


def _watch(
    process: "subprocess.Popen[bytes]",
    told: Callable[[], bool],
    *,
    hourly: Callable[[], None],
    often: Callable[[], None],
    sleep: Callable[[float], None],
) -> None:
    """Wait until a process dies or the supervisor is told to stop."""
    due = time.monotonic()
    while process.poll() is None and not told():
        if time.monotonic() >= due:
            due += _HOUR_S
            try:
                hourly()
            except (OSError, ConsortiumError) as error:
                print(f"{error}", file=sys.stderr, flush=True)  # noqa: T201 -- its log
        often()
        sleep(_LOOK_S)


def _restart(
    service: Service, dead: "subprocess.Popen[bytes]", ready: Callable[[], None]
) -> "subprocess.Popen[bytes]":
    end_processes(service.mark.marked_processes())
    try:
        process = service.start()
        ready()
    except ConsortiumError as error:
        print(f"{error.code}: {error}", file=sys.stderr, flush=True)  # noqa: T201 -- its log
        return dead
    return process


def _write_state(service: Service, restarts: int) -> None:
    up = {
        "pid": os.getpid(),
        "born": psutil.Process().create_time(),
        "since": datetime.now(UTC).isoformat(),
        "restarts": restarts,
    }
    write_atomically(service.home / _PID, json.dumps(up))


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether a stop signal came; restore the handlers afterwards."""
    told: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: told.append(number))
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
        if signal.getsignal(number) != signal.SIG_IGN  # as `nohup` asks for
    }
    try:
        yield lambda: bool(told)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
