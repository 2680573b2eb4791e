"""Nobody fills a site's disk by asking it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from flwr.app import RecordDict

from consortium.audit.cross_check import read_log
from privacy.policy import refusal_windows
from privacy.policy.kill_switch import allow, stop_all
from privacy.wire import messages
from tests.carrier import staged
from tests.consortium.staged import ward
from tests.decisions import decide
from tests.small_consortium import Consortium, Passing, forget_processes

REFUSED = 100


def bytes_in(folder: Path) -> int:
    """Return the size of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_messages_over_the_pace_cost_the_disk_next_to_nothing(tmp_path: Path) -> None:
    """Their number is worth a line; each of them is not."""
    forget_processes()
    at = ward(tmp_path, "hungary")
    decide(at.site.directory, pace={"messages_per_hour": 5})
    question = messages.question(at.site.charter.fingerprint)
    for _ in range(6):
        at.ask(messages.STATISTICS, question)
    before = bytes_in(at.site.directory)
    codes = {at.refusal(messages.STATISTICS, question) for _ in range(REFUSED)}
    staged(so=codes == {"too-often"}, what=f"the site did not refuse but said {codes}")
    assert bytes_in(at.site.directory) - before < 100 * REFUSED


def test_a_stopped_site_tells_of_a_flood_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the number, and the first and last time; the other end's log still agrees."""
    forget_processes()
    at = ward(tmp_path, "hungary")
    question = messages.question(at.site.charter.fingerprint)
    stop_all(at.site.directory)
    monkeypatch.setattr(refusal_windows, "WINDOW_S", 10**10)
    for _ in range(REFUSED):
        assert at.refusal(messages.STATISTICS, question) == "stopped"
    allow(at.site.directory)
    monkeypatch.setattr(refusal_windows, "WINDOW_S", 1)  # what was counted is over
    at.ask(messages.HELLO, question)
    entries = read_log(at.site.directory / "audit" / "log.jsonl").entries
    (together,) = (one.event.facts for one in entries if one.event.kind == "refused-together")
    assert together["times"] == REFUSED - 1
    assert str(together["first"]) <= str(together["last"])
    sent = [one.event.facts for one in entries if one.event.kind == "sent"]
    assert [one["kind"] for one in sent] == [messages.STATISTICS, messages.HELLO]


def bytes_remembered(consortium: Consortium, copy: Path) -> int:
    """Return how much north holds for runs: its database without unused pages, and files."""
    memory = consortium.run.site("north") / "memory"
    with closing(sqlite3.connect(memory / "memory.sqlite")) as database:
        database.execute("VACUUM INTO ?", (str(copy),))
    return copy.stat().st_size + bytes_in(memory / "kept")


def test_runs_that_failed_are_forgotten_when_a_later_one_opens(tmp_path: Path) -> None:
    """In each, all answers but north's are lost in the second round."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")

    def up(passing: Passing) -> RecordDict:
        lost = passing.kind == "train" and passing.number == 2 and passing.site != "north"
        return RecordDict() if lost else passing.content

    held = []
    for number in range(3):
        course = consortium.start(up=up, num_server_rounds=2, seed=number)
        staged(so=course.error is not None, what="the run did not fail")
        forget_processes()
        held.append(bytes_remembered(consortium, tmp_path / f"copy-{number}"))
    assert held[2] - held[1] < held[0] / 4
