"""Who leads a run: one process at a time, and after its death the next one at once."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from privacy.errors import ConsortiumError

_PATIENCE_S = 2.0  # somebody may just be looking whether anybody leads
_PAUSE_S = 0.05


class AlreadyLed(ConsortiumError, RuntimeError):
    """Another process leads the run."""


@contextmanager
def leading(folder: Path) -> Iterator[None]:
    """Lead the run in a directory until the block ends, or the process, however it does.

    Guarantee: on one machine nobody else leads it meanwhile, so no two write its checkpoints,
    logs and questions. It is the kernel's lock of the directory: a process that is killed leaves
    nothing that would keep the next one out.

    Raises:
        AlreadyLed: Another process does.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        until = time.monotonic() + _PATIENCE_S
        while not _locked(handle):
            if time.monotonic() > until:
                raise AlreadyLed(
                    f"another process leads the run in {folder}: wait for its end, or stop it"
                )
            time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(handle)


def is_led(folder: Path) -> bool:
    """Return whether a process leads the run in a directory."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        return not _locked(handle)
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
