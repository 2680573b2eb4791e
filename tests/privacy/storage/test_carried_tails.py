"""What came to a store that only grows is carried with a database, and put back from there."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.audit.log_tail import LogTail
from privacy.differential.ledger import Ledger
from privacy.differential.ledger_entries import DataSet, Released
from privacy.differential.ledger_tail import LedgerTail
from privacy.differential.mechanisms import HeldOut
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


def test_a_log_put_back_from_a_copy_is_carried_anew(log: LogTail, tails: CarriedTails) -> None:
    """What came to the copy itself, and what comes to it next, survives the machine like before."""
    tails.carry(log)
    append(log, b"second\n")
    tails.carry(log)
    put_back = b"first\nother\nthat is longer\n"
    log.path.write_bytes(put_back)
    tails.complete(log)
    assert log.path.read_bytes() == put_back
    tails.carry(log)
    append(log, b"third\n")
    tails.carry(log)
    log.path.write_bytes(put_back)  # the machine dies, and the log loses its end
    tails.complete(log)
    assert log.path.read_bytes() == put_back + b"third\n"


def test_a_log_that_is_gone_is_carried_anew(log: LogTail, tails: CarriedTails) -> None:
    tails.carry(log)
    append(log, b"second\n")
    tails.carry(log)
    log.path.unlink()
    tails.complete(log)
    assert not log.path.exists()
    log.path.write_bytes(b"another one, longer\n")
    tails.carry(log)
    append(log, b"third\n")
    tails.carry(log)
    log.path.write_bytes(b"another one, longer\n")
    tails.complete(log)
    assert log.path.read_bytes() == b"another one, longer\nthird\n"


def test_entries_that_follow_a_gap_survive_the_machine(tmp_path: Path, tails: CarriedTails) -> None:
    """A ledger put back from an older copy, with other entries since, is carried anew."""
    with Ledger(tmp_path / "ledger") as ledger:
        tails.carry(LedgerTail(ledger))
        for run in ("one", "two"):
            ledger.enter_release(release(run))
            tails.carry(LedgerTail(ledger))
    shutil.rmtree(tmp_path / "ledger")
    with Ledger(tmp_path / "ledger") as ledger:
        for run in ("lost 1", "lost 2", "three"):
            ledger.enter_release(release(run))
    copy = shutil.copytree(tmp_path / "ledger", tmp_path / "copy")
    with Ledger(tmp_path / "ledger") as ledger:
        tails.complete(LedgerTail(ledger))
        tails.carry(LedgerTail(ledger))
        ledger.enter_release(release("four"))
        tails.carry(LedgerTail(ledger))
        head = ledger.head()
    with Ledger(copy) as ledger:  # the machine died, and the ledger lost its last entry
        assert ledger.head() != head
        tails.complete(LedgerTail(ledger))
        assert ledger.head() == head
        ledger.verify()


def release(run: str) -> Released:
    """What left without noise."""
    return Released(
        event=HeldOut(what="evaluation"),
        data_set=DataSet(name="patients", fingerprint="a" * 64),
        run=run,
        part="evaluation 1",
        asked="",
        at="2026-03-04T05:06:07+00:00",
    )
