"""A fork server: a process that preloads a program's libraries and forks once per execution.

Loading libraries takes most of the time of a short answer, and Flower starts a new process for
each message. The fork server loads them once.
"""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

import psutil

_STARTED = "started"
MOST_PROCESSES = 4  # a site answers one message of a run at a time; a second run may be begun
ANSWERING_PROGRAM = "flwr-clientapp"


class ForkServer:
    """Starts a program by asking a preloaded process to fork.

    The preloaded process starts with the first program. It ends when this process ends, even if
    this process is killed, because its standard input then closes.

    Args:
        command: Starts the preloaded process, which must call `serve_forks`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start_program(self, arguments: Sequence[str]) -> bool:
        """Start the program with these arguments; return whether it was started.

        Blocks until the preloaded process has loaded its libraries. If that process is dead,
        nothing is started, and the next call starts a new one.
        """
        if self._process is None:
            self._launch()
        try:
            print(json.dumps(list(arguments)), file=self._asked, flush=True)
            done = self._asked.readline().strip() == _STARTED
        except OSError:
            done = False
        if not done:
            self.stop()
        return done

    def running_programs(self) -> int:
        """Return how many programs it has forked that still run."""
        if self._process is None:
            return 0
        try:
            children = psutil.Process(self._process.pid).children()
        except psutil.NoSuchProcess:  # programs of a dead server are not counted any more
            return 0
        return len(children)

    def stop(self) -> None:
        """Kill the preloaded process. Programs it has already forked keep running."""
        if self._process is not None:
            self._socket.close()
            self._process.kill()
            self._process.wait()
            self._process = None

    def _launch(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._asked = self._socket.makefile("rw")
        with theirs:
            self._process = subprocess.Popen(self._command, stdin=theirs.fileno())  # noqa: S603 -- the gate's own


class AnsweringProcesses:
    """The processes that answer messages at a site: forked if possible, and never too many.

    Args:
        prepared: The fork server that starts them.
    """

    def __init__(self, prepared: ForkServer) -> None:
        self._prepared = prepared
        self._from_scratch: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: Sequence[str], *, stdout: int | None = None, stderr: int | None = None
    ) -> None:
        """Start a process for a message."""
        if command[0] != ANSWERING_PROGRAM or not self._prepared.start_program(command[1:]):
            process = subprocess.Popen(  # noqa: S603 -- of our own PATH
                command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
            )
            self._from_scratch.append(process)

    def takeable(self, kinds: set[str]) -> tuple[set[str], set[str]]:
        """Return the kinds of messages that may be taken now, as Flower's executor is asked."""
        self._from_scratch = [one for one in self._from_scratch if one.poll() is None]
        running = len(self._from_scratch) + self._prepared.running_programs()
        return (kinds if running < MOST_PROCESSES else set()), set()


class LateLibraries:
    """Libraries that the preloaded process loads once a program has loaded them itself.

    So what few programs need is in no process before one of them does, and is loaded at most twice.

    Args:
        names: Modules that a program may import, at most 256. Nothing else is loaded, whatever a
            program tells.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._loaded = {place for place, name in enumerate(names) if name in sys.modules}
        self._heard, self._tell = os.pipe()
        for end in (self._heard, self._tell):
            os.set_blocking(end, False)

    def load_used(self) -> None:
        """Load what programs have told."""
        try:
            told = {*os.read(self._heard, 1 << 12)}
        except BlockingIOError:
            return
        for place in told - self._loaded:
            if place < len(self._names):
                import_module(self._names[place])
                self._loaded.add(place)
        _freeze()

    def tell_used(self) -> None:
        """Tell, from a program, what it has loaded itself."""
        used = [place for place, name in enumerate(self._names) if name in sys.modules]
        with suppress(BlockingIOError):  # others have told more than was read: it is known
            os.write(self._tell, bytes(place for place in used if place not in self._loaded))


def serve_forks(
    load: Callable[[], None], program: Callable[[], object], *, late: Sequence[str] = ()
) -> None:
    """Serve fork requests: preload, then fork one child per argument list; return at end of input.

    Guarantee: the program behaves as if started alone. It has its own random state, and neither
    its exit nor a crash affects this process.

    Args:
        load: Loads the program's libraries. It must not start threads, which do not survive a
            fork, nor compute with a library that starts them.
        program: Runs in the child, with the arguments as `sys.argv[1:]`.
        late: Libraries that are loaded here once a program has loaded them (`LateLibraries`).
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for children: no zombies
    # Move the socket off standard input, so that a child cannot read requests from it.
    asking = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    load()
    libraries = LateLibraries(late)
    _freeze()
    with asking, asking.makefile("r") as asked:
        for line in asked:
            libraries.load_used()
            if os.fork() == 0:
                os.close(asking.fileno())
                _run_child(program, json.loads(line), libraries)
            asking.sendall(f"{_STARTED}\n".encode())


def _freeze() -> None:
    gc.collect()
    gc.freeze()  # the collector would write to every object and so unshare its memory page


def _run_child(
    program: Callable[[], object], arguments: Sequence[str], libraries: LateLibraries
) -> NoReturn:
    """Run the program, then exit without interpreter teardown (`os._exit`), which takes long."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # Python reseeds `random` at a fork, but not numpy
    sys.argv[1:] = arguments
    status = 1
    try:
        program()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 -- prints a traceback, as the interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        libraries.tell_used()
        os._exit(status)
