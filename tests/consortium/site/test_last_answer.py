import os
from pathlib import Path

from consortium.site.last_answer import LastAnswer


def test_nobody_notes_answers_until_a_supernode_does(tmp_path: Path) -> None:
    heard = LastAnswer(tmp_path)
    heard.forget()
    assert heard.silent_s() is None
    heard.expect()
    assert heard.silent_s() == float("inf")
    heard.forget()
    assert heard.silent_s() is None


def test_an_answer_is_noted_and_silence_is_not(tmp_path: Path) -> None:
    heard, answers = LastAnswer(tmp_path), iter([False, True, False])
    heard.expect()
    ask = heard.noting(lambda: next(answers))
    assert not ask()
    assert heard.silent_s() == float("inf")
    assert ask()
    noted = heard.path.stat().st_mtime
    assert heard.silent_s(lambda: noted + 40) == 40
    assert not ask()
    assert heard.path.stat().st_mtime == noted


def test_a_clock_that_was_put_back_is_no_silence(tmp_path: Path) -> None:
    heard = LastAnswer(tmp_path)
    heard.expect()
    os.utime(heard.path, (1_000, 1_000))
    assert heard.silent_s(lambda: 500.0) == 0


def test_a_note_that_cannot_be_written_changes_no_answer(tmp_path: Path) -> None:
    assert LastAnswer(tmp_path / "gone").noting(lambda: True)()
