"""The messages that masked runs have besides those of all encrypted runs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from privacy import canonical
from privacy.canonical import MalformedEnvelope
from privacy.protocol.announcements import decode_named, encode_named
from privacy.protocol.envelope import MAX_ATTEMPTS, MAX_BUCKETS, MAX_ENVELOPE_BYTES, MAX_ROUND
from privacy.protocol.masks.mask_part import (
    MAX_CONFIRMATION_BYTES,
    MAX_ENTRY_BYTES,
    MAX_JOINED_TERMS_BYTES,
)
from privacy.wire import flower_records as wire
from privacy.wire import mask_messages as masks
from privacy.wire.encrypted_messages import MAX_OPENING_BYTES
from privacy.wire.flower_records import MalformedRecord
from privacy.wire.mask_messages import ConfirmationRequest, SetToConfirm

CHARTER = "c" * 64
SITES = st.sampled_from(["east", "north", "south", "west"])
PARTS = st.dictionaries(SITES, st.binary(max_size=64), max_size=4)
REQUEST = ConfirmationRequest(
    charter=CHARTER,
    purpose="training",
    server_round=3,
    attempt=2,
    opening=b"opening",
    shown=SetToConfirm(
        cohort=("east", "west"),
        receipts=b"receipts",
        terms=b"terms",
        sums=((0, bytes(32)), (2, b"s" * 32)),
        count_receipts=b"count-receipts",
        count_terms=b"count-terms",
        count_sum=b"c" * 32,
        signature=bytes(64),
    ),
    entries={"east": b"share", "west": b""},
    count_entries={"east": b"other", "west": b""},
)


@given(
    purpose=st.sampled_from(["training", "statistics", "evaluation"]),
    place=st.tuples(st.integers(0, MAX_ROUND), st.integers(1, MAX_ATTEMPTS)),
    cohort=st.sets(SITES),
    buckets=st.sets(st.integers(0, MAX_BUCKETS - 1), max_size=5),
    entries=st.tuples(PARTS, PARTS),
)
def test_a_request_for_confirmation_is_read_as_it_was_written(
    purpose: str,
    place: tuple[int, int],
    cohort: set[str],
    buckets: set[int],
    entries: tuple[dict[str, bytes], dict[str, bytes]],
) -> None:
    written = replace(
        REQUEST,
        purpose=purpose,
        server_round=place[0],
        attempt=place[1],
        shown=replace(
            REQUEST.shown,
            cohort=tuple(sorted(cohort)),
            sums=tuple((bucket, bytes(32)) for bucket in sorted(buckets)),
        ),
    ).for_witness(*entries)
    assert ConfirmationRequest.read(written.content()) == written


def test_absent_parts_are_read_as_absent() -> None:
    written = ConfirmationRequest(
        charter=CHARTER,
        purpose="statistics",
        server_round=0,
        attempt=1,
        opening=b"opening",
        shown=SetToConfirm(cohort=("east", "west")),
    )
    assert ConfirmationRequest.read(written.content()) == written


def facts(record: RecordDict, **changes: Any) -> RecordDict:
    arrays, said = wire.arrays_and_facts(record)
    return RecordDict({"arrays": arrays, "facts": ConfigRecord({**said, **changes})})


def arrays(record: RecordDict, **changes: bytes | None) -> RecordDict:
    there, said = wire.arrays_and_facts(record)
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    kept = {name: array for name, array in there.items() if name not in changed}
    kept |= {name: wire.bytes_array(part) for name, part in changed.items() if part is not None}
    return RecordDict({"arrays": ArrayRecord(kept), "facts": said})


def with_parts(record: RecordDict, **changes: bytes | None) -> RecordDict:
    """Return a request to confirm with some of the parts in its one array changed."""
    there, _ = wire.arrays_and_facts(record)
    said = decode_named(there["parts"].data, at_most=2**20)
    said |= {name: part for name, part in changes.items() if part is not None}
    left = {name: part for name, part in said.items() if changes.get(name, b"") is not None}
    return arrays(record, parts=encode_named(left))


WRONG_REQUESTS: dict[str, Callable[[RecordDict], RecordDict]] = {
    "another purpose": lambda record: facts(record, purpose="release"),
    "no round": lambda record: facts(record, round=-1),
    "an attempt too many": lambda record: facts(record, attempt=MAX_ATTEMPTS + 1),
    "a charter too long": lambda record: facts(record, charter="c" * 65),
    "a fact too many": lambda record: facts(record, more=1),
    "an array too many": lambda record: arrays(record, more=b""),
    "an array too few": lambda record: arrays(record, parts=None),
    "a part too many": lambda record: with_parts(record, more=b""),
    "a part too few": lambda record: with_parts(record, set=None),
    "an opening too long": lambda record: with_parts(record, opening=bytes(MAX_OPENING_BYTES + 1)),
    "parts too long": lambda record: arrays(record, parts=bytes(masks.MAX_SET_BYTES + 2**23)),
}


@pytest.mark.parametrize("spoil", WRONG_REQUESTS.values(), ids=list(WRONG_REQUESTS))
def test_a_request_of_another_form_is_refused(spoil: Callable[[RecordDict], RecordDict]) -> None:
    with pytest.raises(MalformedRecord):
        ConfirmationRequest.read(spoil(REQUEST.content()))


WRONG_PARTS: dict[str, dict[str, Any]] = {
    "two sums of one bucket": {"sums": ((1, bytes(32)), (1, bytes(32)))},
    "buckets out of order": {"sums": ((1, bytes(32)), (0, bytes(32)))},
    "a bucket too many": {"sums": ((MAX_BUCKETS, bytes(32)),)},
    "names out of order": {"cohort": ("west", "east")},
    "terms too long": {"terms": bytes(MAX_JOINED_TERMS_BYTES + 1)},
    "a sum of counts too long": {"count_sum": bytes(33)},
    "a signature too long": {"signature": bytes(65)},
}


@pytest.mark.parametrize("wrong", WRONG_PARTS.values(), ids=list(WRONG_PARTS))
def test_a_set_with_a_part_of_another_form_is_refused(wrong: dict[str, Any]) -> None:
    parts = {name: getattr(REQUEST.shown, name) for name in SetToConfirm.forms} | wrong
    encoded = (SetToConfirm.forms[name].encode(part) for name, part in parts.items())
    written = SetToConfirm.tag + b"".join(encoded)
    with pytest.raises(MalformedEnvelope):
        ConfirmationRequest.read(with_parts(REQUEST.content(), set=written))


def test_a_share_that_is_too_long_is_refused() -> None:
    wrong = replace(REQUEST, entries={"east": bytes(MAX_ENTRY_BYTES + 1)})
    with pytest.raises(MalformedEnvelope):
        ConfirmationRequest.read(wrong.content())


@pytest.mark.parametrize("count", [MAX_BUCKETS + 1, 2**40])
def test_no_more_sums_are_read_than_there_are_buckets(count: int) -> None:
    before = SetToConfirm(cohort=()).encode()
    # Everything after the number of sums is empty: five lengths.
    cut = before[: -(8 + 4 * 8)] + canonical.number(count)
    with pytest.raises(MalformedEnvelope):
        ConfirmationRequest.read(with_parts(REQUEST.content(), set=cut))


@given(part=st.binary(max_size=64), more=st.binary(max_size=64))
def test_what_is_carried_between_members_is_read_as_it_was_written(
    part: bytes, more: bytes
) -> None:
    assert masks.read_pair_key_request(masks.pair_key_request(CHARTER)) == CHARTER
    assert masks.read_pair_key(masks.pair_key(part)) == part
    asked = masks.masked_opening_request(CHARTER, "label", ["east", "west"], "run-1", keys=part)
    said = (CHARTER, "label", ("east", "west"), "run-1")
    assert masks.read_masked_opening_request(asked) == (said, part)
    pair = masks.pair_request(CHARTER, opening=part, keys=more)
    assert masks.read_pair_request(pair) == (CHARTER, part, more)
    assert masks.read_pair_ciphertexts(masks.pair_ciphertexts(part)) == part
    secret = masks.pair_secrets(CHARTER, opening=part, ciphertexts=more)
    assert masks.read_pair_secrets(secret) == (CHARTER, part, more)
    assert masks.read_confirmation(masks.confirmation(part)) == part
    assert wire.num_bytes(masks.pair_confirmation()) == 0


READERS: list[tuple[Callable[[RecordDict], object], RecordDict]] = [
    (masks.read_pair_key_request, masks.pair_key_request("c" * 65)),
    (masks.read_pair_key_request, masks.pair_key(b"")),
    (masks.read_pair_key, masks.pair_key(bytes(MAX_ENVELOPE_BYTES + 1))),
    (masks.read_pair_key, masks.pair_confirmation()),
    (
        masks.read_masked_opening_request,
        masks.masked_opening_request(CHARTER, "l" * 65, ["east"], "", keys=b""),
    ),
    (
        masks.read_masked_opening_request,
        masks.masked_opening_request(
            CHARTER, "l", ["east"], "", keys=bytes(masks.MAX_KEY_LIST_BYTES + 1)
        ),
    ),
    (masks.read_masked_opening_request, masks.pair_key_request(CHARTER)),
    (masks.read_pair_request, masks.pair_key_request(CHARTER)),
    (
        masks.read_pair_request,
        masks.pair_request(CHARTER, opening=bytes(MAX_OPENING_BYTES + 1), keys=b""),
    ),
    (
        masks.read_pair_ciphertexts,
        masks.pair_ciphertexts(bytes(masks.MAX_CIPHERTEXTS_BYTES + 1)),
    ),
    (masks.read_pair_secrets, masks.pair_request(CHARTER, opening=b"", keys=b"")),
    (
        masks.read_pair_secrets,
        masks.pair_secrets(
            CHARTER, opening=b"", ciphertexts=bytes(masks.MAX_CIPHERTEXTS_BYTES + 1)
        ),
    ),
    (masks.read_confirmation, masks.confirmation(bytes(MAX_CONFIRMATION_BYTES + 1))),
]


@pytest.mark.parametrize(("read", "record"), READERS)
def test_what_is_carried_in_another_form_is_refused(
    read: Callable[[RecordDict], object], record: RecordDict
) -> None:
    with pytest.raises(MalformedRecord):
        read(record)
