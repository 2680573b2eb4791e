"""What buckets are drawn from: charter, roster and shares, each fixed before one is revealed."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import Agreement, BadSignature
from privacy.protocol.bucket_draw import Commitments, Draw, WrongCommitment, WrongShare
from privacy.secrets.keys import Identity

NAMES = ("east", "north", "south", "west")
DIGESTS = st.binary(min_size=32, max_size=32)
SHARES = st.lists(DIGESTS, min_size=4, max_size=4).map(
    lambda shares: dict(zip(NAMES, shares, strict=True))
)


@pytest.fixture(scope="module")
def draw(agreement: Agreement) -> Draw:
    return Draw(charter=agreement.charter, roster=NAMES)


@pytest.fixture(scope="module")
def shares(identities: dict[str, Identity], draw: Draw) -> dict[str, bytes]:
    return {site: one.bucket_share(draw.digest) for site, one in identities.items()}


@pytest.fixture(scope="module")
def made(identities: dict[str, Identity], draw: Draw, shares: dict[str, bytes]) -> dict[str, bytes]:
    """What each site sends, encoded."""
    return {
        site: draw.commit(site, shares[site], one.sign).encode() for site, one in identities.items()
    }


@given(charter=DIGESTS, shares=SHARES, other=DIGESTS, site=st.sampled_from(NAMES))
def test_another_charter_roster_or_share_of_any_site_draws_anew(
    charter: bytes, shares: dict[str, bytes], other: bytes, site: str
) -> None:
    assume(other not in {charter, shares[site]})
    draw = Draw(charter=charter, roster=NAMES)
    fewer = {name: share for name, share in shares.items() if name != site}
    drawn = {
        draw.seed(shares),
        draw.seed({**shares, site: other}),
        Draw(charter=other, roster=NAMES).seed(shares),
        Draw(charter=charter, roster=tuple(fewer)).seed(fewer),
    }
    assert len(drawn) == 4
    assert draw.seed(dict(reversed(shares.items()))) == draw.seed(shares)


@given(charter=DIGESTS, share=DIGESTS, other=DIGESTS)
def test_a_commitment_is_to_one_share_of_one_site_in_one_draw(
    charter: bytes, share: bytes, other: bytes
) -> None:
    assume(other not in {charter, share})
    draw = Draw(charter=charter, roster=NAMES)
    committed = {
        draw.share_digest("east", share),
        draw.share_digest("east", other),
        draw.share_digest("west", share),
        Draw(charter=other, roster=NAMES).share_digest("east", share),
        Draw(charter=charter, roster=NAMES[:3]).share_digest("east", share),
        share,
    }
    assert len(committed) == 6


def test_what_is_drawn_does_not_change_between_versions() -> None:
    """Published vectors: sites of one run must agree."""
    draw = Draw(charter=b"\x01" * 32, roster=NAMES[:3])
    shares = {site: bytes([number]) * 32 for number, site in enumerate(draw.roster)}
    assert [
        draw.digest.hex(),
        draw.share_digest("east", bytes(32)).hex(),
        draw.seed(shares).hex(),
    ] == [
        "2faf4e96ac63fefebd9f13004bd949e5060f4c721a3124084e5044baa24470d7",
        "bdc38ede9621825544cb1bdaa7dc981b1e25ec78351ca2e4342ca923fe99d5e8",
        "476b9b5e5a2acaaa181d4740e8828a269ce0e819ac6efcc91f9c772733e31aee",
    ]


def test_commitments_come_back_from_their_bytes(
    draw: Draw, made: dict[str, bytes], agreement: Agreement, shares: dict[str, bytes]
) -> None:
    commitments = Commitments.read(draw, made, agreement)
    assert {site: one.encode() for site, one in commitments.by_site.items()} == made
    assert commitments.seed(shares) == draw.seed(shares)


def test_commitments_are_one_of_each_site_for_this_draw(
    draw: Draw, made: dict[str, bytes], agreement: Agreement, identities: dict[str, Identity]
) -> None:
    three = Draw(charter=draw.charter, roster=NAMES[:3])
    elsewhere = three.commit("east", bytes(32), identities["east"].sign).encode()
    forged = draw.commit("east", bytes(32), identities["west"].sign).encode()
    for altered, refused in [
        ({site: made[site] for site in NAMES[:3]}, WrongCommitment),
        ({**made, "centre": made["east"]}, WrongCommitment),
        ({**made, "east": made["west"]}, WrongCommitment),
        ({**made, "east": elsewhere}, WrongCommitment),
        ({**made, "east": forged}, BadSignature),
        ({**made, "east": b""}, MalformedEnvelope),
    ]:
        with pytest.raises(refused):
            Commitments.read(draw, altered, agreement)


def test_only_the_shares_that_were_committed_to_give_a_seed(
    draw: Draw, made: dict[str, bytes], agreement: Agreement, shares: dict[str, bytes]
) -> None:
    commitments = Commitments.read(draw, made, agreement)
    for altered, refused in [
        ({**shares, "south": bytes(32)}, WrongShare),
        ({**shares, "south": shares["west"]}, WrongShare),
        ({site: shares[site] for site in NAMES[:3]}, WrongShare),
        ({**shares, "south": b""}, MalformedEnvelope),
    ]:
        with pytest.raises(refused):
            commitments.seed(altered)
    with pytest.raises(WrongShare):
        draw.seed({})


def test_commitments_to_other_shares_are_others_and_a_second_signature_changes_nothing(
    draw: Draw, made: dict[str, bytes], agreement: Agreement, identities: dict[str, Identity]
) -> None:
    """Who signs can make a second valid signature of the same: honest sites must still agree."""
    first = Commitments.read(draw, made, agreement)
    other = draw.commit("east", bytes(32), identities["east"].sign)
    assert replace(first, by_site={**first.by_site, "east": other}).digest != first.digest
    again = replace(first.by_site["east"], signature=bytes(64))
    assert replace(first, by_site={**first.by_site, "east": again}).digest == first.digest


def test_a_commitment_with_any_byte_flipped_cut_or_added_is_refused_by_type(
    draw: Draw, made: dict[str, bytes], agreement: Agreement
) -> None:
    sent = made["west"]
    flipped = [
        sent[:at] + bytes([sent[at] ^ 1 << at % 8]) + sent[at + 1 :] for at in range(len(sent))
    ]
    for data in (*flipped, *(sent[:end] for end in range(len(sent))), sent + b"\x00"):
        with pytest.raises(ConsortiumError):
            draw.read_commitment("west", data, agreement)
