from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from privacy import canonical
from privacy.canonical import MalformedEnvelope
from privacy.protocol.envelope import MAX_ATTEMPTS, MAX_ENVELOPE_BYTES, MAX_ROUND
from privacy.protocol.masks.mask_part import (
    MAX_BUNDLE_BYTES,
    MAX_MASK_PART_BYTES,
    MAX_TERMS_BYTES,
    MaskPart,
)
from privacy.protocol.signed_question import PARTS
from privacy.wire import flower_records as wire
from privacy.wire.encrypted_messages import (
    MAX_OPENING_BYTES,
    SealedReply,
    SealedRound,
    deliveries,
    delivery,
    held_epoch,
    opening,
    opening_request,
    read_deliveries,
    read_delivery,
    read_held_epoch,
    read_opening,
    read_opening_request,
    read_rotation_request,
    rotation_request,
)
from privacy.wire.flower_records import MalformedRecord

CHARTER = "c" * 64
SHORT = st.binary(max_size=40)
NAMES = st.lists(
    st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), min_size=1, max_size=5, unique=True
)
ROUND = SealedRound(
    charter=CHARTER,
    server_round=3,
    attempt=2,
    opening=b"opening",
    receipts=b"receipts",
    sums=b"sums",
    state=b"state",
    count_receipts=b"count-receipts",
    count_sum=b"count-sum",
)
REPLY = SealedReply(
    upload=b"upload",
    receipt=b"receipt",
    count_upload=b"count-upload",
    count_receipt=b"count-receipt",
    state=b"state",
    released=np.array([1, -2, 3]),
    model=bytes(32),
)

FOUR = wire.tally_array(np.zeros(4, np.int64))


def read_round(record: RecordDict) -> SealedRound:
    return SealedRound.read(record, sums_bytes=64, count_bytes=64)


def read_reply(record: RecordDict) -> SealedReply:
    return SealedReply.read(record, upload_bytes=64, count_bytes=64, tally_size=3)


@given(
    server_round=st.integers(0, MAX_ROUND),
    attempt=st.integers(1, MAX_ATTEMPTS),
    report=st.booleans(),
    parts=st.lists(SHORT, min_size=6, max_size=6),
)
def test_a_round_is_read_as_it_was_written(
    server_round: int, attempt: int, report: bool, parts: list[bytes]
) -> None:
    names = ("opening", "receipts", "sums", "state", "count_receipts", "count_sum")
    written = SealedRound(
        charter=CHARTER,
        server_round=server_round,
        attempt=attempt,
        report=report,
        **dict(zip(names, parts, strict=True)),
    )
    assert read_round(written.content()) == written


@given(parts=st.lists(SHORT, min_size=6, max_size=6), entries=st.none() | st.integers(-9, 9))
def test_a_reply_is_read_as_it_was_written(parts: list[bytes], entries: int | None) -> None:
    names = ("upload", "receipt", "count_upload", "count_receipt", "state", "model")
    written = SealedReply(
        **dict(zip(names, [part[:32] for part in parts], strict=True)),
        released=None if entries is None else np.full(3, entries),
    )
    read = read_reply(written.content())
    assert replace(read, released=None) == replace(written, released=None)
    assert (read.released is None) == (entries is None)
    assert read.released is None or read.released.tolist() == [entries] * 3


def parts_of(request: SealedRound) -> list[str]:
    """Return the names of what a question shows in every run; its signature shows nothing more."""
    apart = {"signature", "masks"}
    return [one.name for one in fields(request) if one.type is bytes and one.name not in apart]


def test_the_digest_says_all_that_is_asked() -> None:
    """Whether the state is requested does not change the digest: it is the same question."""
    parts = parts_of(ROUND)
    other: list[dict[str, Any]] = [{name: b"other"} for name in parts]
    changed = {replace(ROUND, **change).digest for change in other}
    changed |= {
        ROUND.digest,
        replace(ROUND, charter="d" * 64).digest,
        replace(ROUND, server_round=4).digest,
        replace(ROUND, attempt=3).digest,
        replace(ROUND, receipts=b"receiptss", sums=b"ums").digest,
    }
    assert len(changed) == 6 + 5
    assert replace(ROUND, report=True).digest == ROUND.digest


def test_the_digest_of_a_signed_question_says_all_that_is_asked() -> None:
    """It is made of the digests that are signed, so that nothing is hashed twice."""
    asked = replace(ROUND, charter=CHARTER, signature=bytes(64))
    changes: list[dict[str, Any]] = [{name: b"other"} for name in parts_of(asked)]
    others = [replace(asked, **change) for change in changes]
    others += [
        replace(asked, charter="d" * 64),
        replace(asked, server_round=4),
        replace(asked, receipts=b"receiptss", sums=b"ums"),
    ]
    assert len({one.digest for one in [asked, *others]}) == len(others) + 1
    assert len({one.shown for one in [asked, *others]}) == len(others) + 1
    again = replace(asked, attempt=3, report=True)
    assert again.digest != asked.digest
    assert again.shown == asked.shown
    assert asked.shown not in {asked.digest, again.digest}


