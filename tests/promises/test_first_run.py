"""The first run under a charter counts for all its members, or for those that it names."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict

from consortium.client.encrypted.verification import ExactCounts
from consortium.coordinator.counted_rosters import AnotherRosterCounted, CountedRosters
from privacy.layout import Tally
from privacy.protocol.envelope import STATISTICS, Receipt
from privacy.protocol.grouping import WITHHELD
from privacy.wire import flower_records as wire
from scenarios.engines.in_process import InProcessGrid, Vanished
from strategies.coordinator.encrypted.parameters import MembersMissing, RoundVoid
from strategies.coordinator.encrypted.strategy import Encrypted
from tests.carrier import away, staged
from tests.decisions import decide
from tests.opened_sums import OpenedSum, opened_sums
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    as_it_is,
    forget_processes,
    read_reply,
    read_round,
    refusal,
)
from tests.tampering import absent, both

OTHERS = NAMES[:3]  # without west
TRAIN = "train"


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    forget_processes()
    return Consortium.placed(tmp_path / "run")


def run(
    consortium: Consortium, hook: Hook = as_it_is, **overrides: Any
) -> tuple[Course, list[OpenedSum]]:
    """Run one round as processes that start now; return also the statistics that were opened."""
    forget_processes()
    with opened_sums() as seen:
        course = consortium.start(down=hook, num_server_rounds=1, quorum=3, **overrides)
    return course, [one for one in seen if one.purpose == STATISTICS]


def test_a_first_run_without_a_member_counts_nothing_and_says_who_is_missing(
    consortium: Consortium,
) -> None:
    course, opened = run(consortium, away("west"))
    assert isinstance(course.error, MembersMissing)
    assert "left out: west. Bring them back, or run with `--without SITE`" in str(course.error)
    assert not opened
    sealed = [read_reply(answer) for _, answer in course.answers("query.statistics")]
    assert {Receipt.decode(one.count_receipt).label.weight_class for one in sealed} == {WITHHELD}


def test_all_members_count_once_the_missing_one_is_there(consortium: Consortium) -> None:
    """A run that waited in vain binds nobody."""
    run(consortium, away("west"))
    course, opened = run(consortium)
    assert course.error is None
    assert {one.sites for one in opened} == {frozenset(NAMES)}


def test_who_is_left_out_by_name_is_in_no_count_and_has_the_statistics_later(
    consortium: Consortium,
) -> None:
    first, opened = run(consortium, without="west")
    assert first.error is None
    assert set(first.models) == set(OTHERS)  # though west is there
    assert not first.quarantined, "west is turned away without another reason"
    later, more = run(consortium, seed=8)
    assert later.error is None
    assert set(later.models) == set(NAMES)
    assert {one.sites for one in [*opened, *more]} == {frozenset(OTHERS)}


def test_later_runs_go_on_without_who_is_away(consortium: Consortium) -> None:
    run(consortium)
    course, _ = run(consortium, away("west"), seed=8)
    assert course.error is None
    assert set(course.models) == set(OTHERS)


def test_a_member_that_falls_silent_in_the_first_statistics_binds_nobody(
    consortium: Consortium,
) -> None:
    """It says hello and never answers: the others name it, and count without it."""
    silent, opened = run(consortium, absent("west", "query.statistics", 0))
    assert isinstance(silent.error, MembersMissing)
    assert not opened
    named, opened = run(consortium, absent("west", "query.statistics", 0), without="west")
    assert named.error is None
    assert {one.sites for one in opened} == {frozenset(OTHERS)}
    back, more = run(consortium, seed=8)
    assert back.error is None
    assert set(back.models) == set(NAMES)
    assert not more


def statistics(consortium: Consortium, name: str) -> Tally:
    """Return the statistics in a site's model: those of the sites that counted."""
    model = consortium.run.site(name) / "model" / "model.json"
    return np.array(json.loads(model.read_text())["statistics"])


def interrupted(consortium: Consortium) -> dict[str, RecordDict]:
    """Return what a run of all asks each site in its first round; no site has opened it."""
    asked: dict[str, RecordDict] = {}

    def down(passing: Passing) -> RecordDict:
        if passing.kind == TRAIN:
            asked[passing.site] = passing.content
            raise Vanished
        return passing.content

    course, opened = run(consortium, down)
    staged(
        so=isinstance(course.error, RoundVoid) and set(asked) == set(NAMES) and not opened,
        what="no run of all sealed its statistics and stopped",
    )
    return asked


def test_who_counted_without_a_member_opens_no_earlier_sum_with_it(
    consortium: Consortium,
) -> None:
    """The operator resumes an older run: its statistics are summed, and were not opened yet."""
    asked = interrupted(consortium)
    named, _ = run(consortium, without="west")
    staged(so=named.error is None, what="three sites did not count")
    forget_processes()
    config: dict[str, Any] = {"num_server_rounds": 1, "quorum": 3}
    for name in OTHERS:
        assert consortium.place(name, **config).refusal(TRAIN, asked[name]) == "another-roster"


