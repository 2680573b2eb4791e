"""The page answers what an operator asks, from the files of the run."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.report.watch.page_state import page_state, seconds_left
from consortium.report.watch.run_files import WatchedRun
from consortium.report.watch.run_so_far import RunSoFar
from consortium.run.directory import BadRunDirectory, RunDirectory
from consortium.run.party_directory import PartyDirectory
from consortium.run.privacy_records import CampaignRun, LedgerLine, PrivacyCost
from consortium.run.records import Summary, read_record, write_record
from consortium.wording.pages import render_page
from privacy.storage.durable_files import write_atomically
from strategies.coordinator.messaging.events import SiteQuarantined
from tests.consortium.report.watch.runs_at_work import leading, text_of, write_run_at_work
from tests.consortium.sample_run import Sample

paces = st.floats(min_value=0.01, max_value=10_000)


def page_text(run: RunDirectory) -> str:
    state = page_state(WatchedRun.at(run.path).read())
    return text_of(render_page("watch_state.html.j2", state=state))


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of the page of a private run in its third round of eight."""
    run = write_run_at_work(tmp_path_factory.mktemp("watched") / "spring")
    with leading(run):
        return page_text(run)


def test_is_my_site_in_this_round(at_work: str) -> None:
    assert "“This round” is round 3 of 8." in at_work
    assert "amber-bank | yes: its answer is here" in at_work
    assert "cedar-bank | yes: asked, its answer is awaited" in at_work
    assert "birch-bank | no: it was not asked in this round" in at_work
    assert (
        "dune-bank | no, not in the run: never-came: Nothing came from it before the run began"
        in at_work
    )


def test_what_was_my_last_refusal_and_why(at_work: str) -> None:
    assert (
        "round 1 of 8: site-refused.budget-exhausted (asked 2, spent 2.5, left 1.5, budget 4, "
        "steps that fit 3): It refused: the run would spend more privacy than is left |" in at_work
    )
    assert at_work.count("none in this run") == 3


def test_how_much_budget_is_left_after_this_run(at_work: str) -> None:
    assert "This run asks for epsilon 2 by person at each site" in at_work
    assert "| epsilon 1.5 of 4, as it said when it refused |" in at_work
    assert at_work.count("not published; the ledger at the site says it") == 3


def test_when_will_it_end(at_work: str) -> None:
    """Two rounds took two minutes; six and the evaluation are left."""
    assert "| Running | When will it end? |" in at_work
    assert re.search(r"At about \d\d:\d\d UTC, in about (7 min 0|6 min 50) s, if", at_work)
    assert "A round waits 10 min 0 s for a site at most" in at_work


def test_a_run_that_nobody_leads_does_not_end(tmp_path: Path) -> None:
    text = page_text(write_run_at_work(tmp_path / "spring"))
    assert "| Interrupted |" in text
    assert "no process leads the run" in text
    assert "cedar-bank | asked; no answer was accepted" in text


def test_a_run_without_privacy_leaves_budgets_as_they_are(tmp_path: Path) -> None:
    text = page_text(write_run_at_work(tmp_path / "spring", {}))
    assert "budgets stay as they are" in text
    assert text.count("as before the run") == 3


def test_the_budget_is_the_last_that_a_site_published(tmp_path: Path) -> None:
    """A measured series of runs on one machine wrote down what the ledgers said."""
    run = write_run_at_work(tmp_path / "spring")
    line = LedgerLine(site="amber-bank", spent=2.75, allowed=4.0)
    last = CampaignRun(number=1, epsilon=2.0, finished=True, value=0.7, sites=(line,))
    cost = PrivacyCost(
        metric="roc_auc",
        metric_title="AUC",
        higher_is_better=True,
        unit="person",
        delta=1e-4,
        held_out=60,
        points=(),
        campaign=(last,),
        seconds=1.0,
    )
    write_record(run.privacy, cost)
    assert "epsilon 1.25 of 4, after the measured runs" in page_text(run)


def test_a_site_is_named_as_anything_without_harm(tmp_path: Path) -> None:
    """A node that proved no member's name is listed under the one it has, as text."""
    odd = "<script>alert(1)</script>"
    stranger = SiteQuarantined(server_round=0, site=odd, code="not-a-member")
    run = Sample(quarantined=(stranger,), rounds=2).write(tmp_path / "odd")
    html = render_page("watch_state.html.j2", state=page_state(WatchedRun.at(run.path).read()))
    assert "<script" not in html
    assert odd in text_of(html)


def test_a_finished_run_says_how_it_ended(tmp_path: Path) -> None:
    run = Sample(rounds=2).write(tmp_path / "done")
    text = page_text(run)
    assert "| Finished | How did it end? | The run ended after 3.2 s; all rounds are done." in text
    assert "amber-bank | yes: its answer is here" in text


def test_a_run_that_failed_says_with_what(tmp_path: Path) -> None:
    run = Sample(rounds=3, completed=1, error="quorum-not-reached: two <of> four").write(
        tmp_path / "failed"
    )
    assert "quorum-not-reached: two <of> four" in page_text(run)


def test_before_anything_is_recorded_the_page_says_so(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    Sample().charter.write(run.charter)
    assert "| Waiting | When will it end? | Nothing is recorded yet" in page_text(run)


def test_a_directory_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRunDirectory, match=r"holds no charter\.json"):
        WatchedRun.at(tmp_path)


