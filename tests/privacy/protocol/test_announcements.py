"""What announcements and attestations are bound to, and that each has one encoding."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.identity.public_identity import BadSignature
from privacy.protocol.announcements import (
    MAX_NOTE_BYTES,
    MOST_SHOWN,
    Announcement,
    Attestation,
    decode_named,
    encode_named,
    verify_announcement,
)
from privacy.secrets.keys import Identity

NORTH = Identity("north", signing=bytes(range(32)), receiving=bytes(range(32)))
EAST = Identity("east", signing=bytes(range(1, 33)), receiving=bytes(range(1, 33)))
ANNOUNCED = Announcement(
    site="north", number=3, since=2, salt=b"s" * 32, note=b"sealed"
).with_signature(NORTH.sign)
ATTESTED = Attestation(
    charter=b"c" * 32,
    witness="east",
    subject="north",
    answers=ANNOUNCED.digest,
    roster=("east", "north"),
    held=(ANNOUNCED.encode(), b"another"),
).with_signature(EAST.sign)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)


def test_each_is_read_as_it_was_written_and_signed() -> None:
    announced = Announcement.decode(ANNOUNCED.encode())
    announced.verify(NORTH.public)
    assert announced == ANNOUNCED
    attested = Attestation.decode(ATTESTED.encode())
    attested.verify(EAST.public)
    assert attested == ATTESTED


@pytest.mark.parametrize(
    "changed",
    [{"number": 4}, {"since": 3}, {"salt": b"t" * 32}, {"note": b""}, {"signature": bytes(64)}],
)
def test_an_announcement_is_its_sites_word_for_word(changed: dict[str, Any]) -> None:
    verify_announcement(NORTH.public, ANNOUNCED.encode())
    with pytest.raises(BadSignature):
        verify_announcement(NORTH.public, replace(ANNOUNCED, **changed).encode())
    with pytest.raises(BadSignature):
        replace(ANNOUNCED, **changed).verify(NORTH.public)


@pytest.mark.parametrize(
    "changed",
    [
        {"charter": b"d" * 32},
        {"subject": "south"},
        {"answers": bytes(32)},
        {"roster": ()},
        {"held": ()},
    ],
)
def test_an_attestation_is_its_witnesses_word_for_word(changed: dict[str, Any]) -> None:
    with pytest.raises(BadSignature):
        replace(ATTESTED, **changed).verify(EAST.public)


def test_nobody_signs_for_another_member() -> None:
    with pytest.raises(MalformedEnvelope):
        ANNOUNCED.verify(EAST.public)
    with pytest.raises(MalformedEnvelope):
        ATTESTED.verify(NORTH.public)
    with pytest.raises(BadSignature):
        replace(ANNOUNCED, site="east").with_signature(NORTH.sign).verify(EAST.public)


def test_two_announcements_of_the_same_number_have_other_digests() -> None:
    assert replace(ANNOUNCED, salt=b"t" * 32).digest != ANNOUNCED.digest


@given(st.data())
def test_what_is_cut_or_longer_is_malformed(data: st.DataObject) -> None:
    made = ANNOUNCED if data.draw(st.booleans()) else ATTESTED
    encoded = made.encode()
    cut = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    for wrong in (cut, encoded + b"x"):
        with pytest.raises(MalformedEnvelope):
            made.decode(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(ANNOUNCED, number=0),
        replace(ANNOUNCED, since=0),
        replace(ANNOUNCED, site="North"),
        replace(ANNOUNCED, note=bytes(MAX_NOTE_BYTES + 1)),
        replace(ATTESTED, roster=("north", "east")),
        replace(ATTESTED, held=(b"",) * (MOST_SHOWN + 1)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_is_out_of_range_is_malformed(wrong: Announcement | Attestation) -> None:
    with pytest.raises(MalformedEnvelope):
        wrong.decode(wrong.encode())


@given(st.dictionaries(NAMES, st.binary(max_size=20), max_size=5))
def test_named_parts_are_read_as_they_were_written(parts: dict[str, bytes]) -> None:
    assert decode_named(encode_named(parts), at_most=20) == parts


def test_a_part_is_no_longer_than_agreed() -> None:
    with pytest.raises(MalformedEnvelope):
        decode_named(encode_named({"east": b"123"}), at_most=2)
