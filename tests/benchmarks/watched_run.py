"""What does it cost to watch a run? CPU of `scenario watch`, with a reader, beside the run's."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.consortium.report.watch.test_server import Served, serve

ROUNDS = 40
_RUN = (
    "from scenarios.cli.main import app; "
    f"app(['run', 'bank-credit', '--set', 'num-server-rounds={ROUNDS}', '--out', {{out!r}}])"
)
# the share of a run's CPU
TARGET = 0.01


@dataclass(frozen=True)
class Watching:
    """What a watched run and its page took.

    Args:
        run_cpu_s: CPU of the run, from start to end.
        page_start_cpu_s: CPU of the page until it was first read.
        page_cpu_s: CPU of the page from then to the end of the run.
        seconds: Time from then to the end of the run.
    """

    run_cpu_s: float
    page_start_cpu_s: float
    page_cpu_s: float
    seconds: float

    def figures(self) -> dict[str, float]:
        """Return shares of the run's CPU, and what a second takes."""
        return {
            "share": round(self.page_cpu_s / self.run_cpu_s, 4),
            "start_cpu_s": round(self.page_start_cpu_s, 2),
            "ms_a_second": round(1000 * self.page_cpu_s / self.seconds, 1),
            "run_cpu_s": round(self.run_cpu_s, 1),
            "seconds": round(self.seconds, 1),
        }


def watched_run() -> Watching:
    """Run a scenario of five sites in one process, and read its page all the while."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        code = _RUN.format(out=str(path))
        run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
        _wait_until_begun(path, run)
        served = serve("scenarios.cli.main", str(path))
        page = psutil.Process(served.process.pid)
        read = threading.Event()
        threading.Thread(target=_read_all, args=(served, read), daemon=True).start()
        try:
            read.wait()
            began, before = time.monotonic(), _cpu_s(page)
            _, status, usage = os.wait4(run.pid, 0)
            seconds, after = time.monotonic() - began, _cpu_s(page)
        finally:
            run.returncode = 0  # it was waited for
            served.process.kill()
            served.process.wait()
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), "scenario run")
    return Watching(usage.ru_utime + usage.ru_stime, before, after - before, seconds)


def missed_target(found: Watching) -> list[dict[str, object]]:
    """Return the share if it is above its target."""
    share = found.figures()["share"]
    if share <= TARGET:
        return []
    return [{"what": "watch, share of a run's CPU", "figure": share, "target": TARGET}]


def _wait_until_begun(path: Path, run: subprocess.Popen[bytes]) -> None:
    while not (path / "charter.json").exists():
        if run.poll() is not None:
            raise subprocess.CalledProcessError(run.returncode, "scenario run")
        time.sleep(0.05)


def _read_all(served: Served, read: threading.Event) -> None:
    with served.answer(f"{served.path}changes") as stream:
        while stream.readline():
            read.set()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
