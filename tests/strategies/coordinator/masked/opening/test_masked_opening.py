"""A run with masks is opened again without the sites that have no secrets with the others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flwr.app import RecordDict

from privacy.protocol.key_messages import Opening
from privacy.wire import flower_records as wire
from privacy.wire import mask_messages
from scenarios.engines.in_process import Vanished
from strategies.coordinator.encrypted.parameters import MembersMissing
from strategies.coordinator.messaging.cohort import QuorumNotReached
from tests.masked_runs import placed, silent
from tests.small_consortium import NAMES, Consortium, Course, Hook, Passing, opening_of, read_round

PRIVATE: Mapping[str, Any] = {
    "dp.unit": "person",
    "dp.noise-multiplier": 1.0,
    "dp.steps": 1,
    "num-server-rounds": 1,
}


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return placed(tmp_path / "run")


def rosters(course: Course) -> list[tuple[str, ...]]:
    """Return the rosters of the openings under which sites made secrets, in order."""
    pairs = (
        mask_messages.read_pair_request(one.content) for one, _ in course.answers("query.pair")
    )
    from privacy.protocol.key_messages import Opening

    openings = dict.fromkeys(opening for _, opening, _ in pairs)
    return [Opening.decode(one).terms.roster for one in openings]


@pytest.mark.parametrize(
    ("kind", "openings"),
    [
        (mask_messages.PAIR_KEYS, [NAMES[:3]]),
        (mask_messages.PAIR, [NAMES, NAMES[:3]]),
        (mask_messages.PAIR_SECRETS, [NAMES, NAMES[:3]]),
    ],
)
def test_who_misses_a_step_of_the_set_up_is_left_out(
    consortium: Consortium, kind: str, openings: list[tuple[str, ...]]
) -> None:
    course = consortium.start(down=silent(kind, -1, "west"), masks=True, **PRIVATE)
    assert course.error is None, course.error
    assert course.quarantined == {(0, "west", "silent")}
    assert rosters(course) == openings
    run = opening_of(read_round(course.answers("train")[0][0].content))
    assert run.terms.roster == NAMES[:3]


def test_a_run_that_counts_for_the_first_time_needs_who_missed_the_set_up(tmp_path: Path) -> None:
    gone = silent(mask_messages.PAIR_SECRETS, -1, "west")
    course = placed(tmp_path / "any", sets_in_run="any").start(down=gone, masks=True)
    assert isinstance(course.error, MembersMissing)
    assert "left out: west. Bring" in str(course.error)
    assert course.quarantined == {(0, "west", "silent")}
    assert not course.answers("train")


def test_who_missed_the_set_up_once_is_in_the_run_if_it_is_back(tmp_path: Path) -> None:
    """A run that counts training records asks again for all."""
    gone = silent(mask_messages.PAIR_SECRETS, -1, "west", times=1)
    course = placed(tmp_path / "any", sets_in_run="any").start(
        down=gone, masks=True, num_server_rounds=1
    )
    assert course.error is None, course.error
    assert set(course.models) == set(NAMES)


def test_an_opening_that_most_sites_refuse_is_its_openers_doing(consortium: Consortium) -> None:
    openers: dict[str, str] = {}

    def down(passing: Passing) -> RecordDict:
        if passing.kind == mask_messages.PAIR:
            _, opening, _ = mask_messages.read_pair_request(passing.content)
            openers[passing.site] = Opening.decode(opening).terms.opener
        return passing.content

    def refuses(passing: Passing) -> RecordDict:
        others = passing.kind == mask_messages.PAIR and passing.site != "east"
        if others and openers[passing.site] == "east":
            return wire.refusal_of("wrong-descriptor", {})
        return passing.content

    course = consortium.start(down=down, up=refuses, masks=True, num_server_rounds=1)
    assert course.error is None, course.error
    assert course.quarantined == {(0, "east", "unusable-keys")}
    run = opening_of(read_round(course.answers("train")[0][0].content))
    assert run.terms.opener == "north"


def test_too_few_keys_open_no_run(consortium: Consortium) -> None:
    gone: Hook = silent(mask_messages.PAIR_KEYS, -1, *NAMES[1:])
    course = consortium.start(down=gone, masks=True, **PRIVATE)
    assert isinstance(course.error, QuorumNotReached)


def test_sites_draw_their_buckets_again_without_who_offers_no_key(tmp_path: Path) -> None:
    names = tuple(f"site-{letter}" for letter in "abcdefg")
    consortium = placed(tmp_path / "run", names)

    def gone(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) == (names[-1], mask_messages.PAIR_KEYS):
            raise Vanished
        return passing.content

    course = consortium.start(
        down=gone, masks=True, buckets=2, weighting="equal", quorum=6, **PRIVATE
    )
    assert course.error is None, course.error
    assert course.quarantined == {(0, names[-1], "silent")}
    assert rosters(course) == [names[:-1]]
