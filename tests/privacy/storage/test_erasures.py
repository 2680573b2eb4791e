"""What was deleted is in no byte of a database's files, whoever died in between."""

import os
import secrets
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.storage import sqlite as sqlite_module
from privacy.storage.deferred_sync import deferred_syncs
from privacy.storage.erasures import ERASURE_TABLES, Erasures
from privacy.storage.sqlite import DatabaseForm, SiteDatabase

TABLE = "CREATE TABLE IF NOT EXISTS things (name TEXT PRIMARY KEY, secret BLOB NOT NULL) STRICT"
FORM = DatabaseForm(file="store.sqlite", tables=(TABLE, *ERASURE_TABLES), erases=True)


def all_bytes(folder: Path) -> bytes:
    """Return every byte of the files of a store: database, log and index, free pages too."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


def keep(database: SiteDatabase, name: str, size: int = 40) -> bytes:
    secret = secrets.token_bytes(size)
    with database.writing():
        database.execute("INSERT OR REPLACE INTO things VALUES (?, ?)", name, secret)
    return secret


def drop(database: SiteDatabase, erasures: Erasures, *names: str) -> None:
    with erasures.writing():
        for name in names:
            database.execute("DELETE FROM things WHERE name = ?", name)
        erasures.note()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([40, 1_300, 9_000])), max_size=60),
    st.sets(st.integers(0, 40)),
)
def test_what_was_deleted_is_nowhere_and_what_stays_is_there(
    kept: list[tuple[int, int]], dropped: set[int]
) -> None:
    """Small and large ones, on pages that split and merge, overwritten ones among them."""
    with TemporaryDirectory() as folder:
        database = SiteDatabase(Path(folder) / "store", FORM)
        erasures, gone = Erasures(database), []
        held: dict[int, bytes] = {}
        for number, size in kept:
            if number in held:
                gone.append(held[number])
            held[number] = keep(database, f"thing-{number:03}", size)
        drop(database, erasures, *(f"thing-{number:03}" for number in dropped))
        gone += [held.pop(number) for number in dropped & set(held)]
        found = all_bytes(Path(folder) / "store")
        # A page's worth would hide a part that stayed: 16 bytes do not occur by chance.
        assert not any(
            secret[i : i + 16] in found for secret in gone for i in (0, len(secret) - 16)
        )
        assert all(secret[:16] in found for secret in held.values())
        database.close()


def test_without_the_rule_it_is_still_there(tmp_path: Path) -> None:
    """The eyes of these tests see: a deletion that nobody noted is in the log."""
    database = SiteDatabase(tmp_path / "store", FORM)
    secret = keep(database, "thing")
    with database.writing():
        database.execute("DELETE FROM things")
    assert secret in all_bytes(tmp_path / "store")
    drop(database, Erasures(database))
    assert secret not in all_bytes(tmp_path / "store")


def test_what_a_process_deleted_before_it_died_is_gone_once_the_store_is_opened(
    tmp_path: Path,
) -> None:
    child = os.fork()
    if not child:
        database = SiteDatabase(tmp_path / "store", FORM)
        (tmp_path / "secret").write_bytes(keep(database, "thing"))
        erasures = Erasures(database)
        with database.writing():
            database.execute("DELETE FROM things")
            erasures.note()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    secret = (tmp_path / "secret").read_bytes()
    assert secret in all_bytes(tmp_path / "store")
    database = SiteDatabase(tmp_path / "store", FORM)
    Erasures(database)
    assert secret not in all_bytes(tmp_path / "store")
    assert database.row("SELECT count(*) FROM erasures") == (0,)


def test_an_erasure_waits_for_the_sync_that_it_belongs_to(tmp_path: Path) -> None:
    database = SiteDatabase(tmp_path / "store", FORM)
    erasures, secret = Erasures(database), keep(database, "thing")
    with deferred_syncs([database.path], sync=database.sync):
        drop(database, erasures, "thing")
        assert secret in all_bytes(tmp_path / "store")
    assert secret not in all_bytes(tmp_path / "store")


def reading(path: Path, act: Callable[[], None]) -> None:
    """Do something while another connection reads the database as it was before."""
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM things").fetchall()
        act()


def test_an_erasure_that_may_wait_costs_an_answer_no_sync_of_its_own(tmp_path: Path) -> None:
    """Outside of an answer it waits for nothing."""
    database = SiteDatabase(tmp_path, FORM)
    erasures, first, second = Erasures(database), keep(database, "one"), keep(database, "two")

    def drop_with_the_next(name: str) -> None:
        with database.writing():
            database.execute("DELETE FROM things WHERE name = ?", name)
            erasures.note()
        erasures.finish_with_the_next()

    with deferred_syncs([database.path], sync=database.sync):
        drop_with_the_next("one")
    assert first in all_bytes(tmp_path)
    drop_with_the_next("two")
    assert first not in all_bytes(tmp_path)
    assert second not in all_bytes(tmp_path)


def test_a_reader_in_the_way_refuses_no_deletion_and_the_erasure_stays_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was deleted is deleted: to report it as refused would be a lie."""
    monkeypatch.setattr(sqlite_module, "_PATIENCE_S", 0.05)
    database = SiteDatabase(tmp_path / "store", FORM)
    erasures, secret = Erasures(database), keep(database, "thing")
    monkeypatch.setattr(sqlite_module, "_PATIENCE_S", 0.2)  # of the next connection: it asks again
    reading(database.path, lambda: drop(database, erasures, "thing"))
    assert database.row("SELECT count(*) FROM things") == (0,)
    assert erasures.is_due
    assert "another process reads" in caplog.text
    assert secret in all_bytes(tmp_path / "store")
    erasures.finish()
    assert not erasures.is_due
    assert secret not in all_bytes(tmp_path / "store")


def test_an_erasure_waits_for_who_moves_the_log_into_the_file_meanwhile(tmp_path: Path) -> None:
    """SQLite itself does not wait for another checkpoint, and two sites' processes each do some."""
    ear, mouth = os.pipe()
    child = os.fork()
    if not child:
        other = SiteDatabase(tmp_path / "store", FORM)
        os.write(mouth, b"!")
        while True:
            keep(other, "its", 200_000)
            other.empty_log()
    try:
        os.read(ear, 1)
        database = SiteDatabase(tmp_path / "store", FORM)
        erasures = Erasures(database)
        for _ in range(20):
            secret = keep(database, "thing")
            drop(database, erasures, "thing")
            assert secret not in all_bytes(tmp_path / "store")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ear)
        os.close(mouth)


def test_what_another_process_noted_meanwhile_stays_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It deletes after this one emptied the log, and before this one says so."""
    database, other = (SiteDatabase(tmp_path / "store", FORM) for _ in range(2))
    mine, its, secret = Erasures(database), Erasures(other), keep(other, "late")
    keep(database, "thing")
    emptied = SiteDatabase.empty_log

    def empty_log(emptying: SiteDatabase) -> bool:
        whole = emptied(emptying)
        with other.writing():
            other.execute("DELETE FROM things WHERE name = 'late'")
            its.note()
        return whole

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(SiteDatabase, "empty_log", empty_log)
        drop(database, mine, "thing")
    assert secret in all_bytes(tmp_path / "store")
    mine.finish()
    assert secret not in all_bytes(tmp_path / "store")
