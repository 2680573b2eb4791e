"""A record's class says the form of each field once; checks, bytes and reading follow from it."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MAX_NUMBER, MalformedEnvelope
from privacy.protocol.records import Record, SignedRecord, blob, fixed_bytes, inner, name, number


@dataclass(frozen=True, kw_only=True)
class Visit(Record, tag=b"tests.visit/1\n"):
    """A record of three fields."""

    patient: Annotated[str, name("a patient")]
    day: Annotated[int, number("a day", low=1)]
    proof: Annotated[bytes, fixed_bytes("a proof", 4)]


@dataclass(frozen=True, kw_only=True)
class Letter(SignedRecord, tag=b"tests.letter/1\n"):
    """A signed record with another record in it."""

    visit: Annotated[Visit, inner(Visit, at_most=64)]
    content: Annotated[bytes, blob("a content", low=1, high=8)]


visits = st.builds(
    Visit,
    patient=st.from_regex(r"[a-z][a-z0-9_.-]{0,20}", fullmatch=True),
    day=st.integers(1, MAX_NUMBER),
    proof=st.binary(min_size=4, max_size=4),
)
letters = st.builds(
    Letter,
    visit=visits,
    content=st.binary(min_size=1, max_size=8),
    signature=st.binary(min_size=64, max_size=64),
)
VISIT = Visit(patient="ann", day=3, proof=b"1234")


@given(letters)
def test_a_record_is_read_as_it_was_written(letter: Letter) -> None:
    assert Letter.decode(letter.encode()) == letter


@given(letters, st.data())
def test_bytes_are_refused_or_are_those_of_what_is_read(
    letter: Letter, data: st.DataObject
) -> None:
    written = bytearray(letter.encode())
    written[data.draw(st.integers(0, len(written) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read = Letter.decode(bytes(written))
    except MalformedEnvelope:
        return
    assert read.encode() == written


def test_fields_are_written_behind_the_tag_in_the_order_of_the_class() -> None:
    assert VISIT.encode() == b"tests.visit/1\n" + b"\x03ann" + (3).to_bytes(8, "big") + b"1234"


def test_a_signature_is_written_last_and_signs_all_before_it() -> None:
    signature = bytes(range(64))
    letter = Letter(visit=VISIT, content=b"well", signature=signature)
    assert letter.body == Letter.body_of(visit=VISIT, content=b"well")
    assert letter.encode() == letter.body + signature


@pytest.mark.parametrize("wrong", [{"patient": "Ann"}, {"day": 0}, {"day": True}, {"proof": b"1"}])
def test_a_value_without_the_form_of_its_field_is_refused(wrong: dict[str, object]) -> None:
    parts: dict[str, object] = {"patient": "ann", "day": 3, "proof": b"1234", **wrong}
    with pytest.raises(MalformedEnvelope):
        Visit(**parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [b"", b"x"])
def test_bytes_too_few_or_too_many_are_refused(change: bytes) -> None:
    written = VISIT.encode()
    Visit.decode(written)
    with pytest.raises(MalformedEnvelope):
        Visit.decode(written[:-1] if not change else written + change)
