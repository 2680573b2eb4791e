"""What hubs add gives the bytes of the sum without hubs, and nothing else is added."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import ConsortiumError
from privacy.identity.log_signing_key import SigningKey
from privacy.identity.public_identity import BadSignature
from privacy.protocol.envelope import TRAINING, Receipt, WrongRound
from privacy.protocol.hub_sums import HubSum
from privacy.wire.encrypted_messages import SealedReply
from privacy.wire.hub_messages import HubPart, SignedSum
from strategies.coordinator.encrypted.rounds.ciphertext_sums import CiphertextSums
from strategies.coordinator.hubs.parts import (
    AgreedHubs,
    HubParts,
    HubSumRefused,
    check_part,
)
from tests.small_consortium import NAMES, Consortium, Course, read_reply

Honest = tuple[Consortium, Course]
NewSums = Callable[[], CiphertextSums]
KEYS = {name: SigningKey(bytes([at]) * 32) for at, name in enumerate(("hub-a", "hub-b", "hub-c"))}
CHARTER = bytes(32)
ANY = AgreedHubs(
    charter=CHARTER,
    keys={name: key.public for name, key in KEYS.items()},
    members=dict.fromkeys(KEYS, frozenset(NAMES)),
)


@pytest.fixture(scope="module")
def sent(honest: Honest) -> Mapping[str, SealedReply]:
    """What each site sealed in round 2."""
    return {name: read_reply(honest[1].moments[name, "train", 2].answer) for name in NAMES}


@pytest.fixture(scope="module")
def new_sums(honest: Honest, sent: Mapping[str, SealedReply]) -> NewSums:
    consortium, course = honest
    terms, progress = consortium.strategy(Course())._terms, course.progress
    assert progress is not None

    def new() -> CiphertextSums:
        return CiphertextSums(
            form=terms.update_form(progress.layout, 2),
            slot=Receipt.decode(sent["east"].receipt).label.slot,
            roster=terms.agreement.roster(consortium.charter.names),
            keep=lambda _name, _parts: None,
        )

    return new


def take(sums: CiphertextSums, sent: Mapping[str, SealedReply], *names: str) -> None:
    for name in names:
        sums.add(sent[name].upload, sums.check(name, sent[name].upload, sent[name].receipt))


def brought(
    hub: str, new_sums: NewSums, sent: Mapping[str, SealedReply], *names: str
) -> tuple[HubPart, dict[str, dict[str, Receipt]]]:
    """Return what a hub passes on of these sites, and the receipts as its coordinator has them."""
    there = new_sums()
    take(there, sent, *names)
    signed = [
        SignedSum(
            statement=HubSum.sign(
                receipts, summed, charter=CHARTER, hub=hub, sign=KEYS[hub].sign
            ).encode(),
            summed=summed,
        )
        for receipts, summed in there.finish_parts()
    ]
    receipts = {name: {TRAINING: Receipt.decode(sent[name].receipt)} for name in names}
    return HubPart(hub=hub, contents={}, sums=tuple(signed)), receipts


def add(sums: CiphertextSums, part: HubPart, receipts: dict[str, dict[str, Receipt]]) -> None:
    for one in check_part(part, receipts, {TRAINING: sums}, ANY):
        sums.add_sum(one.summed, one.receipts, one.statement)


@given(dealt=st.lists(st.sampled_from(["", "away", *KEYS]), min_size=4, max_size=4))
def test_however_sites_stand_behind_hubs_the_sum_has_the_same_bytes(
    dealt: list[str], new_sums: NewSums, sent: Mapping[str, SealedReply]
) -> None:
    """Those whose hub is away are absent; those without a hub are added one by one."""
    through, flat = new_sums(), new_sums()
    place = dict(zip(NAMES, dealt, strict=True))
    there = [name for name in NAMES if place[name] != "away"]
    take(flat, sent, *there)
    take(through, sent, *(name for name in NAMES if not place[name]))
    for hub in KEYS:
        members = [name for name in NAMES if place[name] == hub]
        if members:
            add(through, *brought(hub, new_sums, sent, *members))
    assert through.added == flat.added
    assert through.finish_sums(floor=1) == flat.finish_sums(floor=1)


def refusal_of(sums: CiphertextSums, part: HubPart, receipts: dict[str, dict[str, Receipt]]) -> str:
    """Return the code with which a part is refused, and check that nothing of it was added."""
    before = dict(sums.added)
    with pytest.raises(ConsortiumError) as refused:
        add(sums, part, receipts)
    assert sums.added == before
    return refused.value.code


def test_a_sum_of_other_uploads_than_the_hub_signed_is_refused(
    new_sums: NewSums, sent: Mapping[str, SealedReply]
) -> None:
    part, receipts = brought("hub-a", new_sums, sent, "east", "west")
    other, _ = brought("hub-a", new_sums, sent, "east", "south")
    swapped = replace(part.sums[0], summed=other.sums[0].summed)
    altered = HubPart(hub="hub-a", contents={}, sums=(swapped,))
    assert refusal_of(new_sums(), altered, receipts) == HubSumRefused.code
    assert refusal_of(new_sums(), other, receipts) == HubSumRefused.code


def test_a_sum_that_the_hub_did_not_sign_is_refused(
    new_sums: NewSums, sent: Mapping[str, SealedReply]
) -> None:
    part, receipts = brought("hub-a", new_sums, sent, "east", "west")
    elsewhere = HubPart(hub="hub-b", contents={}, sums=part.sums)
    assert refusal_of(new_sums(), elsewhere, receipts) == BadSignature.code


def test_an_upload_is_added_once_whatever_a_hub_brings(
    new_sums: NewSums, sent: Mapping[str, SealedReply]
) -> None:
    sums = new_sums()
    take(sums, sent, "east")
    part, receipts = brought("hub-a", new_sums, sent, "east", "west")
    assert refusal_of(sums, part, receipts) == HubSumRefused.code
    doubled = HubPart(hub="hub-a", contents={}, sums=part.sums * 2)
    assert refusal_of(new_sums(), doubled, receipts) == HubSumRefused.code


def test_a_hub_without_its_sum_or_with_a_foreign_member_is_refused(
    new_sums: NewSums, sent: Mapping[str, SealedReply]
) -> None:
    part, receipts = brought("hub-a", new_sums, sent, "east", "west")
    silent = HubPart(hub="hub-a", contents={}, sums=())
    assert refusal_of(new_sums(), silent, receipts) == HubSumRefused.code
    narrow = replace(ANY, members={"hub-a": frozenset({"east"})})
    with pytest.raises(HubSumRefused):
        check_part(part, receipts, {TRAINING: new_sums()}, narrow)


def test_a_sum_that_nobody_asked_for_is_refused(
    new_sums: NewSums, sent: Mapping[str, SealedReply]
) -> None:
    part, receipts = brought("hub-a", new_sums, sent, "east", "west")
    with pytest.raises(HubSumRefused, match="nobody asked for"):
        check_part(part, receipts, {}, ANY)


def test_a_sum_of_another_round_is_refused(
    new_sums: NewSums, sent: Mapping[str, SealedReply]
) -> None:
    part, receipts = brought("hub-a", new_sums, sent, "east", "west")
    sums = new_sums()
    sums.slot = replace(sums.slot, server_round=3)
    assert refusal_of(sums, part, receipts) == WrongRound.code


def test_a_sum_that_is_no_ciphertext_is_refused_whole(
    new_sums: NewSums, sent: Mapping[str, SealedReply]
) -> None:
    _, receipts = brought("hub-a", new_sums, sent, "east", "west")
    noise = bytes(new_sums().form.placement.sum_bytes)
    mine = [one[TRAINING] for one in receipts.values()]
    statement = HubSum.sign(
        mine, noise, charter=CHARTER, hub="hub-a", sign=KEYS["hub-a"].sign
    ).encode()
    made_up = HubPart(
        hub="hub-a", contents={}, sums=(SignedSum(statement=statement, summed=noise),)
    )
    assert refusal_of(new_sums(), made_up, receipts) == "malformed-ciphertext"


def test_a_part_is_taken_once_and_refused_for_all_of_its_answers() -> None:
    taken: list[HubPart] = []
    part = HubPart(hub="hub-a", contents={}, sums=())
    parts = HubParts()
    for _ in range(2):
        parts.admit(part, taken.append)
    assert taken == [part]

    asked: list[HubPart] = []

    def refuse(part: HubPart) -> None:
        asked.append(part)
        raise HubSumRefused("no")

    wrong = HubPart(hub="hub-b", contents={}, sums=())
    for _ in range(2):
        with pytest.raises(HubSumRefused, match="hub-b"):
            parts.admit(wrong, refuse)
    assert asked == [wrong]
