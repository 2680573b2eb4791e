"""How each store of a site uses SQLite: one way to open, write, report errors, and close.

A store declares what it holds in a `DatabaseForm` and is a `SiteStore`. Several
processes of a site may use the same file at the same time.
"""

import fcntl
import itertools
import os
import sqlite3
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from privacy.errors import ConsortiumError
from privacy.storage.blob_files import MemoryDamaged
from privacy.storage.deferred_sync import deferral_of, nothing_deferred
from privacy.storage.secret_files import make_private_directory

_PATIENCE_S = 60.0
_PAUSE_S = 0.01
_OPEN: "weakref.WeakSet[SiteDatabase]" = weakref.WeakSet()
_MOST_CONNECTED = 256  # a connection takes about 130 KB and three files
_OF_ONE_SITE = 16  # databases that the site which is asked now may use, by far
_AT_ONCE = 8  # are let go together, because it takes a while to find out which
_CONNECTED: "weakref.WeakSet[SiteDatabase]" = weakref.WeakSet()
_USES = itertools.count(1)


class MemoryUnavailable(ConsortiumError, RuntimeError, code="memory-unavailable"):
    """The site's memory cannot be read or written. Without it the site must not answer."""


@dataclass(frozen=True, kw_only=True)
class DatabaseForm:
    """What a database of a site holds.

    Args:
        file: Its name.
        tables: Statements that make them. They must not fail where version 0.1.0 made a table
            without stating a version.
        later_tables: Statements that make what later versions added. They run whenever the file is
            opened, so a file of an earlier version gets them too; each must allow for that.
        version: Of the tables; another one is left alone.
        synchronous: How far a commit goes: with FULL it survives the death of the machine, with
            NORMAL that of the process (SQLite, PRAGMA synchronous).
        erases: Whether what is deleted is overwritten; with `SiteDatabase.empty_log` it is gone.
        unavailable: The error that says that it cannot be read or written.
        holds: What it is, in the text of that error.
    """

    file: str
    tables: tuple[str, ...]
    later_tables: tuple[str, ...] = ()
    version: int = 1
    synchronous: Literal["NORMAL", "FULL"] = "FULL"
    erases: bool = False
    unavailable: type[ConsortiumError] = MemoryUnavailable
    holds: str = "this site's memory"


class _UnavailableOnError:
    """Raises what a form says in the place of an error of SQLite or the system.

    A class, because a generator would take longer than many a query.
    """

    def __init__(self, form: DatabaseForm) -> None:
        self._form = form

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ConsortiumError):  # some of the refusals are an OSError too
            return
        if isinstance(error, (sqlite3.Error, OSError)):
            form = self._form
            raise form.unavailable(f"{form.holds} cannot be read or written: {error}") from error


