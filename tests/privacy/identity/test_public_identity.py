import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from privacy.canonical import MalformedEnvelope
from privacy.identity.public_identity import (
    _SMALL_ORDER,
    Agreement,
    BadAgreement,
    BadIdentity,
    BadSignature,
    NotAMember,
    PublicIdentity,
)
from privacy.secrets.keys import Identity


def test_a_description_survives_json_and_has_one_form(identities: dict[str, Identity]) -> None:
    public = identities["east"].public
    assert PublicIdentity.from_description(json.loads(json.dumps(public.describe()))) == public


@pytest.mark.parametrize(
    "change",
    [
        {"signing": None},
        {"signing": "00" * 31},
        {"receiving": "zz" * 32},
        {"signing": "AB" * 32},
        {"signing": " " * 64},
        {"more": "x"},
        {"name": 7},
    ],
)
def test_what_is_no_description_is_refused(
    identities: dict[str, Identity], change: dict[str, Any]
) -> None:
    with pytest.raises(BadIdentity):
        PublicIdentity.from_description({**identities["east"].public.describe(), **change})
    with pytest.raises(BadIdentity):
        PublicIdentity.from_description("east")


def test_the_fingerprint_covers_the_name_and_both_keys(identities: dict[str, Identity]) -> None:
    east, west = identities["east"].public, identities["west"].public
    variants = [
        east,
        PublicIdentity(name="west", signing=east.signing, receiving=east.receiving),
        PublicIdentity(name="east", signing=west.signing, receiving=east.receiving),
        PublicIdentity(name="east", signing=east.signing, receiving=west.receiving),
    ]
    assert len({variant.fingerprint for variant in variants}) == len(variants)


def test_a_signature_is_of_one_member_over_one_message(identities: dict[str, Identity]) -> None:
    east, west = identities["east"], identities["west"].public
    signature = east.sign(b"message")
    east.public.verify(b"message", signature)
    for member, message, wrong in [
        (west, b"message", signature),
        (east.public, b"massage", signature),
        (east.public, b"message", signature[:-1]),
        (east.public, b"message", b""),
        (east.public, b"message", bytes(64)),
    ]:
        with pytest.raises(BadSignature, match=member.name):
            member.verify(message, wrong)


@pytest.mark.parametrize("sign_bit", [0, 1])
@pytest.mark.parametrize("y", sorted(_SMALL_ORDER))
def test_a_signing_key_under_which_anybody_can_sign_is_refused(
    identities: dict[str, Identity], y: int, sign_bit: int
) -> None:
    encoded = (y + sign_bit * 2**255).to_bytes(32, "little")
    with pytest.raises(BadIdentity, match="anybody could sign"):
        PublicIdentity(name="east", signing=encoded, receiving=identities["east"].public.receiving)


def test_the_refused_signing_keys_are_those_that_can_be_forged() -> None:
    """With R neutral and S zero, a signature holds wherever the key times h vanishes."""
    forged = bytes([1]) + bytes(63)
    for y in _SMALL_ORDER - {2**255 - 19, 2**255 - 18}:  # those two are other spellings of 0 and 1
        key = Ed25519PublicKey.from_public_bytes(y.to_bytes(32, "little"))
        assert any(_verifies(key, forged, str(trial).encode()) for trial in range(200))


def test_wycheproof_null_receiving_keys_are_refused(identities: dict[str, Identity]) -> None:
    """Wycheproof's x25519 low-order points: 0, 1, p - 1, p, p + 1 and the two of order 8."""
    p = 2**255 - 19
    order_8 = [
        0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
        0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
    ]
    for point in [0, 1, p - 1, p, p + 1, *order_8]:
        with pytest.raises(BadIdentity, match="anybody could open"):
            PublicIdentity(
                name="east",
                signing=identities["east"].public.signing,
                receiving=point.to_bytes(32, "little"),
            )


@pytest.mark.parametrize("key", [b"", b"1" * 31, b"1" * 33, bytearray(32)])
def test_a_key_of_another_length_is_refused(identities: dict[str, Identity], key: bytes) -> None:
    with pytest.raises(BadIdentity):
        PublicIdentity(name="east", signing=key, receiving=identities["east"].public.receiving)
    with pytest.raises(MalformedEnvelope):
        PublicIdentity(name="East", signing=b"2" * 32, receiving=b"2" * 32)


def test_an_agreement_knows_its_members(agreement: Agreement) -> None:
    assert agreement.member("west").name == "west"
    assert set(agreement.roster(("west", "east"))) == {"west", "east"}
    with pytest.raises(NotAMember, match="moon"):
        agreement.member("moon")
    with pytest.raises(NotAMember, match="moon"):
        agreement.roster(("west", "moon"))


def test_an_agreement_that_contradicts_itself_does_not_construct(
    identities: dict[str, Identity],
) -> None:
    members = tuple(identity.public for identity in identities.values())
    east, north, *_ = members
    same_name = PublicIdentity(name="north", signing=east.signing, receiving=east.receiving)
    same_signing = PublicIdentity(name="a", signing=east.signing, receiving=north.receiving)
    same_receiving = PublicIdentity(name="a", signing=north.signing, receiving=east.receiving)
    good: dict[str, Any] = {
        "charter": bytes(32),
        "members": members,
        "openers": ("east",),
        "min_others": 3,
    }
    Agreement(**good)
    for change in (
        {"openers": ()},
        {"openers": ("moon",)},
        {"min_others": 4},
        {"members": ()},
        {"members": (*members[1:], same_name)},
        {"members": (east, *members[2:], same_signing)},
        {"members": (east, *members[2:], same_receiving)},
    ):
        with pytest.raises(BadAgreement):
            Agreement(**{**good, **change})
    for out_of_range in ({"charter": b""}, {"min_others": 0}):
        with pytest.raises(MalformedEnvelope):
            Agreement(**{**good, **out_of_range})


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
