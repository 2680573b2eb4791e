"""A masked run goes on without a site that is gone: as all who remain signed, and not otherwise.

The coordinator of these tests wants more: to leave out who is there, to go on from another state,
or to go on twice.
"""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict

from consortium.client.masked.session import MaskedSession
from consortium.modes.contract import OutsideCharter
from consortium.protocol.run_state import BadRunState, RunState
from consortium.site.directory import SiteDirectory
from consortium.site.masked_runs import require_reached
from privacy.errors import ConsortiumError
from privacy.protocol.envelope import TRAINING
from privacy.protocol.grouping import WITHHELD
from privacy.protocol.receipts import decode_receipts
from privacy.secrets.masked_runs.reached_states import RunWentOn, StateNotHeld
from privacy.secrets.replay_guard import KeyBurned, SiteMemory
from scenarios.engines.in_process import Vanished
from strategies.coordinator.encrypted.parameters import RoundVoid
from strategies.coordinator.masked.parameters import ConfirmationsMissing, SitesAwaited
from strategies.coordinator.messaging.cohort import QuorumNotReached
from tests.masked_runs import (
    CONFIRM,
    GONE,
    ROUNDS,
    Parked,
    awaited,
    confirmed,
    gone_on,
    parked,
    placed,
    silent,
    standing_of,
    waiting,
)
from tests.small_consortium import (
    Consortium,
    Course,
    Moment,
    Passing,
    configured,
    forget_processes,
    read_round,
    refusal,
)

FIVE = ("east", "north", "south", "upper", "west")


def memory_of(consortium: Consortium, site: str) -> SiteMemory:
    return SiteMemory(SiteDirectory(consortium.run.site(site)).memory)


def codes(course: Course, kind: str = "query.statistics") -> dict[str, str]:
    """Return what each site refused, when it was asked for the start."""
    return {asked.site: refusal(answer) for asked, answer in course.answers(kind)}


def state_at(moment: Moment, folder: Path) -> RunState:
    """Return the state that a site went by at a moment of a run."""
    place = moment.again(folder)
    return place.session(moment.request).standing(moment.request).state


def test_the_run_goes_on_from_the_state_that_it_reached(tmp_path: Path) -> None:
    """Model, statistics and scales are those of then, and the rest of the rounds is trained."""
    waits = parked(tmp_path / "run", photographed=tmp_path / "before")
    assert awaited(waits.consortium, 2).sites == (GONE,)
    reached = state_at(waits.course.moments["east", "train", 2], tmp_path / "east-before")
    under = waits.under(GONE)
    forget_processes()
    course = under.start(
        masks=True, continues=waits.run, num_server_rounds=2, photographed=tmp_path / "after"
    )
    assert course.error is None, course.error
    assert not course.quarantined
    assert set(course.models) == {"east", "north", "south"}
    start = state_at(course.moments["east", "train", 1], tmp_path / "east-after")
    assert reached.model.vector.any()
    np.testing.assert_array_equal(start.model.vector, reached.model.vector)
    np.testing.assert_array_equal(start.statistics, reached.statistics)
    np.testing.assert_array_equal(start.scales, reached.scales)
    assert not start.chain
    assert set(confirmed(course)) == {1, 2, 3}
    # Nobody counts training records anew: the difference would be those of who left.
    (asked, _) = course.answers("train")[0]
    signed = decode_receipts(read_round(asked.content).count_receipts)
    assert {one.label.weight_class for one in signed} == {WITHHELD}


def test_the_run_that_it_was_is_over_at_each_site_that_goes_on(tmp_path: Path) -> None:
    """So no second sum is made from the state; what was sealed from it stays noise."""
    waits = parked(tmp_path / "run")
    course = waits.goes_on(waits.under(GONE), down=silent("train", 1, "south"))
    assert isinstance(course.error, SitesAwaited)
    for name in ("east", "north", "south"):
        with memory_of(waits.consortium, name) as memory:
            assert waits.run not in memory.pairs.open_runs()
            with pytest.raises(KeyBurned):
                memory.require_unburned(waits.run)


