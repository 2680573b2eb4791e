import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from privacy.protocol.envelope import EVALUATION, TRAINING, Slot
from privacy.secrets.answer_memory import AlreadyAnswered, Answer, AnswerForgotten, LastState
from privacy.secrets.replay_guard import (
    MAX_OPENINGS,
    RUNS_KEPT,
    KeyBurned,
    OpeningAlreadyAccepted,
    SiteMemory,
    StaleEpoch,
    TooManyOpenings,
)
from privacy.storage.blob_files import MemoryDamaged

STATE = b"\x05" * 32
REQUEST = b"\x06" * 32


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SiteMemory]:
    with SiteMemory(tmp_path / "memory") as memory:
        yield memory


def place(server_round: int, attempt: int = 1, run: str = "run") -> Slot:
    return Slot(run=run, purpose=TRAINING, server_round=server_round, attempt=attempt)


LARGE = 600_000
SIZES = pytest.mark.parametrize("size", [5, LARGE])


def answer(slot: Slot, reply: bytes = b"reply") -> Answer:
    return Answer(slot=slot, request=REQUEST, state=STATE, receipt=b"receipt", reply=reply)


def files(tmp_path: Path) -> int:
    return len(list((tmp_path / "memory" / "kept").iterdir()))


def kept(tmp_path: Path) -> int:
    """Count what is kept in full, in files and in the database."""
    with closing(sqlite3.connect(tmp_path / "memory" / "memory.sqlite")) as database:
        (rows,) = database.execute("SELECT COUNT(*) FROM small").fetchone()
    return files(tmp_path) + int(rows)


def test_epochs_only_grow(memory: SiteMemory) -> None:
    assert memory.last_epoch() == 0
    for epoch in (3, 3, 7):
        memory.accept_epoch(epoch, bytes([epoch]) * 32)
        assert memory.last_epoch() == epoch
    for epoch, fingerprint in ((7, bytes(32)), (3, b"\x03" * 32), (1, bytes(32))):
        with pytest.raises(StaleEpoch):
            memory.accept_epoch(epoch, fingerprint)


def test_a_run_has_one_opening_ever(memory: SiteMemory) -> None:
    for _ in range(2):
        memory.accept_opening("run", b"1" * 32)
    with pytest.raises(OpeningAlreadyAccepted):
        memory.accept_opening("run", b"2" * 32)


def test_a_burned_key_stays_burned(memory: SiteMemory, tmp_path: Path) -> None:
    memory.accept_opening("run", b"1" * 32)
    memory.require_unburned("run")
    for _ in range(2):
        memory.burn_key("run")
    with SiteMemory(tmp_path / "memory") as again:
        with pytest.raises(KeyBurned):
            again.require_unburned("run")
        with pytest.raises(KeyBurned):
            again.accept_opening("run", b"1" * 32)
        again.accept_opening("other", b"1" * 32)


def test_a_lineage_ends_whichever_ancestor_an_opening_names(memory: SiteMemory) -> None:
    memory.accept_opening("run-0", b"0" * 32)
    for index in range(1, MAX_OPENINGS):
        memory.accept_opening(f"run-{index}", b"0" * 32, lineage=f"run-{index - 1}")
    for ancestor in ("run-0", "run-3"):
        with pytest.raises(TooManyOpenings):
            memory.accept_opening("run-9", b"0" * 32, lineage=ancestor)
    memory.accept_opening("run-1", b"0" * 32, lineage="run-0")
    memory.accept_opening("fresh", b"0" * 32)


def test_a_site_that_joined_late_counts_from_there(memory: SiteMemory) -> None:
    for index in range(MAX_OPENINGS):
        memory.accept_opening(f"run-{index}", b"0" * 32, lineage="unseen")
    with pytest.raises(TooManyOpenings):
        memory.accept_opening("unseen-again", b"0" * 32, lineage="unseen")


def test_one_slot_has_one_reply(memory: SiteMemory) -> None:
    slot = place(1)
    assert memory.answers.recall_reply(slot, REQUEST) is None
    assert memory.answers.own_receipt(slot) is None
    assert memory.answers.last_state("run") is None
    assert memory.answers.remember_reply(answer(slot, b"first")) == b"first"
    assert memory.answers.remember_reply(answer(slot, b"second")) == b"first"
    assert memory.answers.recall_reply(slot, REQUEST) == b"first"
    assert memory.answers.own_receipt(slot) == b"receipt"
    assert memory.answers.last_state("run") == LastState(server_round=1, attempt=1, state=STATE)


def test_the_same_question_with_other_content_is_refused(memory: SiteMemory) -> None:
    memory.answers.remember_reply(answer(place(1)))
    with pytest.raises(AlreadyAnswered):
        memory.answers.recall_reply(place(1), bytes(32))
    with pytest.raises(AlreadyAnswered):
        memory.answers.remember_reply(replace(answer(place(1)), request=bytes(32)))


