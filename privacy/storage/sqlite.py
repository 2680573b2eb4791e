"""SQLite databases of a site: durable at each commit, safe for several processes."""

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
    """The schema of a database.

    Args:
        file: Name of its file.
        version: Version of the tables; a database of another version is refused.
        tables: Statements that create the tables.
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
    """The site's memory cannot be read or written. Without it the site must not answer."""

    code = "memory-unavailable"


class SiteDatabase:
    """One connection to the database of a site.

    Guarantee: what `writing` committed is on the disk when it returns. Two writers wait for each
    other.

    Args:
        directory: Created with mode 0700 if it does not exist.
        form: The schema.

    Raises:
        MemoryUnavailable: The database cannot be opened.
        MemoryDamaged: Another version wrote it.
        ExposedSecret: Other users can access the directory.
    """

    def __init__(self, directory: Path, form: DatabaseForm = MEMORY) -> None:
        make_private_directory(directory)
        with _unavailable_on_error():
            self._connection = open_sqlite(directory / form.file, synchronous="FULL")
        with self.writing():
            self._prepare(form)

    def close(self) -> None:
        """Close the database."""
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
        """Run a statement that returns no rows."""
        with _unavailable_on_error():
            self._connection.execute(statement, values)

    def settle(self) -> None:
        """Make sure, at the commit, that no transaction invisible now becomes visible later.

        A process that is killed in the middle of its commit may have written a whole transaction
        to the write-ahead log without announcing it. No connection sees that transaction, until the
        last connection closes and the next one recovers the log. A write of our own overwrites it.
        """
        self.execute("UPDATE settled SET times = times + 1")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock; commit at the end, roll back on an exception."""
        with _unavailable_on_error(), self._connection:
            # IMMEDIATE takes the write lock before the first read, so what was read still holds at
            # the commit.
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
                f"version {form.version} of {form.file} is needed, got version {version}: use "
                "the program that wrote it",
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
    """Open a database with a write-ahead log; create it with mode 0600 if it does not exist.

    Guarantee: several processes may open it at the same moment. Two writers wait for each other.
    With FULL a commit survives the death of the machine, with NORMAL the death of the process. The
    connection starts no transaction by itself.

    Args:
        path: A file in an existing directory.
        synchronous: Durability of a commit (SQLite, PRAGMA synchronous).

    Raises:
        sqlite3.Error: The file is not a database, or cannot be read or written.
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
        # This is why opening is exclusive: to change the journal mode of a new database, SQLite
        # does not wait for a lock, it fails.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    # With EXCL an existing file is not opened: closing a second handle on a database would drop all
    # POSIX locks that SQLite holds on it. SQLite gives the files beside it the same mode.
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
