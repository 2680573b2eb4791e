import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from privacy.errors import ConsortiumError
from privacy.storage.blob_files import MemoryDamaged
from privacy.storage.reply_store import REPLY_TABLES, ReplyPlace, ReplyStore
from privacy.storage.sqlite import DatabaseForm, SiteDatabase

FORM = DatabaseForm(file="replies.sqlite", tables=REPLY_TABLES)
LARGE = b"l" * 600_000


class Opened:
    """A store as one process of the site has it."""

    def __init__(self, directory: Path) -> None:
        self.database = SiteDatabase(directory, FORM)
        self.store = ReplyStore(self.database, directory / "kept")

    def keep(self, place: ReplyPlace, reply: bytes) -> bytes:
        """Keep a reply in a commit of its own."""
        with self.store.writing():
            return self.store.keep(place, reply)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = Opened(tmp_path / "replies")
    yield made
    made.database.close()


def place(
    server_round: int = 1, run: str = "r", purpose: str = "training", attempt: int = 1
) -> ReplyPlace:
    return ReplyPlace(run=run, purpose=purpose, server_round=server_round, attempt=attempt)


def files(tmp_path: Path) -> int:
    return len(list((tmp_path / "replies" / "kept").iterdir()))


@pytest.mark.parametrize("reply", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_asked_again_the_same_bytes_in_every_process(
    reply: bytes, opened: Opened, tmp_path: Path
) -> None:
    assert opened.store.recall(place()) is None
    assert opened.keep(place(), reply) == reply
    other = Opened(tmp_path / "replies")
    assert other.store.recall(place()) == reply
    assert other.keep(place(), b"made anew") == reply
    other.database.close()
    assert opened.store.recall(place()) == reply


@pytest.mark.parametrize(
    "other", [place(run="q"), place(purpose="evaluation"), place(2), place(attempt=2)]
)
def test_another_place_has_another_reply(other: ReplyPlace, opened: Opened) -> None:
    opened.keep(place(), b"one")
    assert opened.store.recall(other) is None
    assert opened.keep(other, b"another") == b"another"
    assert opened.store.recall(place()) == b"one"


def test_of_earlier_rounds_of_a_run_nothing_is_left(opened: Opened, tmp_path: Path) -> None:
    """Small and large ones, whatever their purpose; it is said how many there were."""
    earlier = [place(1), place(0, purpose="statistics"), place(1, attempt=2)]
    others = [place(2), place(2, purpose="evaluation"), place(1, run="q")]
    for one in (*earlier, *others):
        opened.keep(one, LARGE if one.attempt == 2 else b"small")
    for came in (len(earlier), 0):
        with opened.store.writing():
            assert opened.store.let_go_before("r", 2) == came
    assert [opened.store.recall(one) for one in earlier] == [None] * 3
    assert all(opened.store.recall(one) == b"small" for one in others)
    assert files(tmp_path) == 0


def test_what_is_let_go_of_takes_no_room(opened: Opened, tmp_path: Path) -> None:
    everything = [place(1), place(2), place(2, purpose="evaluation"), place(1, run="q")]
    for one in everything:
        opened.keep(one, LARGE)

    def left() -> list[int]:
        found = [opened.store.recall(one) is not None for one in everything]
        assert files(tmp_path) == sum(found)
        return [number for number, there in enumerate(found) if there]

    with opened.store.writing():
        opened.store.let_go_others(place(2))
    assert left() == [1, 2, 3]
    with opened.store.writing():
        opened.store.let_go_other_runs("r")
    assert left() == [1, 2]
    with opened.store.writing():
        opened.store.let_go_run("r")
    assert left() == []


def test_what_fails_keeps_nothing_and_loses_nothing(opened: Opened, tmp_path: Path) -> None:
    opened.keep(place(1), LARGE)
    with pytest.raises(ConsortiumError), opened.store.writing():
        _replace_then_fail(opened)
    assert opened.store.recall(place(1)) == LARGE
    assert opened.store.recall(place(2)) is None
    opened.database.close()
    again = Opened(tmp_path / "replies")
    assert files(tmp_path) == 1  # the file of the reply that was not kept is gone
    assert again.store.recall(place(1)) == LARGE
    again.database.close()


def _replace_then_fail(opened: Opened) -> None:
    opened.store.let_go_others(place(2))
    opened.store.keep(place(2), LARGE)
    opened.database.execute("INSERT INTO nowhere VALUES (1)")


def test_bytes_that_are_not_those_kept_are_an_error(opened: Opened, tmp_path: Path) -> None:
    opened.keep(place(), LARGE)
    (kept,) = (tmp_path / "replies" / "kept").iterdir()
    kept.write_bytes(LARGE[:-1])
    with pytest.raises(MemoryDamaged):
        opened.store.recall(place())


def test_a_reply_is_on_the_disk_and_the_owners_alone(opened: Opened, tmp_path: Path) -> None:
    opened.keep(place(1), b"small")
    opened.keep(place(2), LARGE)
    other = sqlite3.connect(tmp_path / "replies" / "replies.sqlite")
    assert other.execute("SELECT data FROM small").fetchall() == [(b"small",)]
    other.close()
    assert opened.database.row("PRAGMA synchronous") == (2,)
    for path in (tmp_path / "replies").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
