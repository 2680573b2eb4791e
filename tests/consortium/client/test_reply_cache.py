from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consortium.client.reply_cache import ReplyCache
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


def recalled(directory: Path, asked: Position = ASKED) -> Contribution | None:
    return ReplyCache(directory, asked).recall()


def test_the_same_question_is_answered_the_same_by_another_process(tmp_path: Path) -> None:
    assert recalled(tmp_path) is None
    ReplyCache(tmp_path, ASKED).keep(SENT)
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
    ReplyCache(tmp_path, ASKED).keep(SENT)
    later = replace(ASKED, server_round=4)
    ReplyCache(tmp_path, later).keep(replace(SENT, num_examples=13))
    assert recalled(tmp_path) is None
    found = recalled(tmp_path, later)
    assert found is not None
    assert found.num_examples == 13
    (file,) = (tmp_path / "answers").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_answer_that_was_cut_short_or_altered_is_none(tmp_path: Path) -> None:
    ReplyCache(tmp_path, ASKED).keep(SENT)
    (file,) = (tmp_path / "answers").iterdir()
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place])
        assert recalled(tmp_path) is None
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert recalled(tmp_path) is None


def test_what_a_dying_process_left_half_written_is_no_obstacle(tmp_path: Path) -> None:
    ReplyCache(tmp_path, ASKED).keep(SENT)
    (tmp_path / "answers" / ".last.partial").write_bytes(b"half")
    ReplyCache(tmp_path, ASKED).keep(SENT)
    assert recalled(tmp_path) is not None