class SiteDatabase:
    """One connection to a database of a site, held while it is among the last ones used.

    Guarantee: what `writing` committed is kept, as far as `form.synchronous` says, when it
    returns. Of what is committed within `deferred_syncs`, that holds when it ends. Processes that
    open the file at the same moment all get it; two writers wait for each other. Before a fork the
    connection is closed, and both processes open it again at its next use: SQLite's locks do not
    survive a fork. Where that is impossible, because the fork comes within a transaction or from
    another thread, the child is refused.

    Args:
        directory: Created with mode 0700 if it does not exist.
        form: The schema.

    Raises:
        form.unavailable: The database cannot be opened.
        MemoryDamaged: Another version wrote it.
        ExposedSecret: Other users can access the directory.
    """

    def __init__(self, directory: Path, form: DatabaseForm) -> None:
        make_private_directory(directory)
        self._path, self._form, self._closed = directory / form.file, form, False
        self._unavailable = _UnavailableOnError(form)
        self._held: sqlite3.Connection | None = None
        self._synchronous: str = form.synchronous
        self._process = 0
        self._last_use = 0
        try:
            with self.writing():
                self._prepare()
        except BaseException:
            self.close()
            raise
        _OPEN.add(self)

    def close(self) -> None:
        """Close the database."""
        self._closed = True
        self._let_go()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def touch(self) -> None:
        """Write, within `writing`, what stands there already: its commit syncs all before it."""
        self.execute(f"PRAGMA user_version = {self._form.version}")

    def sync(self) -> None:
        """Sync to the disk what was committed, by any process; within `deferred_syncs`, too."""
        with nothing_deferred(), self.writing():
            self.touch()

    def row(self, query: str, *values: str | float | bytes) -> Any:  # noqa: ANN401
        """Return the first row of a query that only reads, or None."""
        with self._unavailable:
            return self._connection.execute(query, values).fetchone()

    def rows(self, query: str, *values: str | float | bytes) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._unavailable:
            return self._connection.execute(query, values).fetchall()

    def column(self, query: str, *values: str | float | bytes) -> list[Any]:
        """Return the first column of all rows of a query."""
        with self._unavailable:
            return [row[0] for row in self._connection.execute(query, values)]

    def execute(self, statement: str, *values: str | float | bytes) -> int:
        """Run a statement; return how many rows it inserted, changed or deleted."""
        with self._unavailable:
            return self._connection.execute(statement, values).rowcount

    def execute_each(self, statement: str, rows: Iterable[tuple[str | float | bytes, ...]]) -> None:
        """Run a statement once for each row of values."""
        with self._unavailable:
            self._connection.executemany(statement, rows)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock; commit at the end, roll back on an exception.

        Within another such block it is part of that one: one commit for both.
        """
        if self._is_writing:
            yield
            return
        with self._unavailable, self._connection as connection:
            self._choose_sync(connection)
            # IMMEDIATE takes the write lock before the first read, so what was read still holds at
            # the commit.
            connection.execute("BEGIN IMMEDIATE")
            yield

    def empty_log(self) -> bool:
        """Write the write-ahead log into the file and empty it: nothing deleted is left in it.

        Return whether that came about: not if another process reads for as long as this waits.
        """
        until = time.monotonic() + _PATIENCE_S
        while self.row("PRAGMA wal_checkpoint(TRUNCATE)")[0]:
            # SQLite waits for who reads, but not for who moves the log into the file meanwhile.
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE_S)
        return True

    def disconnect(self) -> None:
        """Let go of the file until it is used again, if no transaction is under way."""
        with suppress(sqlite3.Error):  # another thread's connection stays, and the child is refused
            if self._held is not None and not self._held.in_transaction:
                self._let_go()

    @property
    def _is_writing(self) -> bool:
        with self._unavailable:
            return self._connection.in_transaction

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._closed:
            raise sqlite3.ProgrammingError(f"{self._path} was closed")
        if self._held is None:
            self._synchronous = self._form.synchronous
            self._held = _open_connection(self._path, self._form, known=self in _OPEN)
            self._process = os.getpid()
            _CONNECTED.add(self)
            _disconnect_others(self)
        self._last_use = next(_USES)
        if self._process != os.getpid():
            raise sqlite3.ProgrammingError(f"{self._path} was in use when this process was forked")
        return self._held

    def _choose_sync(self, connection: sqlite3.Connection) -> None:
        """Let the next commit sync, or leave that to who defers it."""
        chosen = "NORMAL" if deferral_of(self._path) else self._form.synchronous
        if chosen != self._synchronous:
            connection.execute(f"PRAGMA synchronous = {chosen}")
            self._synchronous = chosen

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        if self._process != os.getpid():
            self._held = held  # to close it here would drop the parent's locks
            return
        try:
            held.close()
        except sqlite3.Error:
            self._held = held
            raise
        _CONNECTED.discard(self)

    def _prepare(self) -> None:
        version = self.row("PRAGMA user_version")[0]
        if version == 0:
            for statement in self._form.tables:
                self.execute(statement)
            self.execute(f"PRAGMA user_version = {self._form.version}")
        elif version != self._form.version:
            raise MemoryDamaged(
                f"version {self._form.version} of {self._form.file} is needed, got version "
                f"{version}: use the program that wrote it",
                came=version,
            )
        for statement in self._form.later_tables:
            self.execute(statement)


class SiteStore:
    """What a site keeps in a database of its own; a context manager that closes it.

    A kind of store is a subclass that says in `form` what its database holds.

    Args:
        directory: Created with mode 0700 if it does not exist.

    Raises:
        form.unavailable: The database cannot be opened.
        MemoryDamaged: Another version wrote it.
        ExposedSecret: Other users can access the directory.
    """

    form: ClassVar[DatabaseForm]

    def __init__(self, directory: Path) -> None:
        self._database = SiteDatabase(directory, self.form)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    @property
    def database(self) -> SiteDatabase:
        """Its database."""
        return self._database

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _close_all_before_fork() -> None:
    for database in list(_OPEN):
        database.disconnect()


def _disconnect_others(wanted: SiteDatabase) -> None:
    """Let go of connections of other sites, if a process that is many sites has too many."""
    if len(_CONNECTED) <= _MOST_CONNECTED:
        return
    too_many = len(_CONNECTED) - _MOST_CONNECTED + _AT_ONCE - 1
    by_use = sorted((one for one in _CONNECTED if one is not wanted), key=attrgetter("_last_use"))
    # What was not used since the wanted one was is of a run that is over.
    idle = [one for one in by_use[:too_many] if one._last_use < wanted._last_use]
    # Sites are asked in turn: the one that was asked last is asked again last.
    latest = len(by_use) - _OF_ONE_SITE
    for database in [*idle, *by_use[latest - too_many + len(idle) : latest]]:
        database.disconnect()


os.register_at_fork(before=_close_all_before_fork)


def _open_connection(path: Path, form: DatabaseForm, *, known: bool) -> sqlite3.Connection:
    """Return a connection with a write-ahead log; it begins no transaction by itself.

    Args:
        path: The file.
        form: What the database holds, and how far its commits go.
        known: Whether this process opened the file before, so that it is there and has its log.
    """
    connection = _connected(path) if known else _connected_first(path)
    try:
        connection.execute(f"PRAGMA synchronous = {form.synchronous}")
        if form.erases:
            connection.execute("PRAGMA secure_delete = ON")
        # SQLite sets 20 pages aside for a larger cache. A process that simulates hundreds of
        # sites has some connections for each, and the system holds the pages anyway.
        connection.execute("PRAGMA cache_size = 2")
        # A transaction may take more, and gives it back: else it would write pages twice.
        connection.execute("PRAGMA cache_spill = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def _connected(path: Path) -> sqlite3.Connection:
    # The mode `rw` makes no file where there is none.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", timeout=_PATIENCE_S, isolation_level=None, uri=True
    )


def _connected_first(path: Path) -> sqlite3.Connection:
    _create(path)
    with _directory_lock(path.parent):
        connection = _connected(path)
        try:
            # This is why opening is exclusive: to change the journal mode of a new database,
            # SQLite does not wait for a lock, it fails.
            connection.execute("PRAGMA journal_mode = WAL")
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
