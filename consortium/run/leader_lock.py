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

    code = "already-led"


@contextmanager
def hold_leadership(lock: Path) -> Iterator[None]:
    """Lead a run until the block ends, or the process, however it does.

    Guarantee: nobody else leads it meanwhile, so no two write its checkpoints, logs and questions.
    The lock is the kernel's: a process that is killed leaves nothing that keeps the next one out.

    Args:
        lock: The run's file for it, made if it is not there; nothing is written to it.

    Raises:
        AlreadyLed: Another process does.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until = time.monotonic() + _PATIENCE_S
        while not _try_lock(handle):
            if time.monotonic() > until:
                raise AlreadyLed(
                    f"another process leads the run of {lock}: wait for its end, or stop it"
                )
            time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(handle)


def is_led(lock: Path) -> bool:
    """Return whether a process leads a run."""
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(handle)
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
