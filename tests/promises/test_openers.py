"""One member that misbehaves is named, and stops no run for ever."""

from pathlib import Path
from typing import Any, cast

import pytest
from flwr.app import RecordDict

from privacy.protocol.key_messages import Opening, opening_body
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire.encrypted_messages import SealedRound
from strategies.coordinator.messaging.events import SiteQuarantined
from tests.carrier import staged
from tests.small_consortium import Consortium, Passing, forget_processes, refusal
from tests.tampering import Liar, spoiled_tag

LIAR = "east"  # is asked first


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    forget_processes()
    return Consortium.placed(tmp_path / "run")


def test_who_opens_runs_with_a_key_that_nobody_can_read_is_passed_over(
    consortium: Consortium,
) -> None:
    """The opening is well signed."""

    def up(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != (LIAR, sealed_messages.OPEN) or refusal(passing.content):
            return passing.content
        sent = Opening.decode(sealed_messages.read_opening(passing.content))
        wrapped = bytes([sent.wrapped[0] ^ 1]) + sent.wrapped[1:]
        signature = consortium.identity(LIAR).sign(opening_body(sent.terms, wrapped))
        opening = Opening(terms=sent.terms, wrapped=wrapped, signature=signature)
        return sealed_messages.opening(opening.encode())

    course = consortium.start(up=up, num_server_rounds=1)
    assert course.error is None
    assert {site for _, site, _ in course.quarantined} == {LIAR}


def test_who_delivers_epoch_secrets_to_the_wrong_members_is_passed_over(
    consortium: Consortium,
) -> None:
    def up(passing: Passing) -> RecordDict:
        theirs = (passing.site, passing.kind) != (LIAR, sealed_messages.ROTATE)
        if theirs or refusal(passing.content):
            return passing.content
        made = sealed_messages.read_deliveries(passing.content)
        names = sorted(made)
        crossed = dict(zip(names, [made[name] for name in [*names[1:], names[0]]], strict=True))
        return sealed_messages.deliveries(crossed)

    course = consortium.start(up=up, num_server_rounds=1)
    assert course.error is None
    assert {site for _, site, _ in course.quarantined} == {LIAR}


def test_the_bucket_of_who_spoils_its_tag_is_named(tmp_path: Path) -> None:
    """Two buckets of three."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run", [f"site-{letter}" for letter in "abcdef"])
    overrides: dict[str, Any] = {"num_server_rounds": 2, "buckets": 2, "weighting": "equal"}
    liar = Liar(consortium, "site-a", "train", spoiled_tag, overrides)
    course = liar.run()
    refused = [
        event
        for event in course.events
        if isinstance(event, SiteQuarantined) and "checksum-failed" in event.code
    ]
    staged(so=liar.asked is not None and bool(refused), what="no site found a spoiled tag")
    session = consortium.place("site-a", **overrides).session(cast(SealedRound, liar.asked))
    assert {one.counts.get("bucket") for one in refused} == {session.terms.buckets["site-a"]}


def test_the_same_updates_are_not_opened_in_another_number_of_buckets(tmp_path: Path) -> None:
    """With two and with three, what a bucket of each has in common is one site or two."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run", [f"site-{number}" for number in range(9)])
    overrides: dict[str, Any] = {"num_server_rounds": 1, "weighting": "equal"}
    assert consortium.start(buckets=3, **overrides).error is None
    forget_processes()
    again = consortium.start(buckets=2, **overrides)
    assert again.error is not None
    assert {code for _, _, code in again.quarantined} == {"site-refused.other-buckets"}
    forget_processes()
    assert consortium.start(buckets=2, seed=8, **overrides).error is None
