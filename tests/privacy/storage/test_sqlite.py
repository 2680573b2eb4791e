import sqlite3
import stat
from pathlib import Path

import pytest

from privacy.storage.blob_files import MemoryDamaged
from privacy.storage.sqlite import MemoryUnavailable, SiteDatabase


def test_what_was_committed_is_there_for_the_next_connection(tmp_path: Path) -> None:
    first = SiteDatabase(tmp_path / "m")
    with first.writing():
        first.execute("INSERT INTO burned VALUES (?)", "run")
    second = SiteDatabase(tmp_path / "m")
    assert second.row("SELECT run FROM burned") == ("run",)
    assert second.column("SELECT run FROM burned WHERE run = ?", "run") == ["run"]
    assert second.row("SELECT run FROM burned WHERE run = ?", "other") is None
    first.close()
    second.close()


def test_an_exception_undoes_everything(tmp_path: Path) -> None:
    database = SiteDatabase(tmp_path / "m")
    with pytest.raises(MemoryUnavailable), database.writing():
        _write_then_fail(database)
    assert database.column("SELECT run FROM burned") == []
    database.close()


def test_it_is_durable_and_the_owners_alone(tmp_path: Path) -> None:
    database = SiteDatabase(tmp_path / "m")
    assert database.row("PRAGMA synchronous") == (2,)
    assert database.row("PRAGMA journal_mode") == ("wal",)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "m").iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3
    database.close()


def test_what_sqlite_refuses_is_a_refusal_of_ours(tmp_path: Path) -> None:
    database = SiteDatabase(tmp_path / "m")
    for ask in (database.row, database.column, database.execute):
        with pytest.raises(MemoryUnavailable):
            ask("SELECT nothing FROM nowhere")
    with pytest.raises(MemoryUnavailable, match="no such table"), database.writing():
        database.execute("INSERT INTO nowhere VALUES (1)")
    database.close()
    (tmp_path / "m" / "memory.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(MemoryUnavailable):
        SiteDatabase(tmp_path / "m")


def test_a_memory_of_another_version_is_left_alone(tmp_path: Path) -> None:
    SiteDatabase(tmp_path / "m").close()
    connection = sqlite3.connect(tmp_path / "m" / "memory.sqlite")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(MemoryDamaged, match="version 2"):
        SiteDatabase(tmp_path / "m")


def _write_then_fail(database: SiteDatabase) -> None:
    database.execute("INSERT INTO burned VALUES (?)", "run")
    database.execute("INSERT INTO nowhere VALUES (?)", "run")
