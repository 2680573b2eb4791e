from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.audit.hash_chain import LogHead
from privacy.audit.signed_head import LEDGER_SIZE, LINK_SIZE, Anchor
from privacy.canonical import MalformedEnvelope
from privacy.identity.public_identity import BadSignature
from privacy.secrets.keys import Identity

NORTH = Identity.generate("north")
ANCHORS = st.builds(
    lambda entries, digest, ledger, link: Anchor(
        key=NORTH.public.signing,
        head=LogHead(entries, digest.hex()),
        ledger=ledger,
        link=link,
    ).with_signature(NORTH.sign),
    entries=st.integers(0, 2**62),
    digest=st.binary(min_size=32, max_size=32),
    ledger=st.binary(max_size=LEDGER_SIZE),
    link=st.binary(min_size=LINK_SIZE, max_size=LINK_SIZE),
)


@given(anchor=ANCHORS)
def test_an_anchor_is_the_same_after_a_round_trip_and_still_signed(anchor: Anchor) -> None:
    again = Anchor.decode(anchor.encode())
    assert again == anchor
    again.verify()
    assert len(anchor.encode()) <= 512


@given(anchor=ANCHORS, other=ANCHORS)
def test_a_signature_is_of_everything_but_the_link(anchor: Anchor, other: Anchor) -> None:
    replace(anchor, link=other.link).verify()
    for changed in (
        replace(anchor, head=LogHead(anchor.head.entries + 1, anchor.head.hash)),
        replace(anchor, ledger=anchor.ledger[:-1] + b"!!"),
        replace(anchor, key=Identity.generate("south").public.signing),
        replace(anchor, signature=bytes(64)),
    ):
        with pytest.raises(BadSignature):
            changed.verify()


@given(anchor=ANCHORS, cut=st.integers(1, 60))
def test_anything_else_is_no_anchor(anchor: Anchor, cut: int) -> None:
    encoded = anchor.encode()
    for spoilt in (encoded[:-cut], encoded + b"x" * cut, encoded[cut:], b""):
        with pytest.raises(MalformedEnvelope):
            Anchor.decode(spoilt)


def test_a_link_is_not_shown() -> None:
    anchor = Anchor(key=NORTH.public.signing, head=LogHead(), link=b"s" * 32)
    assert "ssss" not in repr(anchor)
