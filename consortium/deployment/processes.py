"""Start the processes of a deployment, find them by an environment variable, and end them all."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil

from consortium.run.logs import LEVEL as LOG_LEVEL
from consortium.run.party_directory import PartyDirectory
from privacy.errors import ConsortiumError

STOP_LIMIT_S = 5.0
_PAUSE_S = 0.1

# For every Flower program: fetch nothing at run time, and send nothing to anybody.
QUIET: Mapping[str, str] = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "PYTHONWARNINGS": "ignore",
}


_INHERITED = (
    "HOME",
    "LANG",
    "LC_ALL",
    "PYTHONPATH",
    "TMPDIR",
    "USER",
    "OMP_NUM_THREADS",
    "TZ",
    LOG_LEVEL,
)


class LaunchFailed(ConsortiumError, RuntimeError, code="launch-failed"):
    """Flower did not start, or the run did not finish; the message names the log."""


@dataclass(frozen=True)
class Mark:
    """An environment variable that identifies the processes of one directory.

    Children inherit it. Unlike the process tree, it also finds a process whose parent is dead or
    that moved to another session.

    Args:
        variable: The name of the variable.
        value: Its value: the directory that the processes belong to.
    """

    variable: str
    value: str

    def marked_processes(self) -> list[psutil.Process]:
        """Return every process with the mark, except this process and its ancestors."""
        ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
        found = []
        for process in psutil.process_iter():
            try:
                marked = process.environ().get(self.variable) == self.value
                if process.pid not in ours and marked:
                    found.append(process)
            except psutil.Error:
                continue
        return found


@dataclass(frozen=True)
class FlowerService:
    """What Flower's two long-running services, the SuperLink and the SuperNode, have in common.

    Args:
        directory: The directory of the coordinator or of the site.
    """

    directory: Path
    role: ClassVar[str]  # the variable of its mark

    @property
    def home(self) -> Path:
        """The folder for Flower's own files."""
        return PartyDirectory(self.directory.resolve()).flower

    @property
    def mark(self) -> Mark:
        """The environment variable that marks all its processes."""
        return Mark(self.role, str(self.directory.resolve()))

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of its processes."""
        return {
            **inherited_environment(),
            **QUIET,
            # Flower starts apps by name: it finds only the shims
            "PATH": str(PartyDirectory(self.directory.resolve()).programs),
            "FLWR_HOME": str(self.home),  # by default all parties of a user share ~/.flwr
            self.mark.variable: self.mark.value,
        }


def end_processes(processes: list[psutil.Process]) -> None:
    """Send SIGTERM to processes, and SIGKILL to those still alive after `STOP_LIMIT_S`."""
    for process in processes:
        _send_signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=STOP_LIMIT_S)
    for process in alive:
        _send_signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=STOP_LIMIT_S)


def stop_program(process: "subprocess.Popen[bytes]", mark: Mark) -> None:
    """Stop a program and all marked processes: children first, while the program still runs."""
    end_processes([one for one in mark.marked_processes() if one.pid != process.pid])
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    end_processes(mark.marked_processes())


def start_program(
    command: list[str], *, cwd: Path, environment: Mapping[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own; append its output to a log."""
    with log.open("a") as output:
        return subprocess.Popen(  # noqa: S603 -- Flower's own program, our own arguments
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C must reach the supervisor only, which stops the rest
        )


def wait_until(ready: Callable[[], bool], *, alive: Callable[[], bool], limit_s: float) -> bool:
    """Wait until `ready` is true; return False at the time limit or when `alive` becomes false."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until and alive():
        if ready():
            return True
        time.sleep(_PAUSE_S)
    return False


def program_path(name: str) -> str:
    """Return the path of a program installed beside this Python interpreter."""
    return str(Path(sys.executable).parent / name)


def inherited_environment() -> dict[str, str]:
    """Return the few environment variables that a started program needs from this process."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def is_answering(url: str, *, timeout_s: float, context: ssl.SSLContext | None = None) -> bool:
    """Return whether an endpoint of a party's own answers.

    Guarantee: no proxy is asked, whatever the environment says: it does not know this machine's
    ports, and a service that runs would be taken for one that does not.

    Args:
        url: The endpoint.
        timeout_s: How long to wait for it.
        context: The certificates to trust, for TLS.
    """
    direct = urllib.request.ProxyHandler({})
    opener = urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=timeout_s):
            return True
    except OSError:  # urllib's own error is one
        return False


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port on which nobody listens at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _send_signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
