"""The part of a question that only masked runs have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.protocol.masks.mask_part import MAX_JOINED_TERMS_BYTES, MaskPart

NAMES = st.sets(st.sampled_from(["east", "north", "south", "west"])).map(sorted).map(tuple)
BYTES = st.binary(max_size=40)


@given(asked=NAMES, cohort=NAMES, parts=st.tuples(BYTES, BYTES, BYTES))
def test_it_is_read_as_it_was_written(
    asked: tuple[str, ...], cohort: tuple[str, ...], parts: tuple[bytes, bytes, bytes]
) -> None:
    terms, count_terms, confirmations = parts
    written = MaskPart(
        asked=asked,
        cohort=cohort,
        terms=terms,
        count_terms=count_terms,
        confirmations=confirmations,
    )
    assert MaskPart.decode(written.encode()) == written


def test_another_form_is_refused() -> None:
    encoded = MaskPart(asked=("east", "west")).encode()
    for spoiled in (b"", encoded[:-1], encoded + b"x", b"x" + encoded):
        with pytest.raises(MalformedEnvelope):
            MaskPart.decode(spoiled)
    with pytest.raises(MalformedEnvelope):
        MaskPart(asked=("west", "east"))
    with pytest.raises(MalformedEnvelope):
        MaskPart(asked=(), terms=bytes(MAX_JOINED_TERMS_BYTES + 1))