MASKED = MaskPart(asked=("east", "west"), cohort=("east", "north"), confirmations=b"two of them")


@pytest.mark.parametrize("signature", [b"", bytes(64)], ids=["unsigned", "signed"])
def test_the_digest_of_a_masked_question_says_who_is_asked(signature: bytes) -> None:
    """Who confirmed it is signed, and does not make it another question."""
    plain = replace(ROUND, signature=signature)
    asked = replace(plain, masks=MASKED.encode())
    others_asked = replace(plain, masks=replace(MASKED, asked=("east",)).encode())
    others_confirmed = replace(plain, masks=replace(MASKED, confirmations=b"others").encode())
    assert len({plain.digest, asked.digest, others_asked.digest}) == 3
    assert others_confirmed.digest == asked.digest
    assert {one.shown for one in (asked, others_asked, others_confirmed)} == {plain.shown}
    signed = {one.digests.encode() for one in (plain, asked, others_asked, others_confirmed)}
    assert len(signed) == 4


def test_a_question_without_a_masks_part_has_the_bytes_that_it_always_had() -> None:
    assert "masks" not in wire.arrays_and_facts(ROUND.content())[0]
    assert len(ROUND.digests.parts) == len(PARTS)
    assert not {"bundle", "terms"} & set(wire.arrays_and_facts(REPLY.content())[0])


def test_a_masked_question_is_read_as_it_was_written() -> None:
    written = replace(ROUND, masks=MASKED.encode(), signature=bytes(64))
    read = read_round(written.content())
    assert read == written
    assert read.mask_part == MASKED


def test_a_masks_part_of_another_form_is_refused_before_anything_is_said_of_it() -> None:
    with pytest.raises(MalformedEnvelope):
        _ = replace(ROUND, masks=b"no part").digest


@given(parts=st.lists(st.binary(min_size=1, max_size=40), min_size=4, max_size=4))
def test_a_masked_reply_is_read_as_it_was_written(parts: list[bytes]) -> None:
    names = ("bundle", "terms", "count_bundle", "count_terms")
    written = replace(REPLY, released=None, **dict(zip(names, parts, strict=True)))
    assert read_reply(written.content()) == written


def test_what_is_sealed_is_not_in_the_text_of_a_message() -> None:
    assert "b'sums'" not in repr(ROUND)
    assert "b'upload'" not in repr(REPLY)


def facts(record: RecordDict, **changes: Any) -> RecordDict:
    arrays, said = wire.arrays_and_facts(record)
    return RecordDict({"arrays": arrays, "facts": ConfigRecord({**said, **changes})})


def arrays(record: RecordDict, **changes: bytes | Array | None) -> RecordDict:
    there, said = wire.arrays_and_facts(record)
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    kept = {name: array for name, array in there.items() if name not in changed}
    for name, value in changed.items():
        if value is not None:
            kept[name] = wire.bytes_array(value) if isinstance(value, bytes) else value
    return RecordDict({"arrays": ArrayRecord(kept), "facts": said})


WRONG_ROUNDS: dict[str, Callable[[RecordDict], RecordDict]] = {
    "no round": lambda record: facts(record, round=-1),
    "a round too large": lambda record: facts(record, round=MAX_ROUND + 1),
    "a round that is no number": lambda record: facts(record, round="3"),
    "a round that is true": lambda record: facts(record, round=True),
    "attempt 0": lambda record: facts(record, attempt=0),
    "an attempt too many": lambda record: facts(record, attempt=MAX_ATTEMPTS + 1),
    "half a report": lambda record: facts(record, report=0.5),
    "a charter too long": lambda record: facts(record, charter="c" * 65),
    "a fact too many": lambda record: facts(record, more=1),
    "an array too many": lambda record: arrays(record, more=b""),
    "an array too few": lambda record: arrays(record, state=None),
    "sums too long": lambda record: arrays(record, sums=bytes(65)),
    "a tally too long": lambda record: arrays(record, count_sum=bytes(65)),
    "an opening too long": lambda record: arrays(record, opening=bytes(MAX_OPENING_BYTES + 1)),
    "a masks part too long": lambda record: arrays(record, masks=bytes(MAX_MASK_PART_BYTES + 1)),
    "a signature too long": lambda record: arrays(record, signature=bytes(65)),
    "numbers for bytes": lambda record: arrays(record, sums=wire.tally_array(np.zeros(2, int))),
    "no record": lambda _record: RecordDict({}),
    "one record": lambda record: RecordDict({"facts": wire.arrays_and_facts(record)[1]}),
}


@pytest.mark.parametrize("spoil", WRONG_ROUNDS.values(), ids=list(WRONG_ROUNDS))
def test_a_round_of_another_form_is_refused(spoil: Callable[[RecordDict], RecordDict]) -> None:
    with pytest.raises(MalformedRecord):
        read_round(spoil(ROUND.content()))


