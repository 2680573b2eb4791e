"""What came to a store that only grows is carried with a database, and put back from there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.audit.log_tail import LogTail
from privacy.storage.carried_tails import TAIL_TABLES, CarriedTails
from privacy.storage.sqlite import DatabaseForm, SiteDatabase

FORM = DatabaseForm(file="memory.sqlite", tables=(), later_tables=TAIL_TABLES)
LINES = st.lists(st.binary(min_size=1, max_size=20).map(lambda one: one + b"\n"), max_size=6)


@pytest.fixture
def log(tmp_path: Path) -> LogTail:
    tail = LogTail(tmp_path / "log")
    tail.path.write_bytes(b"first\n")
    return tail


@pytest.fixture
def tails(tmp_path: Path) -> Iterator[CarriedTails]:
    database = SiteDatabase(tmp_path / "memory", FORM)
    yield CarriedTails(database)
    database.close()


def append(log: LogTail, content: bytes) -> None:
    with log.path.open("ab") as file:
        file.write(content)


@given(lines=LINES, lost=st.integers(0, 200), zeros=st.booleans())
def test_whatever_a_log_lost_at_its_end_is_put_back(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], lost: int, zeros: bool
) -> None:
    folder = tmp_path_factory.mktemp("tails")
    log, database = LogTail(folder / "log"), SiteDatabase(folder / "memory", FORM)
    log.path.write_bytes(b"first\n")
    tails = CarriedTails(database)
    tails.carry(log)  # what is there now is synced
    for line in lines:
        append(log, line)
        tails.carry(log)
    whole = log.path.read_bytes()
    kept = whole[: max(len(whole) - lost, len(b"first\n"))]
    log.path.write_bytes(kept + bytes(len(whole) - len(kept)) if zeros else kept)
    tails.complete(log)
    assert log.path.read_bytes() == whole
    database.close()


def test_a_log_that_somebody_altered_stays_as_it_is(log: LogTail, tails: CarriedTails) -> None:
    """Its own chain tells."""
    tails.carry(log)
    append(log, b"second\n")
    tails.carry(log)
    for altered in (b"first\nsecOnd\n", b"first\nother\n", b"f"):
        log.path.write_bytes(altered)
        tails.complete(log)
        assert log.path.read_bytes() == altered


def test_what_came_after_is_kept(log: LogTail, tails: CarriedTails) -> None:
    tails.carry(log)
    append(log, b"second\n")
    tails.carry(log)
    append(log, b"third\n")
    tails.complete(log)
    assert log.path.read_bytes() == b"first\nsecond\nthird\n"


def test_a_long_tail_is_synced_by_itself_and_dropped(
    log: LogTail, tails: CarriedTails, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database does not grow with the log."""
    synced: list[int] = []
    monkeypatch.setattr(LogTail, "sync", lambda tail: synced.append(tail.end()))
    for _ in range(40):
        append(log, bytes(20_000))
        tails.carry(log)
    assert 2 <= len(synced) <= 4
