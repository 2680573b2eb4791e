"""A lock so that only one process coordinates a run, released when that process dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from privacy.errors import ConsortiumError

_PATIENCE_S = 2.0  # `is_led` takes the lock for a moment, which must not fail a run
_PAUSE_S = 0.05


class AlreadyLed(ConsortiumError, RuntimeError, code="already-led"):
    """Another process coordinates the run."""


@contextmanager
def hold_leadership(lock: Path) -> Iterator[None]:
    """Hold the leader lock of a run until the block or the process ends.

    Guarantee: no other process holds it meanwhile, so only one writes the run's checkpoints, logs
    and messages. The kernel holds the lock (flock): after a process is killed, the next one can
    take it at once.

    Args:
        lock: The lock file of the run, created if absent; nothing is written to it.

    Raises:
        AlreadyLed: Another process holds the lock.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until = time.monotonic() + _PATIENCE_S
        while not _try_lock(handle):
            if time.monotonic() > until:
                raise AlreadyLed(
                    f"another process leads the run of {lock}: wait until it ends, or stop it"
                )
            time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(handle)


def is_led(lock: Path) -> bool:
    """Return whether a process holds the leader lock of a run."""
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