WRONG_REPLIES: dict[str, Callable[[RecordDict], RecordDict]] = {
    "an upload too long": lambda record: arrays(record, upload=bytes(65)),
    "a sealed tally too long": lambda record: arrays(record, count_upload=bytes(65)),
    "a receipt too long": lambda record: arrays(record, receipt=bytes(MAX_ENVELOPE_BYTES + 1)),
    "a model too long": lambda record: arrays(record, model=bytes(33)),
    "a bundle too long": lambda record: arrays(record, bundle=bytes(MAX_BUNDLE_BYTES + 1)),
    "mask terms too long": lambda record: arrays(record, count_terms=bytes(MAX_TERMS_BYTES + 1)),
    "a tally and no release": lambda record: facts(record, released=0),
    "a release and no tally": lambda record: arrays(record, tally=None),
    "a tally of another size": lambda record: arrays(
        record, tally=wire.tally_array(np.zeros(4, int))
    ),
    "a tally that is bytes": lambda record: arrays(record, tally=b"x" * 24),
    "an array too many": lambda record: arrays(record, more=b""),
    "an array too few": lambda record: arrays(record, upload=None),
    "a fact too few": lambda record: RecordDict(
        {"arrays": wire.arrays_and_facts(record)[0], "facts": ConfigRecord({})}
    ),
}


@pytest.mark.parametrize("spoil", WRONG_REPLIES.values(), ids=list(WRONG_REPLIES))
def test_a_reply_of_another_form_is_refused(spoil: Callable[[RecordDict], RecordDict]) -> None:
    with pytest.raises(MalformedRecord):
        read_reply(spoil(REPLY.content()))


@given(epoch=st.integers(0, canonical.MAX_NUMBER), fingerprint=st.binary(max_size=32))
def test_an_epoch_is_read_as_it_was_written(epoch: int, fingerprint: bytes) -> None:
    assert read_held_epoch(held_epoch(epoch, fingerprint)) == (epoch, fingerprint)


@given(
    last=st.integers(0, canonical.MAX_NUMBER),
    names=NAMES,
    blobs=SHORT,
    lineage=st.sampled_from(["", "run-1"]),
)
def test_what_is_carried_between_members_is_read_as_it_was_written(
    last: int, names: list[str], blobs: bytes, lineage: str
) -> None:
    made = dict.fromkeys(names, blobs)
    assert read_deliveries(deliveries(made)) == made
    assert read_rotation_request(rotation_request(CHARTER, last)) == (CHARTER, last)
    assert read_delivery(delivery(CHARTER, blobs)) == (CHARTER, blobs)
    assert read_opening(opening(blobs)) == blobs
    wanted = opening_request(CHARTER, "label", names, lineage)
    assert read_opening_request(wanted) == (CHARTER, "label", tuple(names), lineage)


READERS: list[tuple[Callable[[RecordDict], object], RecordDict]] = [
    (read_held_epoch, held_epoch(-1, b"")),
    (read_held_epoch, held_epoch(1, bytes(33))),
    (read_held_epoch, opening(b"")),
    (read_rotation_request, rotation_request(CHARTER, -1)),
    (read_rotation_request, rotation_request(CHARTER + "c", 0)),
    (read_rotation_request, opening(b"")),
    (read_delivery, delivery(CHARTER, bytes(MAX_ENVELOPE_BYTES + 1))),
    (read_delivery, opening(b"")),
    (read_opening, opening(bytes(MAX_OPENING_BYTES + 1))),
    (read_opening, held_epoch(1, b"")),
    (read_opening_request, opening_request(CHARTER, "l" * 65, ["east"], "")),
    (read_opening_request, opening_request(CHARTER, "l", ["e" * 2**21], "")),
    (read_opening_request, opening_request(CHARTER, "l", ["east"], "r" * 129)),
    (read_opening_request, opening(b"")),
    (read_deliveries, opening(b"")),
]


@pytest.mark.parametrize(("read", "record"), READERS)
def test_what_is_carried_in_another_form_is_refused(
    read: Callable[[RecordDict], object], record: RecordDict
) -> None:
    with pytest.raises(MalformedRecord):
        read(record)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"consortium.deliveries/1\n",
        b"consortium.deliveries/1\n" + canonical.number(2**40),
        b"consortium.deliveries/1\n" + canonical.names(["east"]),
        b"consortium.deliveries/1\n" + canonical.names(["east"]) + canonical.number(2**40),
        b"consortium.deliveries/1\n" + canonical.names(["east"]) + canonical.blob(bytes(4097)),
        b"consortium.deliveries/1\n" + canonical.names(["east"]) + canonical.blob(b"") + b"more",
        b"consortium.deliveries/2\n" + canonical.names([]),
    ],
)
def test_deliveries_of_another_form_are_refused(encoded: bytes) -> None:
    record = wire.content({"deliveries": wire.bytes_array(encoded)}, {})
    with pytest.raises(MalformedEnvelope):
        read_deliveries(record)