def test_a_site_that_was_not_asked_to_sign_is_not_left_out(tmp_path: Path) -> None:
    """The coordinator alone cannot go on: under the charter in force every site refuses."""
    waits = parked(tmp_path / "run")
    wanted = {"masks": True, "num_server_rounds": 2}
    for without in ("", GONE):
        forget_processes()
        course, asked = Course(), {"continues": waits.run, "without": without}
        bus = waits.consortium.bus(course, configured({**wanted, **asked}))
        # Its own program would not ask them, so it does without.
        strategy = waits.consortium.strategy(course, masks=True, without=without)
        with pytest.raises(QuorumNotReached):
            strategy.start(bus, 2)
        assert {code for _, _, code in course.quarantined} == {"site-refused.outside-charter"}
    honest = waits.goes_on(waits.consortium)
    assert isinstance(honest.error, OutsideCharter)


@pytest.mark.parametrize("installed", [("east",), ("east", "north")])
def test_with_the_signatures_of_some_it_does_not_go_on(
    tmp_path: Path, installed: tuple[str, ...]
) -> None:
    """Who did not sign is of the old charter, and refuses; without it the others do."""
    waits = parked(tmp_path / "run")
    course = waits.goes_on(waits.under(GONE, installed=installed))
    assert isinstance(course.error, RoundVoid | QuorumNotReached | ConsortiumError)
    assert not course.answers("train")
    with memory_of(waits.consortium, "south") as memory:
        memory.require_unburned(waits.run)


def test_it_goes_on_from_no_state_that_the_charter_does_not_name(tmp_path: Path) -> None:
    """Of an earlier round, or of nobody: no site signs it, and none goes on from it."""
    waits = parked(tmp_path / "run")
    (asked, _) = waits.course.answers("train")[-1]
    earlier = decode_receipts(read_round(asked.content).receipts)[0].label.state
    for state in (earlier, bytes(32)):
        under = waits.under(GONE, state=state)
        with pytest.raises(StateNotHeld):
            require_reached(waits.consortium.run.site("east"), under.charter)
        course = waits.goes_on(under)
        assert isinstance(course.error, RoundVoid)
        assert "missing or from elsewhere" in str(course.error)
        assert set(codes(course).values()) == {"state-not-held"}
        assert not course.answers("train")
    require_reached(waits.consortium.run.site("east"), waits.under(GONE).charter)


def test_a_start_that_a_site_did_not_reach_itself_is_planted(tmp_path: Path) -> None:
    """Though more than half of the sites were to sign it."""
    waits = parked(tmp_path / "run")
    under = waits.under(GONE)
    forget_processes()
    course = under.start(
        masks=True, continues=waits.run, num_server_rounds=1, photographed=tmp_path / "after"
    )
    assert course.error is None
    moment = course.moments["east", "train", 1]
    place = moment.again(tmp_path / "east")
    session = place.session(moment.request)
    assert isinstance(session, MaskedSession)
    start = session.standing(moment.request).state
    session.require_start(start)
    moved = replace(start.model, vector=start.model.vector + 1)
    for planted in (
        replace(start, model=moved),
        replace(start, scales=start.scales * 2),
        session.terms.step.start(start.statistics),
    ):
        with pytest.raises(BadRunState, match="this site reached"):
            session.require_start(planted)


def test_it_does_not_go_on_twice_with_two_rosters(tmp_path: Path) -> None:
    """Two sums from one state, over sites that differ, would show the difference."""
    waits = parked(tmp_path / "run", FIVE)
    first = waits.goes_on(waits.under(GONE), down=silent("train", 1, "upper"))
    assert isinstance(first.error, SitesAwaited)
    assert first.answers("train")
    second = waits.goes_on(waits.under("upper"))
    assert isinstance(second.error, RoundVoid)
    assert not second.answers("train")
    told = codes(second)
    assert told.pop(GONE, "state-not-held") == "state-not-held"  # it did not answer then
    assert told == dict.fromkeys(("east", "north", "south"), "continued-elsewhere")


