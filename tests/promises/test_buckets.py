"""Nobody chooses who is added together: not the coordinator with a member that makes the epoch.

They know the seed of the run, make epoch secrets, open runs, carry every message, and start
again as often as they like. The member has all keys that a site has.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flwr.app import RecordDict

from consortium.site.key_ring import member_at
from privacy.protocol.bucket_draw import Draw
from privacy.protocol.grouping import assign_buckets
from privacy.secrets import bucket_draws
from privacy.wire import draw_messages
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import flower_records as wire
from scenarios.engines.in_process import InProcessGrid
from strategies.coordinator.encrypted.strategy import Encrypted
from tests.carrier import staged
from tests.small_consortium import Consortium, Passing, forget_processes, read_round, refusal

SITES = tuple(f"site-{letter}" for letter in "abcdefg")
LIAR, HONEST = SITES[0], SITES[1:]  # is asked first to make an epoch and to open a run
IN_TWO: Mapping[str, Any] = {
    "buckets": 2,
    "weighting": "equal",
    "num_server_rounds": 1,
    "seed": 8,
}
COMPANY = frozenset({"site-b", "site-c"})  # with whom the liar would like to be alone


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    """Seven sites."""
    forget_processes()
    return Consortium.placed(tmp_path / "run", SITES)


@pytest.fixture
def counted(consortium: Consortium) -> Consortium:
    """Seven sites whose statistics are counted: a run in one bucket, in which nothing is drawn."""
    course = consortium.start(num_server_rounds=1)
    assert course.error is None
    assert not draws_seen(course.seen)
    return consortium


def draws_seen(seen: list[tuple[Passing, RecordDict]]) -> list[str]:
    kinds = (draw_messages.COMMIT, draw_messages.REVEAL, draw_messages.DRAW)
    return [asked.kind for asked, _ in seen if asked.kind in kinds]


def draw_of(consortium: Consortium, roster: tuple[str, ...] = SITES) -> Draw:
    return Draw(charter=consortium.charter.agreement.charter, roster=roster)


def asks(consortium: Consortium, site: str, kind: str, content: RecordDict) -> RecordDict:
    """Ask a site by hand, after a restart of all sites."""
    forget_processes()
    return consortium.place(site, **IN_TWO).ask(kind, content)


def committed(consortium: Consortium, liars_share: bytes) -> dict[str, bytes]:
    """Return what honest sites commit to when asked, and what the liar does to a share."""
    content = draw_messages.commitment_request(consortium.charter.fingerprint, SITES)
    made = {
        site: draw_messages.read_commitment_answer(
            asks(consortium, site, draw_messages.COMMIT, content)
        )[0][site]
        for site in HONEST
    }
    sign = consortium.identity(LIAR).sign
    return made | {LIAR: draw_of(consortium).commit(LIAR, liars_share, sign).encode()}


def revealed(consortium: Consortium, site: str, made: Mapping[str, bytes]) -> RecordDict:
    """Show commitments to a site; return its share, or its refusal."""
    content = draw_messages.commitments(consortium.charter.fingerprint, made)
    return asks(consortium, site, draw_messages.REVEAL, content)


def drawing(consortium: Consortium, site: str, shares: Mapping[str, bytes]) -> str:
    """Show shares to a site; return the code of its refusal, or nothing."""
    content = draw_messages.shares(consortium.charter.fingerprint, shares)
    return refusal(asks(consortium, site, draw_messages.DRAW, content))


def seed_at(consortium: Consortium, site: str, roster: tuple[str, ...] = SITES) -> bytes:
    member = member_at(consortium.run.site(site), site, consortium.charter)
    return member.draws.seed(roster)


def suiting_share(draw: Draw, honest: Mapping[str, bytes]) -> bytes:
    """Return a share with which the liar has the company that it wants: tried out, as it would."""
    for number in range(10_000):
        share = number.to_bytes(32, "big")
        buckets = assign_buckets(draw.seed({**honest, LIAR: share}), SITES, num_buckets=2)
        if {site for site in HONEST if buckets[site] == buckets[LIAR]} == COMPANY:
            return share
    return pytest.fail("no share leads to the buckets that were wanted")


def new_epoch(consortium: Consortium) -> None:
    """Let the liar make another epoch secret, and bring it to all."""
    content = sealed_messages.rotation_request(consortium.charter.fingerprint, 0)
    answer = asks(consortium, LIAR, sealed_messages.ROTATE, content)
    for site, encoded in sealed_messages.read_deliveries(answer).items():
        brought = sealed_messages.delivery(consortium.charter.fingerprint, encoded)
        assert not refusal(asks(consortium, site, sealed_messages.DELIVER, brought))


def test_who_has_seen_the_shares_of_others_can_choose_no_other_of_its_own(
    consortium: Consortium,
) -> None:
    """Not by another share or other commitments, nor after a restart, nor in another epoch."""
    draw, first = draw_of(consortium), b"f" * 32
    made = committed(consortium, first)
    answers = {site: revealed(consortium, site, made) for site in HONEST}
    honest = {site: draw_messages.read_revealed_share(one) for site, one in answers.items()}
    other = suiting_share(draw, honest)
    staged(so=draw.seed({**honest, LIAR: other}) != draw.seed({**honest, LIAR: first}), what="same")
    for epoch in (1, 2):
        if epoch > 1:
            new_epoch(consortium)
        for site in HONEST:
            assert drawing(consortium, site, {**honest, LIAR: other}) == "wrong-share"
            again = {**made, **draw_only(consortium, other)}
            assert refusal(revealed(consortium, site, again)) == "other-commitments"
    for site in HONEST:
        assert drawing(consortium, site, {**honest, LIAR: first}) == ""
        assert drawing(consortium, site, {**honest, LIAR: other}) == "wrong-share"
    assert {seed_at(consortium, site) for site in HONEST} == {draw.seed({**honest, LIAR: first})}


def draw_only(consortium: Consortium, share: bytes) -> dict[str, bytes]:
    """Return another commitment of the liar, well signed."""
    sign = consortium.identity(LIAR).sign
    return {LIAR: draw_of(consortium).commit(LIAR, share, sign).encode()}


def test_nor_by_showing_other_commitments_to_some_of_them(counted: Consortium) -> None:
    """Site b reveals for the first ones; to the others the liar shows what it made with b's share.

    They then hold no draw together. An honest coordinator sees both commitments, names the liar,
    and goes on without it.
    """
    draw, first = draw_of(counted), b"f" * 32
    made = committed(counted, first)
    early = draw_messages.read_revealed_share(revealed(counted, "site-b", made))
    other = b"o" + early[1:]
    later = made | draw_only(counted, other)
    shares = {"site-b": early} | {
        site: draw_messages.read_revealed_share(revealed(counted, site, later))
        for site in HONEST[1:]
    }
    for share, holders in ((first, HONEST[:1]), (other, HONEST[1:])):
        told = {site: drawing(counted, site, {**shares, LIAR: share}) for site in HONEST}
        assert {site for site, code in told.items() if not code} == set(holders)
        assert set(told.values()) == {"", "wrong-share"}
    assert seed_at(counted, "site-b") == draw.seed({**shares, LIAR: first})
    course = counted.start(**IN_TWO)
    assert course.error is None, course.error
    assert course.quarantined == {(0, LIAR, "two-commitments")}


def test_neither_another_seed_nor_another_epoch_draws_anew(consortium: Consortium) -> None:
    """Runs are begun with one seed after the other, under one epoch after the other."""
    seen: set[tuple[int, str]] = set()
    for seed in (8, 9):
        if seen:
            new_epoch(consortium)
            forget_processes()
        course = consortium.start(**{**IN_TWO, "seed": seed})
        assert course.error is None, course.error
        asked, _ = course.answers("evaluate")[0]
        place = consortium.place("site-b", **{**IN_TWO, "seed": seed})
        terms = place.session(read_round(asked.content)).terms
        seen.add((terms.member.memory.last_epoch(), str(sorted(terms.sites_by_bucket))))
    assert len(seen) == 2  # epochs
    assert len({buckets for _, buckets in seen}) == 1


def test_a_coordinator_that_lets_nobody_draw_gets_no_update(consortium: Consortium) -> None:
    """It opens the run as if there were one bucket; the sites know how many there are."""

    def started(_grid: InProcessGrid, strategy: Encrypted) -> None:
        strategy._terms = replace(strategy._terms, buckets=1)

    course = consortium.start(started=started, **IN_TWO)
    staged(so=not draws_seen(course.seen), what="the sites drew")
    assert course.error is not None
    assert {code for _, _, code in course.quarantined} == {"site-refused.no-bucket-draw"}
    assert all(refusal(answer) for _, answer in course.answers("train"))


def test_a_coordinator_that_lets_ever_new_rosters_draw_comes_to_an_end(
    counted: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees two draws here, not all, and chooses among these by leaving sites out."""
    monkeypatch.setattr(bucket_draws, "MOST_DRAWS", 2)
    told = []
    for left_out in SITES[1:5]:
        draw = draw_of(counted, tuple(site for site in SITES if site != left_out))
        made = {}
        for site in draw.roster:
            identity = counted.identity(site)
            share = identity.bucket_share(draw.digest)
            made[site] = draw.commit(site, share, identity.sign).encode()
        told.append(refusal(revealed(counted, SITES[0], made)))
    assert told == ["", "", "too-many-draws", "too-many-draws"]
    forget_processes()
    course = counted.start(**IN_TWO)
    assert course.error is None, course.error
    assert course.quarantined == {(0, SITES[0], "site-refused.too-many-draws")}


def silent(_honest: RecordDict) -> RecordDict:
    return wire.refusal_of("stopped", {})


def wrong(_honest: RecordDict) -> RecordDict:
    return draw_messages.revealed_share(b"w" * 32)


@pytest.mark.parametrize(
    ("answer", "code"), [(silent, "site-refused.stopped"), (wrong, "wrong-share")]
)
def test_who_reveals_wrongly_or_not_at_all_is_named_and_stops_no_run(
    counted: Consortium, answer: Callable[[RecordDict], RecordDict], code: str
) -> None:
    """However often it tries. It can stay away once it knows the draw, and no more than that."""

    def up(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) == (LIAR, draw_messages.REVEAL):
            return answer(passing.content)
        return passing.content

    drawn = set()
    for _ in range(2):
        forget_processes()
        course = counted.start(up=up, **IN_TWO)
        assert course.error is None, course.error
        assert course.quarantined == {(0, LIAR, code)}
        drawn |= {seed_at(counted, site, HONEST) for site in HONEST}
    assert len(drawn) == 1
