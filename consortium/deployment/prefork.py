"""A process that has loaded what a program needs, and is forked each time the program is wanted.

Most of a short answer is the loading of libraries: a site that is asked twenty times a run would
load them twenty times.
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
from typing import NoReturn

_STARTED = "started"


class ForkServer:
    """Starts a program by asking a process that has loaded it to fork.

    The process begins with the first program, and ends when this one does, however it ends.

    Args:
        command: Starts that process, which serves its standard input: see `serve_forks`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start_program(self, arguments: Sequence[str]) -> bool:
        """Start the program with these arguments, and return whether that was done.

        Waits until the process has loaded what it needs. Where it is dead nothing was started: it
        is begun anew with the next program.
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

    def stop(self) -> None:
        """End the process; what it has started goes on."""
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


def serve_forks(load: Callable[[], None], program: Callable[[], object]) -> None:
    """Be that process: load, then fork for each list of arguments that comes; return at the end.

    Guarantee: to the program it is as if it were started alone. It has its own numbers of chance,
    and neither its end nor its death is felt here.

    Args:
        load: Loads what the program needs. It must neither compute nor start threads: they are
            not there after a fork.
        program: Is run with the arguments as `sys.argv[1:]`.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no process waits for those that ended
    asking = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    load()
    gc.collect()
    gc.freeze()  # what is never looked at again stays shared
    with asking, asking.makefile("r") as asked:
        for line in asked:
            if os.fork() == 0:
                os.close(asking.fileno())
                _run_child(program, json.loads(line))
            asking.sendall(f"{_STARTED}\n".encode())


def _run_child(program: Callable[[], object], arguments: Sequence[str]) -> NoReturn:
    """Run the program, and end without taking apart what was loaded."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # the others were drawn anew at the fork
    sys.argv[1:] = arguments
    status = 1
    try:
        program()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 -- as Python does with a program
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