def test_it_goes_on_under_one_charter_as_often_as_it_must(tmp_path: Path) -> None:
    """Who was silent at the start is there the next time: the state is kept as long."""
    waits = parked(tmp_path / "run")
    under = waits.under(GONE)
    for _ in range(3):
        course = waits.goes_on(under, down=silent("query.statistics", 0, "south"))
        assert isinstance(course.error, RoundVoid)
        assert "south" in str(course.error)
        assert not course.answers("train")
    course = waits.goes_on(under)
    assert course.error is None, course.error
    for name in under.charter.names:
        with memory_of(under, name) as memory, pytest.raises(StateNotHeld):
            memory.reached.held(waits.run, waits.state)


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_the_first_round_is_not_summed_once_more_without_who_left(
    tmp_path: Path, *, first: bool
) -> None:
    """Before the run goes on, or after: the difference would be the first update of who left."""
    waits = parked(tmp_path / "run")
    under = waits.under(GONE)
    if not first:
        assert waits.goes_on(under).error is None
    forget_processes()
    again = under.start(masks=True, num_server_rounds=1)
    assert isinstance(again.error, RoundVoid)
    refused = {refusal(answer) for _, answer in again.answers("train")}
    assert refused == {"other-sites"}
    forget_processes()
    assert under.start(masks=True, num_server_rounds=1, seed=8).error is None


def test_who_confirmed_a_sum_from_the_state_does_not_go_on_from_it(tmp_path: Path) -> None:
    """The sum may have been opened: it is opened first, and the run goes on from what it gives."""
    consortium = placed(tmp_path / "run")
    course = consortium.start(down=silent(CONFIRM, 2, "north", GONE), masks=True)
    assert isinstance(course.error, ConfirmationsMissing)
    run = standing_of(consortium).opening.run
    with memory_of(consortium, "east") as memory:
        last = memory.answers.last_state(run, purpose=TRAINING)
    assert last is not None
    stopped = Parked(consortium, course, run, last.state)
    tried = stopped.goes_on(stopped.under(GONE))
    assert isinstance(tried.error, RoundVoid)
    assert codes(tried) == {"east": "run-went-on", "north": "", "south": "run-went-on"}
    assert not tried.answers("train")


def test_a_site_that_was_not_asked_for_the_start_checks_it_all_the_same(tmp_path: Path) -> None:
    """A coordinator shows it that the others signed, and asks it for its update at once."""
    waits = parked(tmp_path / "run")
    under = waits.under(GONE)
    forget_processes()
    course = under.start(
        masks=True, continues=waits.run, num_server_rounds=1, photographed=tmp_path / "after"
    )
    assert course.error is None
    moment = course.moments["east", "train", 1]
    place = moment.again(tmp_path / "east")
    path = SiteDirectory(place.directory).memory / "memory.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as memory:
        memory.execute("DELETE FROM continued_runs")
        memory.execute("DELETE FROM burned")
    place.session(moment.request).standing(moment.request)
    with SiteMemory(path.parent) as held, pytest.raises(KeyBurned):
        held.require_unburned(waits.run)
    with closing(sqlite3.connect(path, isolation_level=None)) as memory:
        memory.execute("DELETE FROM continued_runs")
        memory.execute(
            "INSERT INTO confirmed VALUES (?, 'training', 2, 1, ?)", (waits.run, bytes(32))
        )
    with pytest.raises(RunWentOn):
        place.session(moment.request).standing(moment.request)