def test_what_is_read_while_it_is_written_is_what_is_read_at_the_end(tmp_path: Path) -> None:
    """Rounds, bytes and refusals equal those of the summary, in however many parts they came."""
    left_out = SiteQuarantined(server_round=2, site="cedar-bank", code="silent")
    run = Sample(rounds=3, quarantined=(left_out,)).write(tmp_path / "whole")
    lines = run.events.read_text().splitlines(keepends=True)
    run.events.write_text("")
    watched = WatchedRun.at(run.path)
    for line in lines:
        with run.events.open("a") as file:
            file.write(line)
        files = watched.read()
    summary = read_record(run.summary, Summary)
    assert files.so_far.bytes == summary.bytes_down + summary.bytes_up
    assert [*files.so_far.rounds] == [1, 2, 3, 4]
    assert files.so_far.refusals == summary.quarantined


def test_a_config_and_a_log_that_change_are_read_anew(tmp_path: Path) -> None:
    run = write_run_at_work(tmp_path / "spring")
    watched = WatchedRun.at(run.path)
    assert "round 3 of 8" in page_state(watched.read()).this_round
    settings = json.loads(run.run_config.read_bytes())
    write_atomically(run.run_config, json.dumps({**settings, "num-server-rounds": 9}))
    log = PartyDirectory(run.coordinator).audit_log
    log.parent.mkdir(parents=True, exist_ok=True)
    first, second = (json.dumps({"entry": {"n": n}, "hash": 64 * str(n)}) for n in (1, 2))
    log.write_text(f"{first}\n{second[:9]}")
    found = page_state(watched.read())
    assert "round 3 of 9" in found.this_round
    assert [one.entries for one in found.heads] == [1]
    log.write_text(f"{first}\n{second}\n")
    assert [one.entries for one in watched.read().heads] == [2]


def test_the_page_writes_nothing(tmp_path: Path) -> None:
    run = write_run_at_work(tmp_path / "spring")
    with leading(run):
        before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
        page_text(run)
        assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def finished(so_far: RunSoFar, server_round: int, at_s: float) -> None:
    so_far.note(
        {
            "event": "round-finished",
            "at_s": at_s,
            "server_round": server_round,
            "answered": ["a"],
            "seconds": 1.0,
            "bytes_down": 1,
            "bytes_up": 2,
        }
    )


@given(paces, st.integers(1, 30), st.integers(0, 30), st.floats(0, 1e5))
def test_rounds_at_one_pace_end_when_that_pace_says(
    pace: float, done: int, more: int, quiet_s: float
) -> None:
    so_far = RunSoFar()
    so_far.note({"event": "round-started", "at_s": 5.0, "server_round": 1, "cohort": ["a"]})
    assert seconds_left(so_far, done + more, quiet_s) is None
    for at in range(1, done + 1):
        finished(so_far, at, 5.0 + pace * at)
    expected = max(0.0, pace * (more + 1) - quiet_s)
    assert seconds_left(so_far, done + more, quiet_s) == pytest.approx(expected, rel=1e-6, abs=1e-3)


def test_rounds_that_are_repeated_after_an_interruption_count_once() -> None:
    so_far = RunSoFar()
    for at in (1, 2):
        finished(so_far, at, 1.0 * at)
    so_far.note({"event": "run-failed", "at_s": 2.0, "code": "a", "text": "b"})
    so_far.note({"event": "run-resumed", "at_s": 2.0, "server_round": 2})
    finished(so_far, 2, 3.0)
    assert (so_far.bytes, [*so_far.rounds], so_far.failure) == (6, [1, 2], "")


def test_an_answer_to_an_earlier_round_and_nothing_new_are_answers_of_this_one() -> None:
    """Nobody answers who is not in the round: the page shows so many of so many."""
    so_far = RunSoFar()
    so_far.note({"event": "round-started", "at_s": 0.0, "server_round": 2, "cohort": ["a", "b"]})
    so_far.note(
        {"event": "site-answered", "at_s": 1.0, "server_round": 2, "site": "c", "asked_in": 1}
    )
    so_far.note({"event": "site-unchanged", "at_s": 1.0, "server_round": 2, "site": "a"})
    assert (so_far.answered, so_far.cohort) == ({"a", "c"}, ("a", "b", "c"))


def test_a_second_attempt_at_a_round_begins_with_nobodys_answer() -> None:
    so_far = RunSoFar()
    asked = {"event": "round-started", "at_s": 0.0, "server_round": 1, "cohort": ["a", "b"]}
    silent = {"event": "site-quarantined", "at_s": 1.0, "server_round": 1, "site": "b"}
    so_far.note(asked)
    so_far.note({"event": "site-answered", "at_s": 1.0, "server_round": 1, "site": "a"})
    so_far.note({**silent, "code": "silent", "counts": {}})
    assert (so_far.answered, [*so_far.left_out]) == ({"a"}, ["b"])
    so_far.note({**asked, "cohort": ["a"]})
    assert (so_far.answered, [*so_far.left_out]) == (set(), ["b"])
    so_far.note(asked)
    assert not so_far.left_out
