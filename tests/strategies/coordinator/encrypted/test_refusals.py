"""Whose doing it is that sites refuse: an opener's, a bucket's, or their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from flwr.app import RecordDict

from privacy.protocol.key_messages import Opening, opening_body
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedRound
from strategies.coordinator.encrypted.opening.key_setup import NoOpener
from strategies.coordinator.encrypted.parameters import RoundVoid
from strategies.coordinator.messaging.events import BucketRefused
from tests.small_consortium import Consortium, Course, Hook, Passing, forget_processes, refusal
from tests.tampering import Liar, spoiled_tag

ONE_ROUND: Mapping[str, Any] = {"num_server_rounds": 1}
PRIVATE: Mapping[str, Any] = {"dp.unit": "person", "dp.noise-multiplier": 1.0, "dp.steps": 1}


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    forget_processes()
    return Consortium.placed(tmp_path / "run")


def refusing(site: str, kind: str, code: str) -> Hook:
    """Return a hook with which a site refuses one kind of question."""

    def hook(passing: Passing) -> RecordDict:
        theirs = (passing.site, passing.kind) == (site, kind)
        return wire.refusal_of(code, {"bucket": 1}) if theirs else passing.content

    return hook


def unusable(consortium: Consortium, *openers: str) -> Hook:
    """Return a hook with which openers wrap keys that nobody can unwrap, well signed."""

    def hook(passing: Passing) -> RecordDict:
        theirs = passing.site in openers and passing.kind == sealed_messages.OPEN
        if not theirs or refusal(passing.content):
            return passing.content
        sent = Opening.decode(sealed_messages.read_opening(passing.content))
        wrapped = bytes([sent.wrapped[0] ^ 1]) + sent.wrapped[1:]
        signature = consortium.identity(passing.site).sign(opening_body(sent.terms, wrapped))
        opening = Opening(terms=sent.terms, wrapped=wrapped, signature=signature)
        return sealed_messages.opening(opening.encode())

    return hook


def openers_asked(course: Course) -> list[str]:
    return [asked.site for asked, _ in course.answers(sealed_messages.OPEN)]


def test_two_openers_in_turn_are_named_and_the_third_opens_the_run(consortium: Consortium) -> None:
    course = consortium.start(up=unusable(consortium, "east", "north"), **ONE_ROUND)
    assert course.error is None
    assert openers_asked(course) == ["east", "north", "south"]
    assert course.quarantined == {(0, "east", "unusable-keys"), (0, "north", "unusable-keys")}


def test_where_no_opener_is_left_the_run_ends_and_all_are_named(consortium: Consortium) -> None:
    names = consortium.charter.names
    course = consortium.start(up=unusable(consortium, *names), **ONE_ROUND)
    assert isinstance(course.error, NoOpener)
    assert course.quarantined == {(0, name, "unusable-keys") for name in names}


def test_a_site_that_alone_refuses_an_opening_is_named_and_left_out(
    consortium: Consortium,
) -> None:
    """Where nothing is counted: else the others counted for a roster with it."""
    hook = refusing("south", messages.STATISTICS, "cannot-open")
    course = consortium.start(up=hook, **ONE_ROUND, **PRIVATE)
    assert course.error is None
    assert openers_asked(course) == ["east", "east"]
    assert {site for _, site, _ in course.quarantined} == {"south"}


def test_a_run_that_counts_names_who_alone_refuses_its_openings_and_stops(
    consortium: Consortium,
) -> None:
    hook = refusing("south", messages.STATISTICS, "cannot-open")
    course = consortium.start(up=hook, **ONE_ROUND)
    assert isinstance(course.error, RoundVoid)
    assert {site for _, site, _ in course.quarantined} == {"south"}


def test_a_refused_sum_is_told_with_who_is_in_its_bucket(tmp_path: Path) -> None:
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run", [f"site-{letter}" for letter in "abcdef"])
    overrides: dict[str, Any] = {"num_server_rounds": 2, "buckets": 2, "weighting": "equal"}
    liar = Liar(consortium, "site-a", "train", spoiled_tag, overrides)
    told = [one for one in liar.run().events if isinstance(one, BucketRefused)]
    buckets = consortium.place("site-a", **overrides).session(cast(SealedRound, liar.asked)).terms
    sites = tuple(name for name, one in sorted(buckets.buckets.items()) if one == told[0].bucket)
    assert "site-a" in sites
    assert {(one.server_round, one.sites) for one in told} == {(1, sites)}


def test_one_site_that_refuses_names_no_bucket(consortium: Consortium) -> None:
    hook = refusing("south", messages.EVALUATE, "checksum-failed")
    course = consortium.start(up=hook, **ONE_ROUND)
    assert course.error is None
    assert not [one for one in course.events if isinstance(one, BucketRefused)]
