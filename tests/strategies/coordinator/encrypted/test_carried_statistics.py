"""Statistics are counted once under a charter: later runs carry them, or do not come about."""

from pathlib import Path

import pytest
from flwr.app import RecordDict

from consortium.run.evidence_store import EvidenceStore
from scenarios.engines.in_process import Vanished
from strategies.coordinator.encrypted.parameters import RoundVoid
from strategies.coordinator.encrypted.progress import SealedStanding, read_standing
from strategies.coordinator.messaging.events import EvaluationWithheld
from tests.carrier import away
from tests.decisions import decide
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    configured,
    forget_processes,
    read_round,
)
from tests.tampering import both

ONE_ROUND = 1


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    forget_processes()
    return Consortium.placed(tmp_path / "run")


def run_with(
    consortium: Consortium, *sites: str, down: Hook | None = None, named: bool = False
) -> Course:
    """Run one round with these sites only, in processes that know only what is on disk.

    So many sites, such a seed: from one seed, updates are sealed for one roster only.

    Args:
        consortium: Of all members.
        sites: Who is there.
        down: Alters what they are asked.
        named: Whether the run leaves out the others by name, as a first one must.
    """
    forget_processes()
    hook: Hook = down or (lambda passing: passing.content)
    others = [name for name in consortium.charter.names if name not in sites]
    for name in others:
        hook = both(away(name), hook)
    without = ",".join(others) if named else ""
    return consortium.start(
        down=hook, num_server_rounds=ONE_ROUND, seed=len(sites), without=without
    )


def standing_of(consortium: Consortium) -> SealedStanding:
    read = EvidenceStore(consortium.run.vault).read
    return read_standing(read, consortium.charter.fingerprint, ONE_ROUND)


def without_training(passing: Passing) -> RecordDict:
    if passing.kind == "train":
        raise Vanished
    return passing.content


def test_a_run_of_fewer_sites_starts_from_the_statistics_of_all(consortium: Consortium) -> None:
    """The coordinator shows the state that the sites signed, and no sum."""
    assert run_with(consortium, *NAMES).error is None
    course = run_with(consortium, *NAMES[:3])
    assert course.error is None
    assert {site for _, site, _ in course.quarantined} == {"node 1004"}  # the one that is away
    for asked, _ in course.answers("train"):
        request = read_round(asked.content)
        assert request.state == EvidenceStore(consortium.run.vault).read("round-0/state.bin")
        assert request.count_receipts
        assert request.count_sum == b""


def test_a_run_that_died_before_its_first_round_is_resumed_with_what_it_carries(
    consortium: Consortium,
) -> None:
    """The question is the stored one, byte for byte."""
    assert run_with(consortium, *NAMES).error is None
    dead = run_with(consortium, *NAMES[:3], down=without_training)
    assert isinstance(dead.error, RoundVoid)
    since = standing_of(consortium)
    assert since.request.server_round == 1
    assert since.request.state
    forget_processes()
    course, config = Course(), {"num_server_rounds": ONE_ROUND, "seed": len(NAMES[:3])}
    strategy = consortium.strategy(course, **config)
    bus = consortium.bus(course, configured(config), down=away(NAMES[3]))
    course.progress = strategy.start(bus, ONE_ROUND, since=since)
    assert set(course.models) == set(NAMES[:3])
    assert len(set(course.models.values())) == 1


@pytest.mark.parametrize("newcomers", [("centre", "west"), ("centre", "middle", "west")])
def test_statistics_that_half_of_the_sites_or_fewer_hold_are_not_carried(
    newcomers: tuple[str, ...], tmp_path: Path
) -> None:
    """The others cannot tell whether they are true; and nothing is counted for two rosters."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run", (*NAMES, "centre", "middle"))
    assert run_with(consortium, "east", "north", "south", named=True).error is None
    course = run_with(consortium, "east", "north", *newcomers)
    assert isinstance(course.error, RoundVoid)
    assert "east, north counted for another one" in str(course.error)
    asked = [one.site for one, _ in course.answers("query.statistics")]
    assert sorted(asked) == sorted(("east", "north", *newcomers))  # once: another would not help
    assert not course.answers("train")


def test_who_evaluates_for_one_roster_only_is_told_of_and_its_round_counts(
    consortium: Consortium,
) -> None:
    """It seals zeros and says so: nothing of that evaluation is released."""
    for name in ("east", "south"):
        decide(consortium.run.site(name), releases={"evaluation_rosters": "one"})
    assert run_with(consortium, *NAMES).error is None
    course = run_with(consortium, *NAMES[:3])
    assert course.error is None
    told = [event for event in course.events if isinstance(event, EvaluationWithheld)]
    assert told == [
        EvaluationWithheld(server_round=number, withheld_by=("east", "south")) for number in (1, 2)
    ]
    assert [one.server_round for one in course.rounds] == [1, 2]
    assert not any(one.evaluation.any() for one in course.rounds)
