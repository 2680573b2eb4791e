"""The SQLite file behind a site's memory: durable at each commit, safe for several processes."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from privacy.errors import ConsortiumError
from privacy.storage.blob_files import MemoryDamaged
from privacy.storage.secret_files import make_private_directory


@dataclass(frozen=True)
class DatabaseForm:
    """What a database of a site holds.

    Args:
        file: Its name.
        version: Of the tables; another one is left alone.
        tables: Statements that make them.
    """

    file: str
    version: int
    tables: tuple[str, ...]


MEMORY = DatabaseForm(
    "memory.sqlite",
    1,
    (
        "CREATE TABLE epochs (epoch INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL) STRICT",
        "CREATE TABLE openings"
        " (run TEXT PRIMARY KEY, digest BLOB NOT NULL, lineage TEXT NOT NULL) STRICT",
        "CREATE TABLE burned (run TEXT PRIMARY KEY) STRICT",
        "CREATE TABLE answers"
        " (run TEXT, purpose TEXT, server_round INTEGER, attempt INTEGER, request BLOB NOT NULL,"
        " state BLOB NOT NULL, receipt BLOB NOT NULL,"
        " PRIMARY KEY (run, purpose, server_round, attempt)) STRICT",
        "CREATE TABLE files"
        " (run TEXT, purpose TEXT, server_round INTEGER, attempt INTEGER, name TEXT NOT NULL,"
        " digest BLOB NOT NULL, PRIMARY KEY (run, purpose, server_round, attempt)) STRICT",
        "CREATE TABLE small"
        " (run TEXT, purpose TEXT, server_round INTEGER, attempt INTEGER, data BLOB NOT NULL,"
        " PRIMARY KEY (run, purpose, server_round, attempt)) STRICT",
        "CREATE TABLE settled (times INTEGER NOT NULL) STRICT",
        "INSERT INTO settled VALUES (0)",
    ),
)


class MemoryUnavailable(ConsortiumError, RuntimeError):
    """The site's memory cannot be read or written; without it the site must not answer."""

    code = "memory-unavailable"


class SiteDatabase:
    """One connection to the database of a site.

    Guarantee: what `writing` committed is on the disk when it returns; two writers wait for
    each other.

    Args:
        directory: Made with mode 0700 if it is not there.
        form: What it holds.

    Raises:
        MemoryUnavailable: It cannot be opened.
        MemoryDamaged: It was written by another version.
        ExposedSecret: The directory is open to others.
    """

    def __init__(self, directory: Path, form: DatabaseForm = MEMORY) -> None:
        make_private_directory(directory)
        with _unavailable_on_error():
            self._connection = open_sqlite(directory / form.file, synchronous="FULL")
        with self.writing():
            self._prepare(form)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def row(self, query: str, *values: str | int | bytes) -> Any:  # noqa: ANN401
        """Return the first row of a query, or None."""
        with _unavailable_on_error():
            return self._connection.execute(query, values).fetchone()

    def rows(self, query: str, *values: str | int | bytes) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with _unavailable_on_error():
            return self._connection.execute(query, values).fetchall()

    def column(self, query: str, *values: str | int | bytes) -> list[Any]:
        """Return the first column of all rows of a query."""
        with _unavailable_on_error():
            return [row[0] for row in self._connection.execute(query, values)]

    def execute(self, statement: str, *values: str | int | bytes) -> None:
        """Run a statement that returns nothing."""
        with _unavailable_on_error():
            self._connection.execute(statement, values)

    def settle(self) -> None:
        """Make sure, at the commit, that what is not visible now never will be.

        A process killed in the middle of its commit may have written all of it and announced
        none: nobody sees that transaction, until the last connection closes and the next one
        recovers it. A write of our own takes its place in the log.
        """
        self.execute("UPDATE settled SET times = times + 1")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the one writer's place; commit at the end, undo everything on an exception."""
        with _unavailable_on_error(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield

    def _prepare(self, form: DatabaseForm) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in form.tables:
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {form.version}")
        elif version != form.version:
            raise MemoryDamaged(
                f"this memory has version {version}, this program reads {form.version}",
                came=version,
            )


@contextmanager
def _unavailable_on_error() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise MemoryUnavailable(f"this site's memory is not available: {error}") from error


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
        with _directory_lock(path.parent):
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
def _directory_lock(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
