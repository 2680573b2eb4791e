import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from consortium.coordinator.recorder import Recorder
from consortium.run.directory import RunDirectory
from consortium.run.records import SitePairs, Tallies, read_record
from scenarios.library.registry import scenario_named
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.contract import evaluation_for
from sites.evaluation.pairs import PairCounts
from strategies.coordinator.messaging.events import (
    RoundFinished,
    RoundStarted,
    RunEvent,
    SiteAnswered,
    SiteQuarantined,
    SitesJoined,
    SiteUnchanged,
    StatisticsPooled,
)

EVALUATION = evaluation_for(scenario_named("heart-diagnosis").table)
NAMES = ("cleveland", "hungary", "switzerland")


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(RunDirectory(tmp_path), EVALUATION)


def tally(seed: int = 7) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.r_[np.zeros(30), np.ones(30)]
    return EVALUATION.tally(rng.uniform(0.01, 0.99, 60), labels.astype(np.int64))


def finished(server_round: int, saturated: int | None = None) -> RoundFinished:
    return RoundFinished(
        server_round=server_round,
        answered=NAMES,
        evaluation=tally(),
        bytes_down=10,
        bytes_up=7,
        seconds=0.5,
        saturated=saturated,
    )


def counted(server_round: int, *, released: tuple[str, ...]) -> Iterator[RunEvent]:
    """A round up to its end: everybody answers, some release what they counted."""
    yield RoundStarted(server_round=server_round, cohort=NAMES)
    for name in NAMES:
        shown = tally(len(name) + server_round) if name in released else None
        yield SiteAnswered(server_round=server_round, site=name, released=shown)


def play(recorder: Recorder, *events: RunEvent) -> None:
    for event in events:
        recorder(event)


def shown_in(path: Path) -> dict[str, list[int]]:
    return read_record(path, Tallies).by_site


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


EVENTS: tuple[tuple[RunEvent, str], ...] = (
    (SitesJoined(sites=NAMES, absent=("va",), weights={"hungary": 4}, dim=3), "sites-joined"),
    (StatisticsPooled(pooled=np.arange(3)), "statistics-pooled"),
    (RoundStarted(server_round=1, cohort=NAMES), "round-started"),
    (SiteAnswered(server_round=1, site="hungary"), "site-answered"),
    (SiteUnchanged(server_round=1, site="hungary"), "site-unchanged"),
    (SiteQuarantined(server_round=1, site="hungary", code="silent"), "site-quarantined"),
    (finished(1), "round-finished"),
)