def test_a_round_once_passed_is_not_gone_back_to(memory: SiteMemory) -> None:
    """Neither a round that was answered nor a round that was skipped can be asked again."""
    for slot in (place(2), place(4, 2)):
        memory.answers.remember_reply(answer(slot))
    for slot in (place(1), place(2), place(3), place(4, 1)):
        with pytest.raises(AnswerForgotten):
            memory.answers.recall_reply(slot, REQUEST)
        with pytest.raises(AnswerForgotten):
            memory.answers.remember_reply(answer(slot))
    assert memory.answers.recall_reply(place(4, 3), REQUEST) is None
    assert memory.answers.recall_reply(place(5), REQUEST) is None
    assert memory.answers.own_receipt(place(2)) == b"receipt"
    assert memory.answers.own_receipts(place(2)) == {place(2).attempt: b"receipt"}


def test_every_attempt_at_a_round_starts_from_the_same_state(memory: SiteMemory) -> None:
    memory.answers.remember_reply(answer(place(1)))
    with pytest.raises(AlreadyAnswered, match="another state"):
        memory.answers.remember_reply(replace(answer(place(1, 2)), state=bytes(32)))
    memory.answers.remember_reply(answer(place(1, 2)))
    memory.answers.remember_reply(replace(answer(place(2)), state=bytes(32)))


def test_every_attempt_at_a_round_seals_the_first_update(memory: SiteMemory) -> None:
    answers = memory.answers
    assert answers.recall_update(place(1)) is None
    assert answers.remember_round(place(1), b"first", [answer(place(1))]) == (b"reply",)
    again = [answer(place(1, 2), b"resealed")]
    assert answers.remember_round(place(1, 2), b"second", again) is None
    assert answers.recall_reply(place(1, 2), REQUEST) is None
    assert answers.recall_update(place(1, 3)) == b"first"
    assert answers.remember_round(place(1, 2), b"first", again) == (b"resealed",)
    assert answers.recall_update(place(1)) == b"first"
    answers.remember_reply(answer(place(2)))
    with pytest.raises(AnswerForgotten):
        answers.recall_update(place(1))
    with pytest.raises(AnswerForgotten):
        answers.remember_round(place(1), b"x", [])


def counts_at(slot: Slot) -> Answer:
    return replace(answer(slot, b"counts"), slot=replace(slot, purpose=EVALUATION))


def test_of_what_a_round_gave_all_is_kept_or_nothing(memory: SiteMemory) -> None:
    """If one answer is refused, the update and the other answers are not stored either."""
    answers = memory.answers
    answers.remember_reply(replace(counts_at(place(1)), request=bytes(32)))
    with pytest.raises(AlreadyAnswered):
        answers.remember_round(place(1), b"update", [answer(place(1)), counts_at(place(1))])
    assert answers.recall_update(place(1)) is None
    assert answers.recall_reply(place(1), REQUEST) is None
    assert answers.last_state("run") is None
    both = [counts_at(place(2)), answer(place(2))]
    assert answers.remember_round(place(2), b"update", both) == (b"counts", b"reply")
    assert answers.last_state("run", purpose=EVALUATION) == answers.last_state("run")


@SIZES
def test_only_the_last_answer_keeps_its_bytes(
    memory: SiteMemory, tmp_path: Path, size: int
) -> None:
    for server_round in range(1, 5):
        for attempt in (1, 2):
            memory.answers.remember_round(
                place(server_round, attempt),
                bytes(size),
                [answer(place(server_round, attempt), b"r" * size)],
            )
            assert kept(tmp_path) == 2


def test_runs_and_purposes_do_not_disturb_each_other(memory: SiteMemory) -> None:
    other_run, statistics = place(1, run="other"), replace(place(0), purpose="statistics")
    memory.answers.remember_reply(answer(place(3)))
    memory.answers.remember_reply(answer(other_run, b"other"))
    memory.answers.remember_reply(answer(statistics, b"statistics"))
    assert memory.answers.recall_reply(place(3), REQUEST) == b"reply"
    assert memory.answers.recall_reply(other_run, REQUEST) == b"other"
    assert memory.answers.recall_reply(statistics, REQUEST) == b"statistics"
    assert memory.answers.last_state("run", purpose="statistics") is not None


@SIZES
def test_a_finished_run_keeps_what_protects_and_no_more(
    memory: SiteMemory, tmp_path: Path, size: int
) -> None:
    for run in ("run", "other"):
        memory.answers.remember_round(
            place(1, run=run), bytes(size), [answer(place(1, run=run), b"r" * size)]
        )
    memory.answers.finish_run("run")
    assert kept(tmp_path) == 2
    with pytest.raises(AnswerForgotten):
        memory.answers.recall_reply(place(1), REQUEST)
    with pytest.raises(AnswerForgotten):
        memory.answers.recall_update(place(1))
    assert memory.answers.last_state("run") is not None
    assert memory.answers.recall_reply(place(1, run="other"), REQUEST) == b"r" * size


