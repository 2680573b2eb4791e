"""Whatever the power does to the disk, nothing that left is forgotten, and nothing counts twice."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from flwr.app import RecordDict

from consortium.audit.journal import read_public_keys
from consortium.client.audit_trail import journal_of
from consortium.client.policy_gate import gate_of
from consortium.client.site_ledger import shared_ledger
from consortium.site.key_ring import member_at
from privacy.audit.hash_chain import LogHead, verified_entries
from privacy.differential.ledger_entries import LedgerHead
from tests.disk import Disk, Moment
from tests.small_consortium import (
    Moment as Asked,
)
from tests.small_consortium import (
    Place,
    altered,
    forget_processes,
    read_reply,
    read_round,
    refusal,
    rehearsed,
)

NORTH = "north"


@dataclass(frozen=True)
class Answered:
    """A site that answered, on a disk that was watched.

    Args:
        asked: The question.
        disk: The disk, with every moment of it.
        place: The site.
        answer: What left.
        log: The end of its log then.
        ledger: The end of its ledger then.
    """

    asked: Asked
    disk: Disk
    place: Place
    answer: RecordDict
    log: LogHead
    ledger: LedgerHead

    def after(self, files: dict[str, bytes], folder: Path) -> Place:
        """Return the site in a process that starts when the power is back."""
        self.disk.put(files, folder)
        forget_processes()
        return Place(folder, self.place.config)


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, int], Asked]:
    forget_processes()
    return rehearsed(tmp_path_factory.mktemp("power"))[1].moments


def answered(asked: Asked, folder: Path) -> Answered:
    """Let a site answer on a watched disk."""
    forget_processes()
    place = asked.again(folder)
    site = place.site
    # Opened before: to open a database, or to read the records, is no part of an answer.
    assert site.data.train_examples
    journal, ledger = journal_of(site.directory, NORTH), shared_ledger(site.directory)
    member_at(site.directory, NORTH, site.charter)
    gate_of(site)
    disk = Disk(folder)
    with disk.watched():
        answer = place.ask(asked.asked.kind, asked.asked.content)
    assert not refusal(answer)
    return Answered(asked, disk, place, answer, journal.chain.head(), ledger.head())


def require_whole(place: Place, *, known: LogHead | None = None) -> None:
    """Check that the log is whole and signed, up to what was told, and the ledger."""
    journal_of(place.directory, NORTH)
    log = place.directory / "audit" / "log.jsonl"
    list(verified_entries(log, read_public_keys(log), known=[known] if known else []))
    shared_ledger(place.directory).verify()


def require_counted_once(place: Place) -> None:
    """Check that no part of a run stands in the ledger twice."""
    parts = Counter((one.run, one.part) for one in shared_ledger(place.directory).releases())
    assert set(parts.values()) <= {1}, parts


def sent(answer: RecordDict) -> tuple[bytes, ...]:
    """Return what was sealed in an answer."""
    read = read_reply(answer)
    return read.upload, read.receipt, read.count_upload, read.count_receipt


def other_question(asked: Asked) -> RecordDict:
    """Return another question for the same place in the run: other bytes of the sums."""
    request = read_round(asked.asked.content)
    return altered(asked.asked.content, sums=request.sums[:-1] + bytes([request.sums[-1] ^ 1]))


KINDS = [("train", 2), ("evaluate", 4)]


@pytest.mark.parametrize(("kind", "number"), KINDS)
def test_an_answer_takes_one_sync(
    kind: str, number: int, moments: dict[tuple[str, str, int], Asked], tmp_path: Path
) -> None:
    """The files of a model, which is kept once a run, have theirs."""
    done = answered(moments[NORTH, kind, number], tmp_path / "site")
    once_a_run = ("provisional", "sides")
    of_answer = [one for one in done.disk.syncs if not one.startswith(once_a_run)]
    assert of_answer == ["memory/memory.sqlite-wal"]


@pytest.mark.parametrize(("kind", "number"), KINDS)
def test_what_left_is_remembered_after_the_power_went(
    kind: str, number: int, moments: dict[tuple[str, str, int], Asked], tmp_path: Path
) -> None:
    """The same question gets the same bytes, another one none; log and ledger lack nothing."""
    done = answered(moments[NORTH, kind, number], tmp_path / "site")
    for index, (case, files) in enumerate(done.disk.moments[-1].outcomes().items()):
        place = done.after(files, tmp_path / f"after-{index}")
        require_whole(place, known=done.log)
        assert shared_ledger(place.directory).head() == done.ledger, case
        assert place.refusal(kind, other_question(done.asked)) == "already-answered", case
        again = place.ask(kind, done.asked.asked.content)
        assert not refusal(again), case
        assert sent(again) == sent(done.answer), case
        require_counted_once(place)
        require_whole(place, known=done.log)


@pytest.mark.parametrize(("kind", "number"), KINDS)
def test_the_power_may_go_at_any_moment_of_an_answer(
    kind: str, number: int, moments: dict[tuple[str, str, int], Asked], tmp_path: Path
) -> None:
    """The site starts, answers the same question, and has counted it once when it does."""
    done = answered(moments[NORTH, kind, number], tmp_path / "site")
    counted = shared_ledger(done.place.directory).head().entries
    seen: set[int] = set()
    for index, (moment, case, files) in enumerate(cases(done.disk.moments[:-1])):
        if (state := hash(frozenset(files.items()))) in seen:
            continue
        seen.add(state)
        place = done.after(files, tmp_path / f"after-{index}")
        again = place.ask(kind, done.asked.asked.content)
        assert not refusal(again), (moment.what, case)
        assert shared_ledger(place.directory).head().entries == counted, (moment.what, case)
        require_counted_once(place)
        require_whole(place)
    assert len(seen) > len(done.disk.moments)


def cases(moments: list[Moment]) -> list[tuple[Moment, str, dict[str, bytes]]]:
    """Return every moment with everything that the disk may then hold."""
    return [(one, case, files) for one in moments for case, files in one.outcomes().items()]
