"""SQLite files of a site: opened in one way, by several processes at once if need be."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

_PATIENCE_S = 60.0


def open_sqlite(path: Path, *, synchronous: Literal["NORMAL", "FULL"]) -> sqlite3.Connection:
    """Open a database with a write-ahead log, made with mode 0600 if it is not there.

    Guarantee: processes that open it at the same moment all get it; two writers wait for each
    other. With FULL a commit survives the death of the machine, with NORMAL that of the process.
    The connection begins no transaction by itself.

    Args:
        path: In a directory that is there.
        synchronous: How far a commit goes (SQLite, PRAGMA synchronous).

    Raises:
        sqlite3.Error: It is no database, or cannot be read or written.
    """
    try:
        _create(path)
        with _alone(path.parent):
            return _connect(path, synchronous)
    except OSError as error:
        raise sqlite3.OperationalError(f"unable to open {path}: {error.strerror}") from error


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    try:
        # Two at once may not: SQLite does not wait to change a new database's journal, it fails.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    # Only where there is none: closing a second handle on a database drops SQLite's locks on it.
    # SQLite gives the files beside it the same mode.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with suppress(FileExistsError):
        os.close(os.open(path, flags, 0o600))


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
