import os
import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import psutil
import pytest

from privacy.differential.ledger import Ledger
from privacy.differential.private_runs import PrivateRuns
from privacy.errors import ConsortiumError
from privacy.policy.rate_limits import RateLimits
from privacy.secrets.replay_guard import SiteMemory
from privacy.storage.blob_files import MemoryDamaged
from privacy.storage.sqlite import DatabaseForm, MemoryUnavailable, SiteDatabase

TABLE = "CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY) STRICT"
FORM = DatabaseForm(file="store.sqlite", tables=(TABLE,))
TRIES, AT_ONCE = 20, 6


class NamesUnavailable(ConsortiumError, RuntimeError, code="names-unavailable"):
    """The error of a store of its own."""


def test_what_was_committed_is_there_for_the_next_connection(tmp_path: Path) -> None:
    first = SiteDatabase(tmp_path / "m", FORM)
    with first.writing():
        first.execute("INSERT INTO names VALUES (?)", "run")
    second = SiteDatabase(tmp_path / "m", FORM)
    assert second.row("SELECT name FROM names") == ("run",)
    assert second.column("SELECT name FROM names WHERE name = ?", "run") == ["run"]
    assert second.row("SELECT name FROM names WHERE name = ?", "other") is None
    first.close()
    second.close()


def test_an_exception_undoes_everything(tmp_path: Path) -> None:
    database = SiteDatabase(tmp_path / "m", FORM)
    with pytest.raises(MemoryUnavailable), database.writing():
        _write_then_fail(database)
    assert database.column("SELECT name FROM names") == []
    database.close()


def test_a_commit_within_another_is_part_of_it(tmp_path: Path) -> None:
    """What the outer one undoes, the inner one did not keep."""
    database = SiteDatabase(tmp_path / "m", FORM)
    with database.writing():
        _write(database, "inner")
    assert database.column("SELECT name FROM names") == ["inner"]
    with pytest.raises(MemoryUnavailable), database.writing():
        _write_within_then_fail(database)
    assert database.column("SELECT name FROM names") == ["inner"]
    database.close()


@pytest.mark.parametrize("erases", [True, False])
def test_a_store_says_whether_what_is_deleted_is_overwritten(tmp_path: Path, erases: bool) -> None:
    """Another SQLite overwrites by default, or never does."""
    form = DatabaseForm(file="store.sqlite", tables=(TABLE,), erases=erases)
    database = SiteDatabase(tmp_path / "m", form)
    default = sqlite3.connect(":memory:").execute("PRAGMA secure_delete").fetchone()
    assert database.row("PRAGMA secure_delete") == ((1,) if erases else default)
    database.close()


def test_it_is_durable_and_the_owners_alone(tmp_path: Path) -> None:
    database = SiteDatabase(tmp_path / "m", FORM)
    assert database.row("PRAGMA synchronous") == (2,)
    assert database.row("PRAGMA journal_mode") == ("wal",)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "m").iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3
    database.close()


