"""Mask terms are part of the receipt that signs them, through the nonce of its label."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.protocol.masks.mask_terms import MaskTerms, decode_terms, join_terms

digests = st.binary(min_size=32, max_size=32)
terms = st.builds(MaskTerms, cohort=digests, commitment=digests, bundle=digests)
names = st.from_regex(r"[a-z][a-z0-9_.-]{0,20}", fullmatch=True)


@given(st.dictionaries(names, terms, max_size=5))
def test_terms_are_read_as_they_were_joined(joined: dict[str, MaskTerms]) -> None:
    assert decode_terms(join_terms(joined)) == joined


@given(terms, terms)
def test_other_terms_have_another_nonce(one: MaskTerms, other: MaskTerms) -> None:
    assert (one.nonce == other.nonce) == (one == other)
    assert len(one.nonce) == 32


@given(st.binary(max_size=64))
def test_other_bytes_are_no_terms(data: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        decode_terms(data)