def test_what_runs_that_failed_kept_goes_when_later_ones_open(
    memory: SiteMemory, tmp_path: Path
) -> None:
    """Each keeps a small reply, a large one and an update; none of them comes to its end."""
    held = []
    for number in range(6):
        run = f"run-{number}"
        memory.accept_opening(run, bytes([number]) * 32)
        slot = place(1, run=run)
        memory.answers.remember_round(slot, bytes(LARGE), [answer(slot, bytes([number]) * LARGE)])
        held.append(files(tmp_path))
        for earlier in range(number - 1):
            with pytest.raises(AnswerForgotten):
                memory.answers.recall_reply(place(1, run=f"run-{earlier}"), answer(slot).request)
        assert memory.answers.recall_reply(slot, answer(slot).request) is not None
    assert held[1:] == [RUNS_KEPT * held[0]] * 5


def test_what_a_dying_process_left_is_swept_and_what_was_changed_is_refused(
    memory: SiteMemory, tmp_path: Path
) -> None:
    memory.answers.remember_reply(answer(place(1), bytes(LARGE)))
    (kept,) = (tmp_path / "memory" / "kept").iterdir()
    (kept.parent / "orphan").write_bytes(b"half an upda")
    with SiteMemory(tmp_path / "memory"):
        assert files(tmp_path) == 1
    kept.write_bytes(b"other")
    with pytest.raises(MemoryDamaged):
        memory.answers.recall_reply(place(1), REQUEST)


def test_an_answer_does_not_print_the_reply() -> None:
    assert "reply" not in repr(answer(place(1), b"reply"))


# Two writers a life, thirty lives: each child says what it was told is kept, and is killed.
LIVES = 30
SCRIPT = r"""
import os, random, signal, sys, time
from pathlib import Path
from dataclasses import replace
from privacy.secrets.answer_memory import AnswerForgotten, Answer
from privacy.protocol.envelope import Slot
from privacy.secrets.replay_guard import SiteMemory, StaleEpoch

directory, lives = Path(sys.argv[1]), int(sys.argv[2])
dice = random.Random(7)

def live(pipe):
    with SiteMemory(directory) as memory:
        while True:
            last = memory.answers.last_state("run")
            slot = Slot(run="run", purpose="training",
                        server_round=last.server_round + 1 if last else 1, attempt=1)
            try:
                update = os.urandom(random.choice((20_000, 600_000)))
                answer = Answer(slot=slot, request=bytes(32), state=bytes(32),
                                receipt=update[:8], reply=update + b"!")
                counts = replace(answer, slot=replace(slot, purpose="evaluation"))
                replies = memory.answers.remember_round(slot, update, [counts, answer])
                if replies is None:
                    continue  # the other one was faster
                reply = replies[1]
                epoch = memory.last_epoch() + 1
                memory.accept_epoch(epoch, update[:32])
                memory.burn_key(f"burned-{epoch}")
            except (AnswerForgotten, StaleEpoch):
                continue  # the other one was faster
            os.write(pipe, f"{slot.server_round} {reply[:8].hex()} {epoch}\n".encode())

told = {}
for _ in range(lives):
    children = []
    for _ in range(2):
        ear, mouth = os.pipe()
        child = os.fork()
        if not child:
            live(mouth)
        os.close(mouth)
        children.append((child, ear))
    time.sleep(dice.uniform(0.01, 0.15))
    for child, ear in children:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "a writer ended by itself"
        with os.fdopen(ear) as heard:
            lines = [line.split() for line in heard if line.endswith("\n")]
        with SiteMemory(directory) as memory:
            for server_round, reply, epoch in lines:
                server_round, epoch = int(server_round), int(epoch)
                slot = Slot(run="run", purpose="training", server_round=server_round, attempt=1)
                assert told.setdefault(server_round, reply) == reply, "two replies to one slot"
                receipt = memory.answers.own_receipt(slot)
                assert receipt.hex() == reply, "another receipt than was sent"
                assert memory.last_epoch() >= epoch, "an epoch was forgotten"
                try:
                    memory.require_unburned(f"burned-{epoch}")
                except ValueError:
                    pass
                else:
                    raise AssertionError("a burned key came back")
    with SiteMemory(directory) as memory:
        last = memory.answers.last_state("run")
        if last:
            slot = Slot(run="run", purpose="training", server_round=last.server_round, attempt=1)
            reply = memory.answers.recall_reply(slot, bytes(32))
            assert reply == memory.answers.recall_update(slot) + b"!", "a reply without its update"
            counts = memory.answers.recall_reply(replace(slot, purpose="evaluation"), bytes(32))
            assert counts == reply, "an update without its counts"
            assert len(list((directory / "kept").iterdir())) <= 4, "files were left behind"
print(len(told))
"""


def test_nothing_that_was_reported_as_kept_is_lost_when_both_writers_are_killed(
    tmp_path: Path,
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "memory"), str(LIVES)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) >= 10  # replies that were reported, over all lives
