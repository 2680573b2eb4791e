import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.wire import draw_messages as wire
from privacy.wire.flower_records import MalformedRecord

CHARTER = "c" * 64
SITES = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)
PARTS = st.dictionaries(SITES, st.binary(min_size=1, max_size=32), min_size=1, max_size=5)


@given(roster=st.lists(SITES, min_size=1, max_size=5, unique=True))
def test_a_request_to_commit_names_its_roster(roster: list[str]) -> None:
    read = wire.read_commitment_request(wire.commitment_request(CHARTER, roster))
    assert read == (CHARTER, tuple(roster))


@given(parts=PARTS, drawn=st.booleans())
def test_what_is_carried_is_read_as_it_was_written(parts: dict[str, bytes], drawn: bool) -> None:
    assert wire.read_commitment_answer(wire.commitment_answer(parts, drawn=drawn)) == (parts, drawn)
    assert wire.read_commitments(wire.commitments(CHARTER, parts)) == (CHARTER, parts)
    assert wire.read_shares(wire.shares(CHARTER, parts)) == (CHARTER, parts)
    assert wire.read_revealed_share(wire.revealed_share(b"s" * 32)) == b"s" * 32


def test_what_is_too_long_or_of_another_kind_is_refused() -> None:
    long, one = {"east": bytes(513)}, {"east": bytes(33)}
    with pytest.raises(MalformedEnvelope):
        wire.read_commitment_answer(wire.commitment_answer(long, drawn=False))
    with pytest.raises(MalformedEnvelope):
        wire.read_shares(wire.shares(CHARTER, one))
    with pytest.raises(MalformedRecord):
        wire.read_revealed_share(wire.revealed_share(bytes(33)))
    with pytest.raises(MalformedRecord):
        wire.read_shares(wire.commitments(CHARTER, one))
    with pytest.raises(MalformedRecord):
        wire.read_commitment_answer(wire.draw_confirmation())