def test_the_sum_that_was_confirmed_is_opened_before_the_run_goes_on(tmp_path: Path) -> None:
    consortium = placed(tmp_path / "run")
    first = consortium.start(down=silent(CONFIRM, 2, "north", GONE), masks=True)
    assert isinstance(first.error, ConfirmationsMissing)

    def away(passing: Passing) -> RecordDict:
        if passing.site == GONE and passing.kind in {CONFIRM, "train"}:
            raise Vanished
        return passing.content

    second = gone_on(consortium, down=away)
    assert isinstance(second.error, SitesAwaited)
    waits = waiting(consortium, second, 3)
    course = waits.goes_on(waits.under(GONE), num_server_rounds=1)
    assert course.error is None, course.error


def test_so_many_must_remain_that_one_of_them_knows_of_each_sum(tmp_path: Path) -> None:
    """Of five, four confirm: with three who remain, nobody honest may have seen the last sum."""
    consortium = placed(tmp_path / "run", FIVE)
    course = consortium.start(down=silent("train", 2, "upper", GONE), masks=True)
    assert isinstance(course.error, SitesAwaited)
    waits = waiting(consortium, course, 2)
    tried = waits.goes_on(waits.under("upper", GONE))
    assert isinstance(tried.error, RoundVoid)
    assert set(codes(tried).values()) == {"too-few-remain"}


def test_it_goes_on_with_all_who_signed(tmp_path: Path) -> None:
    """Another roster under the same charter would be a second one."""
    waits = parked(tmp_path / "run", FIVE)

    def away(passing: Passing) -> RecordDict:
        if passing.site == "upper":
            raise Vanished
        return passing.content

    tried = waits.goes_on(waits.under(GONE), down=away)
    assert isinstance(tried.error, RoundVoid)
    assert set(codes(tried).values()) == {"roster-incomplete"}
    assert not tried.answers("train")


@pytest.mark.parametrize("other", [{"seed": 8}, {"batch_size": 4}, {"learning_rate": 0.2}])
def test_it_goes_on_as_it_began(tmp_path: Path, other: dict[str, Any]) -> None:
    """With another seed the model would be the difference from another start."""
    waits = parked(tmp_path / "run")
    tried = waits.goes_on(waits.under(GONE), **other)
    assert isinstance(tried.error, RoundVoid)
    assert set(codes(tried).values()) == {"other-settings"}


def test_a_run_that_went_on_goes_on_once_more(tmp_path: Path) -> None:
    waits = parked(tmp_path / "run", FIVE)
    under = waits.under(GONE)
    first = waits.goes_on(under, down=silent("train", 2, "upper"))
    assert isinstance(first.error, SitesAwaited)
    again = waiting(under, first, 2)
    second = again.goes_on(again.under("upper"), num_server_rounds=1)
    assert second.error is None, second.error
    assert set(second.models) == {"east", "north", "south"}


def test_a_run_that_waits_at_its_end_goes_on_for_a_round(tmp_path: Path) -> None:
    consortium = placed(tmp_path / "run")
    first = consortium.start(down=silent("evaluate", ROUNDS + 1, GONE), masks=True)
    assert isinstance(first.error, SitesAwaited)
    waits = waiting(consortium, first, ROUNDS + 1)
    course = waits.goes_on(waits.under(GONE), num_server_rounds=1)
    assert course.error is None, course.error


def test_where_sets_may_differ_no_state_is_kept(tmp_path: Path) -> None:
    """Such a run waits for nobody, and what is not needed is not written."""
    consortium = placed(tmp_path / "run", sets_in_run="any")
    seen: list[bool] = []

    def look(passing: Passing) -> RecordDict:
        if passing.kind == CONFIRM and passing.number == 2:
            with memory_of(consortium, "east") as memory:
                run = standing_of(consortium).opening.run
                last = memory.answers.last_state(run, purpose=TRAINING)
                assert last is not None
                with pytest.raises(StateNotHeld):
                    memory.reached.held(run, last.state)
                seen.append(True)
        return passing.content

    assert consortium.start(down=look, masks=True).error is None
    assert seen
