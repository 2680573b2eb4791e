"""The fork server alone; tests/scenarios/test_deaths.py has it at the sites of a real run."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from consortium.deployment.programs.prefork import (
    MOST_PROCESSES,
    AnsweringProcesses,
    ForkServer,
    LateLibraries,
)

_PROGRAM = """
import importlib, json, os, random, secrets, sys, time
from pathlib import Path
from consortium.deployment.programs.prefork import serve_forks

def load():
    importlib.import_module({library!r})

def program():
    import numpy
    folder = Path(sys.argv[1])
    if {library!r} == "torch":
        import torch
        torch.ones(300, 300) @ torch.ones(300, 300)  # on as many threads as it likes
    drawn = [random.random(), float(numpy.random.rand()), secrets.token_hex()]
    said = dict(drawn=drawn, words=sys.argv[1:], parent=os.getppid(), read=sys.stdin.read())
    said["loaded"] = "colorsys" in sys.modules
    if folder.name.startswith("late"):
        import colorsys, wave
    if folder.name.startswith("slow"):
        (folder / "new").write_text(str(os.getpid()))
        (folder / "new").rename(folder / "pid")
        time.sleep(600)
    (folder / "new").write_text(json.dumps(said))
    (folder / "new").rename(folder / "said")
    if folder.name.startswith("raises"):
        raise ValueError("of the program")
    sys.exit(3)

serve_forks(load, program, late=("colorsys",))
"""


class Office:
    """A fork server, and a folder for each program that it starts."""

    def __init__(self, path: Path, library: str = "numpy") -> None:
        self.path = path
        code = _PROGRAM.format(library=library)
        self.prepared = ForkServer([sys.executable, "-c", code, str(path)])

    @property
    def server(self) -> psutil.Process:
        """The preloaded process."""
        (one,) = (
            child for child in psutil.Process().children() if str(self.path) in child.cmdline()
        )
        return one

    def start(self, name: str = "done") -> Path:
        """Start a program; return its folder."""
        folder = self.path / f"{name}-{secrets.token_hex(4)}"
        folder.mkdir()
        assert self.prepared.start_program([str(folder), "a b", "'\n\""])
        return folder


@pytest.fixture
def office(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Office]:
    there = Office(tmp_path, getattr(request, "param", "numpy"))
    yield there
    there.prepared.stop()


def read(path: Path) -> str:
    """Return a file's content once the file exists."""
    came(path.exists)
    return path.read_text()


def came(true: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("office", ["numpy", "torch"], indirect=True)
def test_every_program_has_its_words_and_nothing_to_read(office: Office) -> None:
    for _ in range(2):
        folder = office.start()
        said = json.loads(read(folder / "said"))
        assert said["words"] == [str(folder), "a b", "'\n\""]
        assert said["read"] == ""
        assert said["parent"] == office.server.pid


def test_no_two_draw_the_same_numbers_of_chance(office: Office) -> None:
    """Noise that two messages share would protect nobody."""
    said = [json.loads(read(office.start() / "said"))["drawn"] for _ in range(3)]
    for drawn in zip(*said, strict=True):
        assert len(set(drawn)) == len(said)


def test_how_one_ends_is_felt_by_no_other_and_none_is_left(office: Office) -> None:
    slow = office.start("slow")
    raising = office.start("raises")
    read(raising / "said")
    os.kill(int(read(slow / "pid")), signal.SIGKILL)
    came(lambda: not office.server.children())
    read(office.start() / "said")


def test_what_few_programs_load_is_loaded_beforehand_once_one_has(office: Office) -> None:
    """Their libraries are in no other process until then; none that is not named ever is."""
    for name, loaded in (("done", False), ("done", False), ("late", False), ("done", True)):
        assert json.loads(read(office.start(name) / "said"))["loaded"] is loaded
        came(lambda: not office.server.children())


def test_what_is_loaded_late_is_told_once_and_nothing_else_is_loaded() -> None:
    libraries = LateLibraries(("colorsys", "chunk_of_nothing"))
    os.write(libraries._tell, bytes([0, 0, 200]))
    libraries.load_used()
    libraries.load_used()
    libraries.tell_used()
    assert "colorsys" in sys.modules
    with pytest.raises(BlockingIOError):
        os.read(libraries._heard, 1)


def test_a_dead_process_starts_nothing_and_is_begun_anew(office: Office) -> None:
    read(office.start() / "said")
    first = office.server
    first.kill()
    assert not office.prepared.start_program([str(office.path)])
    read(office.start() / "said")
    assert office.server.pid != first.pid


def test_what_cannot_be_loaded_starts_nothing(tmp_path: Path) -> None:
    prepared = ForkServer([sys.executable, "-c", "raise SystemExit"])
    assert not prepared.start_program([str(tmp_path)])
    assert not prepared.start_program([str(tmp_path)])
    prepared.stop()


def test_it_ends_with_who_started_it_and_what_it_started_goes_on(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tests.consortium.deployment.test_prefork import Office\n"
        "office = Office(Path(sys.argv[1]))\n"
        "folder = office.start('slow')\n"
        "(office.path / 'started').write_text(f'{office.server.pid} {folder}')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    server, folder = (tmp_path / "started").read_text().split()
    program = psutil.Process(int(read(Path(folder) / "pid")))
    came(lambda: not psutil.pid_exists(int(server)))
    assert program.is_running()
    program.kill()


def test_a_site_takes_no_more_messages_than_it_may_have_processes(office: Office) -> None:
    """However many are sent: they wait in the SuperNode until a process has ended."""
    processes, kinds = AnsweringProcesses(office.prepared), {"clientapp"}
    started: list[Path] = []
    while processes.takeable(kinds) == (kinds, set()):
        folder = office.path / f"slow-{len(started)}"
        folder.mkdir()
        processes.start(["flwr-clientapp", str(folder)])
        started.append(folder)
        assert len(started) <= MOST_PROCESSES
    assert len(started) == office.prepared.running_programs() == MOST_PROCESSES
    assert processes.takeable(kinds) == (set(), set())
    os.kill(int(read(started[0] / "pid")), signal.SIGKILL)
    came(lambda: processes.takeable(kinds) == (kinds, set()))
    office.prepared.stop()
    for folder in started[1:]:
        os.kill(int(read(folder / "pid")), signal.SIGKILL)


def test_processes_that_start_from_scratch_are_counted_too() -> None:
    """Where the fork server is dead, Flower's own way is left."""
    dead = ForkServer([sys.executable, "-c", ""])
    processes, kinds = AnsweringProcesses(dead), {"serverapp"}
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    children = []
    try:
        while processes.takeable(kinds)[0]:
            processes.start(sleep)
            assert len(processes._from_scratch) <= MOST_PROCESSES
        children = list(processes._from_scratch)
        assert len(children) == MOST_PROCESSES
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert processes.takeable(kinds) == (kinds, set())
