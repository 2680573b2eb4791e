"""Lies of a member that show without a key: it is named, and the run continues."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from consortium.client.encrypted.session import Session
from consortium.config import Scalar
from privacy.protocol.envelope import Receipt
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    read_round,
)
from tests.tampering import Liar, forged, own_levels, signed_by

Honest = tuple[Consortium, Course]
Lie = Callable[[Session, SealedRound, SealedReply], SealedReply]
LIAR = "south"
OTHERS = tuple(name for name in NAMES if name != LIAR)


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return Consortium.placed(tmp_path / "run")


def run_with_liar(
    consortium: Consortium, kind: str, lie: Lie, overrides: Mapping[str, Scalar] | None = None
) -> Course:
    return Liar(consortium, LIAR, kind, lie, overrides or {}).run()


def another_upload(_session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    flipped = sent.upload[:-1] + bytes([sent.upload[-1] ^ 1])
    return replace(sent, upload=flipped)


def another_receipt(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    """Encrypt twice for one slot, and send the first upload with the receipt of the second."""
    _, second = forged(session, Receipt.decode(sent.receipt).label)
    return replace(sent, receipt=second)


def another_name(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    said = replace(Receipt.decode(sent.receipt).label, site="north")
    upload, receipt = forged(session, said)
    return replace(sent, upload=upload, receipt=receipt)


def no_such_bucket(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    said = replace(Receipt.decode(sent.receipt).label, bucket=1)
    upload, receipt = forged(session, said)
    return replace(sent, upload=upload, receipt=receipt)


def heavy_counts(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    """Claim weight class 8 for a tally, where every site has the same weight."""
    said = replace(Receipt.decode(sent.count_receipt).label, weight_class=8)
    upload, receipt = forged(session, said)
    return replace(sent, count_upload=upload, count_receipt=receipt)


def another_round(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    label = Receipt.decode(sent.receipt).label
    said = replace(label, slot=replace(label.slot, server_round=label.slot.server_round + 1))
    upload, receipt = forged(session, said)
    return replace(sent, upload=upload, receipt=receipt)


def unsigned(_session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    receipt = replace(Receipt.decode(sent.receipt), signature=bytes(64))
    return replace(sent, receipt=receipt.encode())


def garbage(_session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    return replace(sent, upload=b"\xff" * len(sent.upload), receipt=b"garbage")


def beyond_the_prime(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
    marker = session.terms.updates.upload_marker
    upload = marker + b"\xff" * (len(sent.upload) - len(marker))
    label = Receipt.decode(sent.receipt).label
    return replace(sent, upload=upload, receipt=signed_by(session, label, upload).encode())


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (another_upload, "receipt-altered"),
        (another_receipt, "receipt-altered"),
        (another_name, "not-in-roster"),
        (no_such_bucket, "wrong-bucket"),
        (heavy_counts, "wrong-weight-class"),
        (another_round, "wrong-round"),
        (unsigned, "bad-signature"),
        (garbage, "malformed-envelope"),
        (beyond_the_prime, "malformed-ciphertext"),
    ],
)
def test_a_lie_visible_without_a_key_costs_only_the_liar_its_round(
    consortium: Consortium, lie: Lie, code: str
) -> None:
    """It is left out of what the others are shown, and therefore refuses to continue itself."""
    course = run_with_liar(consortium, "train", lie, {"num-server-rounds": 2})
    assert course.error is None
    assert (1, LIAR, code) in course.quarantined
    assert {site for _, site, _ in course.quarantined} == {LIAR}
    assert {course.models[name].hex() for name in OTHERS} == {course.model}
    assert set(consortium.audited().values()) == {""}


def test_the_weight_class_of_an_update_must_be_allowed_in_the_run(consortium: Consortium) -> None:
    """With equal weights no site may claim another weight class: it would stop the others."""

    def light(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
        said = replace(Receipt.decode(sent.receipt).label, weight_class=1)
        upload, receipt = forged(session, said)
        return replace(sent, upload=upload, receipt=receipt)

    course = run_with_liar(
        consortium, "train", light, {"weighting": "equal", "num-server-rounds": 1}
    )
    assert course.error is None
    assert (1, LIAR, "wrong-weight-class") in course.quarantined
    assert {site for _, site, _ in course.quarantined} == {LIAR}


def test_a_site_that_signs_another_state_is_named_and_changes_nothing(
    honest: Honest, consortium: Consortium
) -> None:
    """Its upload is honest, so the others end in the same state as without the lie."""

    def elsewhere(session: Session, request: SealedRound, sent: SealedReply) -> SealedReply:
        said = replace(Receipt.decode(sent.receipt).label, state=bytes(32))
        upload, receipt = forged(session, said, levels=own_levels(session, request))
        return replace(sent, upload=upload, receipt=receipt)

    course = run_with_liar(consortium, "train", elsewhere)
    assert course.error is None
    named = {(number, code) for number, site, code in course.quarantined if site == LIAR}
    assert (1, "state-disputed") in named
    assert {site for _, site, _ in course.quarantined} == {LIAR}
    assert len({course.models[name] for name in OTHERS}) == 1
    shown = read_round(course.answers("train")[-1][0].content)
    first = next(
        read_round(asked.content) for asked, _ in course.answers("train") if asked.number == 2
    )
    before = honest[1].moments["east", "train", 2].request
    assert len(first.receipts) == len(before.receipts)
    assert shown.server_round == 3
