"""Programs in processes forked from one that has loaded the libraries.

To load them takes most of a short run. Of the project itself nothing is loaded before the fork, so
that a program that forgets to load a part of it fails here as it would alone. A program that came
to its end leaves as `multiprocessing` lets its own leave: what it asked for at exit is done, but
the libraries are not taken apart, which would copy all that the fork shares (0.35 s a program).
"""

import atexit
import gc
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = (
    "cryptography.x509",
    "flwr.clientapp",
    "flwr.serverapp",
    "jinja2",
    "matplotlib.backends.backend_mixed",
    "matplotlib.figure",
    "pandera.pandas",
    "psutil",
    "pyarrow.feather",
    "pyarrow.parquet",
    "tenseal.sealapi",
    "torch",
)


class Forked:
    """Starts programs. Use it as a context manager; a program outlives it only if it is killed.

    Args:
        also: Libraries to load besides `LIBRARIES`, where several programs need them.
    """

    def __init__(self, also: Sequence[str] = ()) -> None:
        self._libraries = (*LIBRARIES, *also)

    def __enter__(self) -> "Forked":
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", *self._libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.communicate()

    def run(
        self,
        code: str,
        words: Sequence[str],
        *,
        folder: Path,
        output: Path,
        environment: Mapping[str, str] = os.environ,
    ) -> int:
        """Run a program to its end, as `python -c CODE WORDS`.

        Args:
            code: The program.
            words: Its arguments.
            folder: Where it runs.
            output: Gets what it prints, errors too.
            environment: Its environment.

        Returns:
            Its exit status; of one that was killed, minus the signal.
        """
        asked = {
            "code": code,
            "words": list(words),
            "folder": str(folder),
            "output": str(output),
            "environment": dict(environment),
        }
        assert self._parent.stdin
        assert self._parent.stdout
        print(json.dumps(asked), file=self._parent.stdin, flush=True)
        return int(self._parent.stdout.readline())


def serve(libraries: Sequence[str]) -> None:
    """Fork for each line that comes, and answer with how the child ended."""
    for name in libraries:
        importlib.import_module(name)
    gc.freeze()  # what is never collected stays shared
    answers = os.dup(sys.stdout.fileno())
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.close(answers)
            leave(become(json.loads(line)))
        _, status = os.waitpid(child, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())


def become(asked: Mapping[str, Any]) -> int:
    """Be the program that was asked for; return its exit status.

    What it does not catch ends it as it would end it alone.
    """
    output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = ["-c", *asked["words"]]
    try:
        exec(asked["code"], {"__name__": "__main__"})  # noqa: S102 -- a test's own program
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise  # Python prints it
        return end.code or 0
    return 0


def leave(status: int) -> NoReturn:
    """End the process, after its threads and what is to be done at exit."""
    for one in threading.enumerate():
        if one is not threading.current_thread() and not one.daemon:
            one.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1:])
    leave(0)
