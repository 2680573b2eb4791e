import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from consortium.client.reply_cache import ReplyCache
from privacy.storage.site_process import SITE_PROCESS
from privacy.wire.messages import Contribution, Position

ASKED = Position(
    charter="c" * 64,
    run="run-1",
    server_round=3,
    state=np.array([0.5, -1.0], np.float32),
    statistics=np.array([4, 2], np.int64),
)
SENT = Contribution(
    update=np.array([1.5, -2.0], np.float32),
    num_examples=12,
    tally=np.array([7, 1], np.int64),
    released=True,
)

LARGE = replace(SENT, update=np.zeros(200_000, np.float32))


def recalled(directory: Path, asked: Position = ASKED) -> Contribution | None:
    return ReplyCache(directory, asked).recall()


def test_the_same_question_is_answered_the_same_by_another_process(tmp_path: Path) -> None:
    assert recalled(tmp_path) is None
    ReplyCache(tmp_path, ASKED).keep(SENT)
    SITE_PROCESS.clear()
    found = recalled(tmp_path)
    assert found is not None
    assert found.encode() == SENT.encode()


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, charter="d" * 64),
        replace(ASKED, run="run-2"),
        replace(ASKED, server_round=4),
        replace(ASKED, state=np.array([0.5, -1.5], np.float32)),
        replace(ASKED, statistics=np.array([4, 3], np.int64)),
    ],
    ids=["charter", "run", "round", "state", "statistics"],
)
def test_another_question_is_not_answered_with_it(other: Position, tmp_path: Path) -> None:
    ReplyCache(tmp_path, ASKED).keep(SENT)
    assert recalled(tmp_path, other) is None


def test_one_answer_is_kept_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    ReplyCache(tmp_path, ASKED).keep(LARGE)
    later = replace(ASKED, server_round=4)
    ReplyCache(tmp_path, later).keep(replace(LARGE, num_examples=13))
    assert recalled(tmp_path) is None
    found = recalled(tmp_path, later)
    assert found is not None
    assert found.num_examples == 13
    assert len(list((tmp_path / "answers" / "kept").iterdir())) == 1
    for path in (tmp_path / "answers").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


def test_of_two_processes_the_faster_answer_stands(tmp_path: Path) -> None:
    ReplyCache(tmp_path, ASKED).keep(SENT)
    SITE_PROCESS.clear()
    slow = replace(SENT, num_examples=13)
    assert ReplyCache(tmp_path, ASKED).keep(slow).encode() == SENT.encode()


LATER = replace(ASKED, server_round=4)
OTHER_RUN = replace(ASKED, run="run-2")
PACKED = replace(SENT, update=np.zeros(0, np.float32), packed=b"\1\2\3")
LEFT = np.array([0.25, -0.5], np.float32)


def memory(directory: Path, asked: Position) -> list[float] | None:
    """Return what another process finds that a run left."""
    SITE_PROCESS.clear()
    found = ReplyCache(directory, asked).memory()
    return None if found is None else found.tolist()


def test_a_packed_update_is_kept_as_it_travels(tmp_path: Path) -> None:
    """The bytes that are repeated are those that were sent."""
    ReplyCache(tmp_path, ASKED).keep(PACKED, LEFT)
    SITE_PROCESS.clear()
    found = recalled(tmp_path)
    assert found is not None
    assert (found.packed, found.update.size, found.tally.tolist()) == (b"\1\2\3", 0, [7, 1])
    assert (found.released, found.num_examples) == (True, 12)


@pytest.mark.parametrize("left", [LEFT, np.arange(200_000, dtype=np.float32)])
def test_what_a_run_left_is_there_in_its_next_round(
    left: NDArray[np.float32], tmp_path: Path
) -> None:
    """After a restart, and after answers in other runs; another run has a memory of its own."""
    assert memory(tmp_path, ASKED) is None
    ReplyCache(tmp_path, ASKED).keep(PACKED, left)
    ReplyCache(tmp_path, OTHER_RUN).keep(PACKED, 2 * LEFT)
    ReplyCache(tmp_path, replace(ASKED, run="run-3")).keep(SENT)
    assert memory(tmp_path, LATER) == left.tolist()
    assert memory(tmp_path, OTHER_RUN) == (2 * LEFT).tolist()
    ReplyCache(tmp_path, LATER).keep(PACKED, 3 * LEFT)
    assert memory(tmp_path, LATER) == (3 * LEFT).tolist()


def test_of_two_processes_the_memory_of_the_faster_one_stands(tmp_path: Path) -> None:
    """What is left belongs to what was sent: of neither the slower one's."""
    ReplyCache(tmp_path, ASKED).keep(PACKED, LEFT)
    ReplyCache(tmp_path, ASKED).keep(replace(PACKED, packed=b"slow"), 2 * LEFT)
    assert memory(tmp_path, LATER) == LEFT.tolist()


def test_a_run_that_is_over_leaves_nothing(tmp_path: Path) -> None:
    """Neither a row nor a file; other runs keep theirs."""
    large = np.zeros(200_000, np.float32)
    ReplyCache(tmp_path, ASKED).keep(PACKED, large)
    ReplyCache(tmp_path, OTHER_RUN).keep(PACKED, LEFT)
    ReplyCache(tmp_path, LATER).end_run()
    assert memory(tmp_path, LATER) is None
    assert memory(tmp_path, OTHER_RUN) == LEFT.tolist()
    assert not [*(tmp_path / "answers" / "kept").iterdir()]


def test_runs_that_were_given_up_do_not_fill_the_disk(tmp_path: Path) -> None:
    """Of 64 runs without an end only the one that goes on keeps what it left."""
    runs = [replace(ASKED, run=f"run-{number}") for number in range(65)]
    for asked in runs:
        ReplyCache(tmp_path, asked).keep(PACKED, LEFT)
    assert [memory(tmp_path, asked) for asked in (runs[0], runs[-1])] == [None, LEFT.tolist()]


def test_an_answer_that_version_0_1_0_kept_is_given_until_there_is_another(tmp_path: Path) -> None:
    file = made_by_0_1_0(tmp_path)
    found = recalled(tmp_path)
    assert found is not None
    assert found.encode() == SENT.encode()
    later = replace(ASKED, server_round=4)
    assert recalled(tmp_path, later) is None
    ReplyCache(tmp_path, later).keep(SENT)
    assert recalled(tmp_path) is None
    assert not file.exists()


def test_an_answer_of_version_0_1_0_that_was_cut_short_or_altered_is_none(tmp_path: Path) -> None:
    file = made_by_0_1_0(tmp_path)
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place])
        assert recalled(tmp_path) is None
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert recalled(tmp_path) is None


def made_by_0_1_0(directory: Path) -> Path:
    """Write the file in which version 0.1.0 kept `SENT` as the answer to `ASKED`."""
    question = hashlib.sha256(f"{ASKED.charter} {ASKED.run} {ASKED.server_round}\n".encode())
    question.update(ASKED.state.astype("<f4").tobytes() + ASKED.statistics.astype("<i8").tobytes())
    body = SENT.encode()
    (directory / "answers").mkdir(mode=0o700)
    file = directory / "answers" / "last.bin"
    tag = b"consortium.kept-answer/1\n"
    file.write_bytes(tag + question.digest() + body + hashlib.sha256(body).digest())
    return file
