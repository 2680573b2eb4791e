"""A coordinator carries the draw of buckets between real sites, and names who spoils it."""

from pathlib import Path

import pytest
from flwr.app import RecordDict

from consortium.site.key_ring import member_at
from privacy.protocol.bucket_draw import Draw
from privacy.wire import draw_messages
from privacy.wire import flower_records as wire
from scenarios.engines.in_process import Vanished
from strategies.coordinator.encrypted.opening.bucket_draw import BucketDraw
from tests.carrier import answering, exchange_with, roster_of
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    as_it_is,
    forget_processes,
)

LIAR = "south"
OTHERS = ("east", "north", "west")
ALL_THREE = [draw_messages.COMMIT, draw_messages.REVEAL, draw_messages.DRAW]


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    forget_processes()
    return Consortium.placed(tmp_path)


def drawn(
    consortium: Consortium,
    course: Course,
    sites: tuple[str, ...] = NAMES,
    *,
    down: Hook = as_it_is,
    up: Hook = as_it_is,
) -> tuple[str, ...]:
    """Carry one draw; return what the coordinator makes of it."""
    draw = BucketDraw(
        exchange=exchange_with(consortium, course, down=down, up=up),
        agreement=consortium.charter.agreement,
        observe=course.events.append,
    )
    return draw.carry(roster_of(consortium), sites)


def seeds(consortium: Consortium, sites: tuple[str, ...] = NAMES) -> set[bytes]:
    """Return what these sites draw their buckets from."""
    charter = consortium.charter
    return {member_at(consortium.run.site(name), name, charter).draws.seed(sites) for name in sites}


def asked(course: Course, site: str) -> list[str]:
    return [passing.kind for passing, _ in course.seen if passing.site == site]


def committing(consortium: Consortium, *, site: str, roster: tuple[str, ...]) -> RecordDict:
    """Return the answer of a liar that commits to a share of its choice."""
    draw = Draw(charter=consortium.charter.agreement.charter, roster=roster)
    one = draw.commit(site, bytes(32), consortium.identity(LIAR).sign)
    return draw_messages.commitment_answer({LIAR: one.encode()}, drawn=False)


def test_all_come_to_hold_one_draw(consortium: Consortium) -> None:
    course = Course()
    assert drawn(consortium, course, tuple(reversed(NAMES))) == NAMES
    assert len(seeds(consortium)) == 1
    assert not course.quarantined
    assert all(asked(course, name) == ALL_THREE for name in NAMES)


def test_a_draw_that_all_hold_is_not_made_again(consortium: Consortium) -> None:
    drawn(consortium, Course())
    before, course = seeds(consortium), Course()
    forget_processes()
    assert drawn(consortium, course) == NAMES
    assert all(asked(course, name) == [draw_messages.COMMIT] for name in NAMES)
    assert seeds(consortium) == before


def test_fewer_sites_draw_among_themselves(consortium: Consortium) -> None:
    drawn(consortium, Course())
    assert drawn(consortium, Course(), OTHERS) == OTHERS
    assert not seeds(consortium) & seeds(consortium, OTHERS)


@pytest.mark.parametrize("missed", [draw_messages.REVEAL, draw_messages.DRAW])
def test_a_draw_that_broke_off_is_taken_up_and_ends_in_the_same(
    consortium: Consortium, missed: str
) -> None:
    """Whoever revealed its share answers the same; who was away is named, and comes to hold it."""

    def lost(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) == (LIAR, missed):
            raise Vanished
        return passing.content

    course = Course()
    assert drawn(consortium, course, down=lost) == OTHERS
    assert {site for _, site, _ in course.quarantined} == {LIAR}
    forget_processes()
    course = Course()
    assert drawn(consortium, course) == NAMES
    assert not course.quarantined
    assert len(seeds(consortium)) == 1


@pytest.mark.parametrize("kind", ALL_THREE)
def test_who_refuses_its_part_is_named_and_the_others_can_go_on(
    consortium: Consortium, kind: str
) -> None:
    course = Course()
    refuses = answering(LIAR, kind, lambda: wire.refusal_of("stopped", {}))
    assert drawn(consortium, course, up=refuses) == OTHERS
    assert course.quarantined == {(0, LIAR, "site-refused.stopped")}
    assert drawn(consortium, Course(), OTHERS) == OTHERS


@pytest.mark.parametrize(
    ("site", "roster", "code"),
    [
        (LIAR, OTHERS, "wrong-commitment"),
        ("east", NAMES, "wrong-commitment"),
        ("", NAMES, "malformed-envelope"),
    ],
)
def test_a_commitment_that_is_none_reaches_nobody(
    consortium: Consortium, site: str, roster: tuple[str, ...], code: str
) -> None:
    def answer() -> RecordDict:
        if not site:
            return draw_messages.commitment_answer({LIAR: b"none"}, drawn=False)
        return committing(consortium, site=site, roster=roster)

    course = Course()
    assert drawn(consortium, course, up=answering(LIAR, draw_messages.COMMIT, answer)) == OTHERS
    assert course.quarantined == {(0, LIAR, code)}
    assert asked(course, "east") == [draw_messages.COMMIT]


def test_a_share_that_was_not_committed_to_reaches_nobody(consortium: Consortium) -> None:
    course = Course()
    lie = answering(LIAR, draw_messages.REVEAL, lambda: draw_messages.revealed_share(bytes(32)))
    assert drawn(consortium, course, up=lie) == OTHERS
    assert course.quarantined == {(0, LIAR, "wrong-share")}
    assert asked(course, "east") == ALL_THREE[:2]


def test_who_commits_to_another_share_than_before_is_named_and_nobody_that_refuses_it(
    consortium: Consortium,
) -> None:
    """The others, bound to the first commitment, show it; also if they hold no draw yet."""
    refuses = answering(LIAR, draw_messages.REVEAL, lambda: wire.refusal_of("stopped", {}))
    drawn(consortium, Course(), up=refuses)
    course = Course()
    lie = answering(
        LIAR, draw_messages.COMMIT, lambda: committing(consortium, site=LIAR, roster=NAMES)
    )
    assert drawn(consortium, course, up=lie) == OTHERS
    assert course.quarantined == {(0, LIAR, "two-commitments")}
    assert asked(course, "east") == [draw_messages.COMMIT]


def test_in_a_run_with_several_buckets_the_sites_draw_before_it_is_opened(tmp_path: Path) -> None:
    """And in a run with one they do not; who does not draw is left out, and the others draw."""
    forget_processes()
    names = tuple(f"site-{number}" for number in range(7))
    consortium = Consortium.placed(tmp_path, names)
    course = consortium.start(num_server_rounds=1)
    assert course.error is None
    assert not {passing.kind for passing, _ in course.seen} & set(ALL_THREE)

    def up(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) == ("site-3", draw_messages.REVEAL):
            return wire.refusal_of("stopped", {})
        return passing.content

    course = consortium.start(up=up, num_server_rounds=1, buckets=2, weighting="equal", seed=8)
    assert course.error is None, course.error
    assert course.quarantined == {(0, "site-3", "site-refused.stopped")}
    assert len(seeds(consortium, tuple(name for name in names if name != "site-3"))) == 1
