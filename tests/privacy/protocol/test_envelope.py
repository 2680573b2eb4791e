from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.identity.public_identity import BadSignature
from privacy.protocol.envelope import (
    MAX_ATTEMPTS,
    MAX_BUCKETS,
    MAX_ROUND,
    NO_STATE,
    Receipt,
    SealedState,
    Slot,
    StateContext,
    UploadLabel,
    WrongAttempt,
    WrongPurpose,
    WrongRound,
    WrongRun,
)
from privacy.secrets.keys import Identity

NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,127}", fullmatch=True)
DIGESTS = st.binary(min_size=32, max_size=32)
SLOTS = st.builds(
    Slot,
    run=NAMES,
    purpose=NAMES,
    server_round=st.integers(0, MAX_ROUND),
    attempt=st.integers(1, MAX_ATTEMPTS),
)
LABELS = st.builds(
    UploadLabel,
    slot=SLOTS,
    site=NAMES,
    bucket=st.integers(0, MAX_BUCKETS - 1),
    weight_class=st.sampled_from([1, 2, 4, 8]),
    nonce=DIGESTS,
    state=DIGESTS,
)
RECEIPTS = st.builds(
    Receipt, label=LABELS, upload=DIGESTS, signature=st.binary(min_size=64, max_size=64)
)
STATES = st.builds(
    SealedState,
    context=st.builds(
        StateContext,
        charter=DIGESTS,
        run=NAMES,
        server_round=st.integers(0, MAX_ROUND),
        previous=DIGESTS,
    ),
    body=st.binary(min_size=16, max_size=200),
)


@settings(max_examples=100)
@given(form=st.one_of(SLOTS, LABELS, RECEIPTS, STATES))
def test_what_is_decoded_is_what_was_encoded(
    form: Slot | UploadLabel | Receipt | SealedState,
) -> None:
    assert type(form).decode(form.encode()) == form


@settings(max_examples=50)
@given(form=st.one_of(SLOTS, LABELS, RECEIPTS), more=st.binary(min_size=1, max_size=4))
def test_what_is_cut_short_or_too_long_is_refused(
    form: Slot | UploadLabel | Receipt, more: bytes
) -> None:
    data = form.encode()
    for changed in (data + more, data[: -len(more)], more + data):
        with pytest.raises(MalformedEnvelope):
            type(form).decode(changed)


@settings(max_examples=50)
@given(first=LABELS, second=LABELS)
def test_two_labels_never_share_a_pad(first: UploadLabel, second: UploadLabel) -> None:
    assert (first.encode() == second.encode()) == (first == second)


def test_forms_are_frozen(slot: Slot) -> None:
    with pytest.raises(FrozenInstanceError):
        slot.server_round = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    "change",
    [
        {"run": "Run"},
        {"run": ""},
        {"purpose": "to train"},
        {"server_round": -1},
        {"server_round": MAX_ROUND + 1},
        {"attempt": 0},
        {"attempt": MAX_ATTEMPTS + 1},
    ],
)
def test_a_slot_out_of_range_does_not_construct(slot: Slot, change: dict[str, str | int]) -> None:
    with pytest.raises(MalformedEnvelope):
        replace(slot, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"site": "East"},
        {"bucket": -1},
        {"bucket": MAX_BUCKETS},
        {"weight_class": 0},
        {"weight_class": 3},
        {"weight_class": 16},
        {"weight_class": True},
        {"nonce": b"short"},
        {"state": b""},
    ],
)
def test_a_label_out_of_range_does_not_construct(
    receipts: tuple[Receipt, ...], change: dict[str, object]
) -> None:
    with pytest.raises(MalformedEnvelope):
        replace(receipts[0].label, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"upload": b""}, {"signature": b"1" * 63}])
def test_a_receipt_out_of_range_does_not_construct(
    receipts: tuple[Receipt, ...], change: dict[str, bytes]
) -> None:
    with pytest.raises(MalformedEnvelope):
        replace(receipts[0], **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"run": "other"}, WrongRun),
        ({"purpose": "statistics"}, WrongPurpose),
        ({"server_round": 2}, WrongRound),
        ({"attempt": 2}, WrongAttempt),
    ],
)
def test_another_slot_is_refused_by_what_differs(
    slot: Slot, change: dict[str, str | int], refusal: type[ValueError]
) -> None:
    slot.require_slot(slot)
    with pytest.raises(refusal):
        replace(slot, **change).require_slot(slot)  # type: ignore[arg-type]


def test_a_receipt_is_signed_over_all_it_says(
    identities: dict[str, Identity], signed: Callable[..., Receipt]
) -> None:
    east = identities["east"].public
    receipt = signed("east")
    receipt.verify(east)
    for forged in (
        replace(receipt, upload=bytes(32)),
        replace(receipt, label=replace(receipt.label, state=bytes(32))),
        replace(receipt, label=replace(receipt.label, bucket=1)),
        replace(receipt, label=replace(receipt.label, weight_class=8)),
        replace(receipt, label=replace(receipt.label, nonce=bytes(32))),
        replace(receipt, label=replace(receipt.label, slot=replace(receipt.label.slot, attempt=2))),
        signed("east", signer="west"),
    ):
        for _ in range(2):  # what was refused is not remembered as signed
            with pytest.raises(BadSignature):
                forged.verify(east)
    receipt.verify(east)
    with pytest.raises(BadSignature):
        receipt.verify(identities["west"].public)


def test_the_label_is_everything_but_the_uploads_digest(
    identities: dict[str, Identity], receipts: tuple[Receipt, ...]
) -> None:
    """The tag is inside the upload, so its pad cannot hang on the upload's own digest."""
    label = receipts[0].label
    sign = identities["east"].sign
    one, other = (Receipt.sign(label, upload=bytes([n]) * 32, sign=sign) for n in (1, 2))
    assert one.label.encode() == other.label.encode() in one.encode()
    assert one.encode() != other.encode()


@given(first=STATES, second=STATES)
@settings(max_examples=50)
def test_the_digest_of_a_state_covers_its_context_and_body(
    first: SealedState, second: SealedState
) -> None:
    assert (first.digest == second.digest) == (first == second)


def test_the_body_of_a_state_is_bounded_before_it_is_copied() -> None:
    context = StateContext(charter=bytes(32), run="run", server_round=0, previous=NO_STATE)
    data = SealedState(context=context, body=bytes(1000)).encode()
    assert len(SealedState.decode(data, at_most=1000).body) == 1000
    with pytest.raises(MalformedEnvelope):
        SealedState.decode(data, at_most=999)
    with pytest.raises(MalformedEnvelope):
        SealedState(context=context, body=bytes(15))
    assert "body" not in repr(SealedState.decode(data))