def test_no_site_is_given_two_statistics_whose_difference_is_a_members(
    consortium: Consortium,
) -> None:
    """West opened the sum of all; later it is offered the one without itself, as a start."""
    asked = interrupted(consortium)
    config: dict[str, Any] = {"num_server_rounds": 1, "quorum": 3}
    forget_processes()
    staged(
        so=not refusal(consortium.place("west", **config).ask(TRAIN, asked["west"])),
        what="west did not open the sum of all",
    )
    named, _ = run(consortium, without="west")
    staged(so=named.error is None, what="three sites did not count")
    later, _ = run(consortium, seed=8)
    assert later.error is None
    assert (1, "west", "site-refused.another-roster") in later.quarantined
    assert set(later.models) == set(OTHERS)


def test_who_was_given_statistics_opens_no_sum_that_it_sealed_for_before(
    consortium: Consortium,
) -> None:
    """West sealed for all; it is given the statistics of the others; then the first sum comes."""
    asked = interrupted(consortium)
    run(consortium, without="west")
    later, _ = run(consortium, seed=8)
    staged(so=set(later.models) == set(NAMES), what="west was not given the statistics")
    forget_processes()
    config: dict[str, Any] = {"num_server_rounds": 1, "quorum": 3}
    assert consortium.place("west", **config).refusal(TRAIN, asked["west"]) == "another-roster"


def test_who_evaluates_with_a_roster_opens_no_other_statistics_of_it(
    consortium: Consortium,
) -> None:
    """West was given the statistics of the others, and counts with all when it evaluates."""
    for name in NAMES:
        decide(consortium.run.site(name), releases={"evaluation_rosters": "one"})
    asked = interrupted(consortium)
    run(consortium, without="west")
    later, _ = run(consortium, seed=8)
    staged(so=set(later.models) == set(NAMES), what="west was not given the statistics")
    given = statistics(consortium, "west")
    config: dict[str, Any] = {"num_server_rounds": 1, "quorum": 3}
    for seed in (9, 10):  # each time west seals its statistics anew, and for the first roster
        forget_processes()
        assert consortium.place("west", **config).refusal(TRAIN, asked["west"]) == "another-roster"
        run(consortium, seed=seed)
    assert np.array_equal(statistics(consortium, "west"), given)


def test_a_sum_that_sites_may_have_opened_is_the_only_one_that_the_coordinator_makes(
    consortium: Consortium, tmp_path: Path
) -> None:
    """Whoever opened the first one could subtract: the coordinator keeps for whom it was."""
    interrupted(consortium)
    counted = CountedRosters(tmp_path / "counted-rosters.json")
    counted.claim(consortium.charter.fingerprint, NAMES)

    def remember(_grid: InProcessGrid, strategy: Encrypted) -> None:
        claim = partial(counted.claim, consortium.charter.fingerprint)
        strategy._terms = replace(strategy._terms, claim_roster=claim)

    named, opened = run(consortium, without="west", started=remember)
    assert isinstance(named.error, AnotherRosterCounted)
    assert not opened


def test_a_site_counts_nothing_for_a_roster_whose_absence_nobody_named(
    consortium: Consortium,
) -> None:
    """The coordinator says that west is away, and leaves no trace of it in the run config.

    It hides west's greeting, and asks the others as often as it likes.
    """
    for seed in (7, 8):
        course, opened = run(consortium, both(away("west"), as_it_is), seed=seed)
        assert not opened
        assert not course.answers(TRAIN)
    assert read_round(course.answers("query.statistics")[0][0].content).server_round == 0


def refusing(passing: Passing) -> RecordDict:
    """West says of itself that it counted for others before."""
    if (passing.site, passing.kind) == ("west", "query.statistics"):
        return wire.refusal_of("another-roster", {})
    return passing.content


def withholding(patch: pytest.MonkeyPatch) -> None:
    """West signs that it withholds what it counted, though all members are there."""
    honest = ExactCounts.counts_statistics

    def counts(self: ExactCounts) -> bool:
        return honest(self) and self.terms.site.config.name != "west"

    patch.setattr(ExactCounts, "counts_statistics", counts)


def test_with_noise_no_site_ends_the_run_by_saying_that_it_counted_for_others(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is counted then: it is left out as who refuses for any other reason."""
    noise: dict[str, Any] = {"dp.unit": "person", "dp.noise-multiplier": 4.0, "dp.delta": 1e-5}
    course, _ = run(consortium, up=refusing, **noise)
    assert course.error is None, course.error
    assert course.quarantined == {(0, "west", "site-refused.another-roster")}
    withholding(monkeypatch)
    course, _ = run(consortium, seed=8, **noise)
    assert course.error is None, course.error
    assert course.quarantined == {(0, "west", "wrong-weight-class")}


def test_who_withholds_the_first_counts_though_all_are_there_is_named(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    withholding(monkeypatch)
    course, opened = run(consortium)
    assert isinstance(course.error, MembersMissing)
    assert "left out: west. " in str(course.error)
    assert not opened