def test_what_sqlite_refuses_is_a_refusal_of_ours(tmp_path: Path) -> None:
    database = SiteDatabase(tmp_path / "m", FORM)
    for ask in (database.row, database.column, database.execute):
        with pytest.raises(MemoryUnavailable):
            ask("SELECT nothing FROM nowhere")
    with pytest.raises(MemoryUnavailable, match="no such table"), database.writing():
        database.execute("INSERT INTO nowhere VALUES (1)")
    database.close()
    (tmp_path / "m" / "store.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(MemoryUnavailable):
        SiteDatabase(tmp_path / "m", FORM)


def test_a_memory_of_another_version_is_left_alone(tmp_path: Path) -> None:
    SiteDatabase(tmp_path / "m", FORM).close()
    connection = sqlite3.connect(tmp_path / "m" / "store.sqlite")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(MemoryDamaged, match="version 2"):
        SiteDatabase(tmp_path / "m", FORM)


@pytest.mark.parametrize("store", [RateLimits, PrivateRuns, SiteMemory, Ledger])
def test_several_that_open_a_new_store_at_once_all_get_it(
    store: Callable[[Path], RateLimits | PrivateRuns | SiteMemory | Ledger], tmp_path: Path
) -> None:
    with ThreadPoolExecutor(AT_ONCE) as several:
        for number in range(TRIES):
            begin = Barrier(AT_ONCE)

            def open_and_close(directory: Path, begin: Barrier = begin) -> None:
                begin.wait()
                store(directory).close()

            list(several.map(open_and_close, [tmp_path / str(number)] * AT_ONCE))


def test_a_store_says_how_far_its_commits_go(tmp_path: Path) -> None:
    form = DatabaseForm(file="store.sqlite", tables=(TABLE,), synchronous="NORMAL")
    database = SiteDatabase(tmp_path / "m", form)
    assert database.row("PRAGMA synchronous") == (1,)
    assert database.row("PRAGMA journal_mode") == ("wal",)
    database.close()


def test_a_store_fails_with_its_own_error(tmp_path: Path) -> None:
    form = DatabaseForm(
        file="store.sqlite", tables=(TABLE,), unavailable=NamesUnavailable, holds="the names"
    )
    database = SiteDatabase(tmp_path / "m", form)
    with pytest.raises(NamesUnavailable, match="the names cannot be read or written"):
        database.rows("SELECT nothing FROM nowhere")
    database.close()
    with pytest.raises(NamesUnavailable, match="was closed"):
        database.row("SELECT name FROM names")
    (tmp_path / "m" / "store.sqlite").unlink()
    (tmp_path / "m" / "store.sqlite").mkdir()
    with pytest.raises(NamesUnavailable):
        SiteDatabase(tmp_path / "m", form)


def test_tables_made_before_versions_were_written_down_are_taken_over(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir(mode=0o700)
    connection = sqlite3.connect(tmp_path / "m" / "store.sqlite")
    connection.execute(TABLE)
    connection.execute("INSERT INTO names VALUES ('north')")
    connection.commit()
    connection.close()
    database = SiteDatabase(tmp_path / "m", FORM)
    assert database.column("SELECT name FROM names") == ["north"]
    assert database.row("PRAGMA user_version") == (1,)
    database.close()


def test_after_a_fork_both_processes_write_on(tmp_path: Path) -> None:
    database = SiteDatabase(tmp_path / "m", FORM)
    _write(database, "before")
    child = os.fork()
    if child == 0:
        _write(database, "child")
        database.close()
        os._exit(0)
    _write(database, "parent")
    assert os.waitpid(child, 0)[1] == 0
    database.close()
    assert _names(tmp_path) == {"before", "child", "parent"}


def test_what_a_child_wrote_stays_when_its_parent_closes_first(tmp_path: Path) -> None:
    """With SQLite's locks lost at the fork, the parent would delete the child's log."""
    database = SiteDatabase(tmp_path / "m", FORM)
    _write(database, "before")
    parent_closed, closed = os.pipe()
    child_reads, reads = os.pipe()
    child = os.fork()
    if child == 0:
        database.row("SELECT name FROM names")
        os.write(reads, b"!")
        os.read(parent_closed, 1)
        _write(database, "child")
        os._exit(0)  # without closing, as a process that is killed
    os.read(child_reads, 1)
    database.close()
    os.write(closed, b"!")
    assert os.waitpid(child, 0)[1] == 0
    for pipe in (parent_closed, closed, child_reads, reads):
        os.close(pipe)
    assert _names(tmp_path) == {"before", "child"}


def test_a_child_forked_within_a_transaction_is_refused_and_the_parent_goes_on(
    tmp_path: Path,
) -> None:
    database = SiteDatabase(tmp_path / "m", FORM)
    with database.writing():
        database.execute("INSERT INTO names VALUES (?)", "parent")
        child = os.fork()
        if child == 0:
            os._exit(_exit_of_a_refused_read(database))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    database.close()
    assert _names(tmp_path) == {"parent"}


def _exit_of_a_refused_read(database: SiteDatabase) -> int:
    try:
        database.row("SELECT name FROM names")
    except MemoryUnavailable:
        return 3
    return 4


def _write(database: SiteDatabase, name: str) -> None:
    with database.writing():
        database.execute("INSERT INTO names VALUES (?)", name)


def _names(tmp_path: Path) -> set[str]:
    database = SiteDatabase(tmp_path / "m", FORM)
    found = set(database.column("SELECT name FROM names"))
    database.close()
    return found


def _write_within_then_fail(database: SiteDatabase) -> None:
    _write(database, "undone")
    _write_then_fail(database)


def _write_then_fail(database: SiteDatabase) -> None:
    database.execute("INSERT INTO names VALUES (?)", "run")
    database.execute("INSERT INTO nowhere VALUES (?)", "run")


def test_a_process_of_many_sites_holds_some_hundred_connections_and_loses_nothing(
    tmp_path: Path,
) -> None:
    stores = [SiteDatabase(tmp_path / str(number), FORM) for number in range(300)]
    for written in ("once", "twice"):
        for database in stores:
            with database.writing():
                database.execute("INSERT INTO names VALUES (?)", written)
    opened = [one.path for one in psutil.Process().open_files()]
    assert sum(path.endswith(f"/{FORM.file}") for path in opened) <= 256
    assert all(one.column("SELECT name FROM names") == ["once", "twice"] for one in stores)
    for database in stores:
        database.close()


@pytest.mark.parametrize("what", [None, b"no database at all" * 100])
def test_a_database_that_is_gone_is_not_made_anew(what: bytes | None, tmp_path: Path) -> None:
    database = SiteDatabase(tmp_path / "m", FORM)
    database.disconnect()
    database.path.unlink()
    if what is not None:
        database.path.write_bytes(what)
    with pytest.raises(MemoryUnavailable):
        database.column("SELECT name FROM names")
    assert database.path.exists() == (what is not None)
    database.close()


def test_databases_of_a_run_that_is_over_give_way(tmp_path: Path) -> None:
    """A process that runs one consortium after another opens each database a few times only."""
    over = [SiteDatabase(tmp_path / f"over-{number}", FORM) for number in range(256)]
    asked = [SiteDatabase(tmp_path / f"asked-{number}", FORM) for number in range(40)]
    for _ in range(3):
        for database in asked:
            assert database.column("SELECT name FROM names") == []
    opened = {one.path for one in psutil.Process().open_files()}
    assert {str(database.path) for database in asked} <= opened
    for database in (*over, *asked):
        database.close()