@how(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(st.sampled_from(EVENTS), max_size=8))
def test_every_event_is_one_whole_line_in_its_order(
    chosen: list[tuple[RunEvent, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    recorder = Recorder(run, EVALUATION)
    for event, _ in chosen:
        recorder(event)
    written = lines(run.events) if chosen else []
    assert [line["event"] for line in written] == [name for _, name in chosen]
    times = [line["at_s"] for line in written]
    assert times == sorted(times)
    rounds = sum(isinstance(event, RoundFinished) for event, _ in chosen)
    assert (len(lines(run.metrics)) if rounds else 0) == rounds
    assert (recorder.bytes_down, recorder.bytes_up) == (10 * rounds, 7 * rounds)


def test_a_line_is_on_the_disk_when_the_event_is_over(recorder: Recorder) -> None:
    """The progress display reads it from another process."""
    for count, (event, _) in enumerate(EVENTS, start=1):
        recorder(event)
        assert len(lines(recorder.run.events)) == count


def test_a_figure_of_one_site_is_written_only_if_the_site_released_it(recorder: Recorder) -> None:
    play(recorder, *counted(0, released=("hungary",)), StatisticsPooled(pooled=np.arange(3)))
    play(recorder, *counted(1, released=("hungary", "switzerland")), finished(1))
    recorder.write_evaluation()
    assert shown_in(recorder.run.statistics) == {"hungary": tally(7).tolist()}
    expected = {"hungary": tally(8), "switzerland": tally(12)}
    assert shown_in(recorder.run.evaluation) == {
        site: counts.tolist() for site, counts in expected.items()
    }
    (line,) = lines(recorder.run.metrics)
    assert dict(recorder.site_metrics()) == line["site_metrics"]
    assert line["site_metrics"].keys() == expected.keys()
    for site, counts in expected.items():
        figures = {name: one["value"] for name, one in line["site_metrics"][site].items()}
        assert figures == {name: one.value for name, one in EVALUATION.metrics(counts).items()}


def test_an_attempt_that_came_to_nothing_leaves_no_figure(recorder: Recorder) -> None:
    """The sites of the attempt that counts stand behind the pooled figures, and no others."""
    play(recorder, *counted(1, released=("cleveland", "hungary")))
    play(recorder, *counted(1, released=("hungary",)), finished(1))
    play(recorder, *counted(2, released=("cleveland",)))  # and then the run is parked
    recorder.write_evaluation()
    assert shown_in(recorder.run.evaluation) == {"hungary": tally(8).tolist()}
    (line,) = lines(recorder.run.metrics)
    assert set(line["site_metrics"]) == {"hungary"}


def test_what_sites_released_leaves_nothing_beside_the_files_of_a_run(recorder: Recorder) -> None:
    play(recorder, *counted(1, released=NAMES), finished(1))
    assert {path.name for path in recorder.run.path.iterdir()} == {"events.jsonl", "metrics.jsonl"}


def test_memory_does_not_grow_with_what_sites_release(recorder: Recorder) -> None:
    """Two hundred tallies are ten times what may be held."""
    one, sites = tally(), tuple(f"site-{index:03}" for index in range(200))
    play(recorder, SiteAnswered(server_round=1, site=sites[0], released=one), finished(1))
    recorder.write_evaluation()  # what is built at first use is nobody's figures
    tracemalloc.start()
    recorder(RoundStarted(server_round=2, cohort=sites))
    for site in sites:
        recorder(SiteAnswered(server_round=2, site=site, released=one.copy()))
    recorder(finished(2))
    recorder.write_evaluation()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(shown_in(recorder.run.evaluation)) == 200
    assert peak < 20 * one.nbytes


def test_no_event_of_one_site_holds_a_figure(recorder: Recorder) -> None:
    """Released figures are in `metrics.jsonl`; `events.jsonl` is for progress and decisions."""
    play(recorder, *counted(0, released=("hungary",)), StatisticsPooled(pooled=np.arange(3)))
    play(recorder, *counted(1, released=("hungary",)), finished(1))
    told = lines(recorder.run.events)
    answers = [line for line in told if line["event"] == "site-answered"]
    assert {frozenset(line) for line in answers} == {
        frozenset({"at_s", "event", "server_round", "site"})
    }
    (pooled,) = [line for line in told if line["event"] == "statistics-pooled"]
    assert set(pooled) == {"at_s", "event", "sites"}
    assert pooled["sites"] == ["hungary"]
    assert "site_metrics" not in told[-1]


def test_written_metrics_are_those_of_the_tally(recorder: Recorder) -> None:
    recorder(finished(1))
    (line,) = lines(recorder.run.metrics)
    expected = EVALUATION.metrics(tally())
    assert set(line["metrics"]) == set(expected)
    for name, metric in expected.items():
        assert line["metrics"][name] == {"value": metric.value, "error_bound": metric.error_bound}


def test_the_metrics_of_a_round_are_its_own_before_and_after_another_is_recorded(
    recorder: Recorder,
) -> None:
    first, second = finished(1), replace(finished(2), evaluation=tally(8))
    expected = [recorder.metrics_of(first), recorder.metrics_of(second)]
    assert expected[0] != expected[1]
    for event in (first, second):
        recorder(event)
        assert [recorder.metrics_of(first), recorder.metrics_of(second)] == expected
    assert recorder.metrics_of(second, tally()) == expected[0]


def test_the_last_round_is_what_a_run_is_judged_by(recorder: Recorder) -> None:
    play(recorder, *counted(1, released=("cleveland",)), finished(1))
    play(recorder, *counted(2, released=("hungary",)), finished(2))
    recorder.write_evaluation()
    assert recorder.last_round is not None
    assert recorder.last_round.server_round == 2
    record = read_record(recorder.run.evaluation, Tallies)
    assert record.pooled == tally().tolist()
    assert set(record.by_site) == {"hungary"}


def uncounted(server_round: int) -> RoundFinished:
    zeros = np.zeros_like(tally())
    return replace(finished(server_round), evaluation=zeros, counted=False)


def test_a_round_without_counts_leaves_the_last_evaluation_as_it_is(recorder: Recorder) -> None:
    play(recorder, *counted(1, released=("cleveland",)), finished(1))
    before = dict(recorder.site_metrics())
    play(recorder, *counted(2, released=()), uncounted(2))  # and then the run is parked
    recorder.write_evaluation()
    record = read_record(recorder.run.evaluation, Tallies)
    assert (record.server_round, record.pooled) == (1, tally().tolist())
    assert set(record.by_site) == {"cleveland"}
    assert dict(recorder.site_metrics()) == before
    told = lines(recorder.run.metrics)
    assert [line.get("counted", True) for line in told] == [True, False]
    assert not told[1]["metrics"]
    assert not told[1]["site_metrics"]


def test_a_resumed_run_without_another_evaluation_keeps_the_one_on_the_disk(
    recorder: Recorder,
) -> None:
    play(recorder, *counted(1, released=("cleveland",)), finished(1), uncounted(2))
    recorder.write_evaluation()
    kept = recorder.run.evaluation.read_text()
    later = Recorder(recorder.run, EVALUATION)
    later.record_resumption(2)
    play(later, *counted(3, released=()), uncounted(3))
    later.write_evaluation()
    assert recorder.run.evaluation.read_text() == kept
    play(later, *counted(4, released=("hungary",)), finished(4))
    later.write_evaluation()
    record = read_record(recorder.run.evaluation, Tallies)
    assert (record.server_round, set(record.by_site)) == (4, {"hungary"})


def test_the_pairs_within_sites_are_kept_if_records_can_have_them(recorder: Recorder) -> None:
    """What most sites told is believed only if it fits the counts that it stands beside."""
    assert isinstance(EVALUATION, BinaryEvaluation)
    most = EVALUATION.pairs(tally())
    for entries, kept in (
        (most.entries, SitePairs(**asdict(most))),
        (np.zeros(6, np.int64), SitePairs(concordant=0, undecided=0, total=0)),
        ((most + PairCounts(0, 0, 1)).entries, None),
        (None, None),
    ):
        play(recorder, replace(finished(1), pairs=entries))
        recorder.write_evaluation()
        assert read_record(recorder.run.evaluation, Tallies).pairs == kept


def test_members_are_shown_as_the_run_saw_them(recorder: Recorder) -> None:
    """Answers to the statistics round are no answers to a round of training."""
    recorder(SitesJoined(sites=("hungary",), absent=("cleveland",), weights={"hungary": 4}, dim=3))
    for server_round in (0, 1, 2):
        recorder(SiteAnswered(server_round=server_round, site="hungary"))
    shown = {site.name: site for site in recorder.site_summaries(("cleveland", "hungary"))}
    assert (shown["hungary"].present, shown["hungary"].weight) == (True, 4)
    assert shown["hungary"].answered == 2
    assert (shown["cleveland"].present, shown["cleveland"].answered) == (False, 0)


def test_a_round_that_is_answered_again_counts_once(recorder: Recorder) -> None:
    """After an interruption, or in another attempt; in whatever order rounds come back."""
    for server_round in (0, 1, 2, 5, 2, 1):
        recorder(SiteAnswered(server_round=server_round, site="hungary"))
    later = Recorder(recorder.run, EVALUATION)
    later.record_resumption(1)
    later(SiteAnswered(server_round=2, site="hungary"))
    later(SiteAnswered(server_round=6, site="hungary"))
    for one, answered in ((recorder, 3), (later, 4)):
        assert [site.answered for site in one.site_summaries(("hungary",))] == [answered]


def test_saturated_values_are_kept_by_round_and_over_an_interruption(recorder: Recorder) -> None:
    """A round that is repeated counts once; one whose number nobody told is not there."""
    play(recorder, finished(1, 3), finished(2), finished(3, 0), finished(4, 9))
    assert recorder.saturated == {1: 3, 3: 0, 4: 9}
    assert [line.get("saturated") for line in lines(recorder.run.metrics)] == [3, None, 0, 9]
    later = Recorder(recorder.run, EVALUATION)
    later.record_resumption(3)
    assert later.saturated == {1: 3, 3: 0}
    later(finished(4, 8))
    assert later.saturated == {1: 3, 3: 0, 4: 8}


def test_a_quarantine_keeps_its_code_and_counts(recorder: Recorder) -> None:
    event = SiteQuarantined(server_round=3, site="va", code="layout-mismatch", counts={"came": 9})
    recorder(event)
    (kept,) = recorder.quarantined
    assert (kept.server_round, kept.site, kept.code) == (3, "va", "layout-mismatch")
    assert dict(kept.counts) == {"came": 9}


def test_a_run_that_ended_before_it_began_is_recorded_too(recorder: Recorder) -> None:
    recorder.record_failure("impossible-cohort", "quorum=5 can never be reached by 4 members")
    recorder.write_evaluation()
    (line,) = lines(recorder.run.events)
    assert (line["event"], line["code"]) == ("run-failed", "impossible-cohort")
    assert not recorder.run.evaluation.exists()
    assert [site.present for site in recorder.site_summaries(NAMES)] == [False] * 3
