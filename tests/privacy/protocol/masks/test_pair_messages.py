"""Keys and ciphertexts of pairs are signed, and their list is part of the run id."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from privacy.canonical import MAX_NAMES, MalformedEnvelope
from privacy.identity.public_identity import Agreement, BadSignature
from privacy.protocol.masks.pair_messages import (
    MAX_PAIR_CIPHERTEXT_BYTES,
    MAX_PAIR_KEY_BYTES,
    PAIR_CIPHERTEXT_SIZE,
    PAIR_KEY_SIZE,
    SUITE_NAME,
    SUITES,
    ForeignPairSecret,
    PairCiphertext,
    PairKey,
    PairTerms,
    TwoPairSecrets,
    UnusablePairKey,
    WrongPairKeys,
    check_pair_keys,
    decode_ciphertexts,
    decode_pair_keys,
    join_ciphertexts,
    join_pair_keys,
    key_list_digest,
    masked_descriptor,
)
from privacy.secrets.keys import Identity
from privacy.secrets.masks.pair_keys import PairPrivateKey, sign_pair_key

NAMES = ("east", "north", "south", "west")
CHARTER = b"\x01" * 32
TERMS = PairTerms(
    charter=CHARTER, run="run-1", key_list=b"\x02" * 32, sender="east", recipient="north"
)

Keys = Mapping[str, PairKey]


@pytest.fixture(scope="module")
def keys(identities: dict[str, Identity]) -> Keys:
    """A key of each site."""
    return {
        name: sign_pair_key(
            PairPrivateKey.generate(), identity=identity, charter=CHARTER, suite=SUITE_NAME
        )
        for name, identity in identities.items()
    }


@pytest.fixture(scope="module")
def signed(identities: dict[str, Identity]) -> Callable[..., PairCiphertext]:
    """A ciphertext of east for north, right in every respect unless said otherwise."""

    def build(*, signer: str = "east", fill: int = 7, **changes: Any) -> PairCiphertext:
        terms = replace(TERMS, **changes)
        ciphertext = bytes([fill]) * PAIR_CIPHERTEXT_SIZE
        body = PairCiphertext.body_of(terms=terms, ciphertext=ciphertext)
        signature = identities[signer].sign(body)
        return PairCiphertext(terms=terms, ciphertext=ciphertext, signature=signature)

    return build


# --- the list of keys ------------------------------------------------------------------------


def check(keys: Keys, agreement: Agreement) -> None:
    check_pair_keys(keys, agreement=agreement, roster=NAMES, suite=SUITE_NAME)


def test_a_list_of_keys_is_read_as_it_was_written(keys: Keys, agreement: Agreement) -> None:
    encoded = join_pair_keys(keys)
    assert decode_pair_keys(encoded) == keys
    assert all(len(key.encode()) <= MAX_PAIR_KEY_BYTES for key in keys.values())
    assert SUITE_NAME in SUITES
    check(decode_pair_keys(encoded), agreement)
    with pytest.raises(MalformedEnvelope):
        decode_pair_keys(encoded[:-1])


def test_a_key_in_the_place_of_another_site_is_refused(keys: Keys) -> None:
    swapped = {**keys, "east": keys["north"], "north": keys["east"]}
    with pytest.raises(MalformedEnvelope, match="place of another site"):
        decode_pair_keys(join_pair_keys(swapped))


def test_a_list_without_a_site_or_with_another_one_is_refused(
    keys: Keys, agreement: Agreement
) -> None:
    fewer = {name: key for name, key in keys.items() if name != "south"}
    with pytest.raises(WrongPairKeys, match="south are missing") as refused:
        check(fewer, agreement)
    assert refused.value.counts == {"needed": 4, "came": 3}
    with pytest.raises(WrongPairKeys, match="got 4"):
        check_pair_keys(keys, agreement=agreement, roster=NAMES[:3], suite=SUITE_NAME)


def test_a_key_for_another_charter_suite_or_site_is_refused(
    keys: Keys, agreement: Agreement, identities: dict[str, Identity]
) -> None:
    private, east = PairPrivateKey.generate(), identities["east"]
    for wrong in (
        sign_pair_key(private, identity=east, charter=b"\x09" * 32, suite=SUITE_NAME),
        sign_pair_key(private, identity=east, charter=CHARTER, suite="x25519"),
        sign_pair_key(private, identity=identities["north"], charter=CHARTER, suite=SUITE_NAME),
    ):
        with pytest.raises(WrongPairKeys, match="another site, charter or suite"):
            check({**keys, "east": wrong}, agreement)


def test_a_key_that_its_site_did_not_sign_is_refused(
    keys: Keys, agreement: Agreement, identities: dict[str, Identity]
) -> None:
    """The coordinator would hold the private half of it."""
    foreign = sign_pair_key(
        PairPrivateKey.generate(), identity=identities["west"], charter=CHARTER, suite=SUITE_NAME
    )
    forged = replace(keys["east"], key=foreign.key)
    relabelled = replace(foreign, site="east")
    for wrong in (forged, relabelled):
        with pytest.raises(BadSignature, match="east"):
            check({**keys, "east": wrong}, agreement)


def test_a_copied_key_is_refused(
    keys: Keys, agreement: Agreement, identities: dict[str, Identity]
) -> None:
    body = {"charter": CHARTER, "suite": SUITE_NAME, "site": "east", "key": keys["north"].key}
    copied = replace(keys["east"], key=keys["north"].key)
    copied = replace(copied, signature=identities["east"].sign(PairKey.body_of(**body)))
    with pytest.raises(WrongPairKeys, match="copied"):
        check({**keys, "east": copied}, agreement)


@pytest.mark.parametrize("key", [b"\xff" * PAIR_KEY_SIZE, bytes(PAIR_KEY_SIZE)])
def test_nothing_is_sealed_to_a_key_that_is_none(keys: Keys, key: bytes) -> None:
    """The first one is no key of ML-KEM, the second one has an X25519 half of small order."""
    with pytest.raises(UnusablePairKey, match="east"):
        replace(keys["east"], key=key).seal(b"secret", context=b"")


def test_another_list_is_another_run(keys: Keys, identities: dict[str, Identity]) -> None:
    """Two sites that were shown two lists are in two runs, and their masks never meet."""
    other = sign_pair_key(
        PairPrivateKey.generate(), identity=identities["east"], charter=CHARTER, suite=SUITE_NAME
    )
    lists = [join_pair_keys(keys), join_pair_keys({**keys, "east": other})]
    plain = b"\x03" * 32
    seen = {masked_descriptor(plain, key_list_digest(one)) for one in lists}
    assert len(seen | {plain, masked_descriptor(b"\x04" * 32, key_list_digest(lists[0]))}) == 4


# --- ciphertexts -----------------------------------------------------------------------------


def test_ciphertexts_are_read_as_they_were_written(signed: Callable[..., PairCiphertext]) -> None:
    sent = [signed(recipient=name) for name in ("west", "north", "south")]
    read = decode_ciphertexts(join_ciphertexts(sent))
    assert [one.terms.recipient for one in read] == ["north", "south", "west"]
    assert set(read) == set(sent)
    assert decode_ciphertexts(join_ciphertexts([])) == ()
    longest = "x" * 128
    largest = signed(run=longest, sender="a" * 128, recipient=longest)
    assert len(largest.encode()) <= MAX_PAIR_CIPHERTEXT_BYTES


def test_two_ciphertexts_for_one_place_are_not_joined(
    signed: Callable[..., PairCiphertext],
) -> None:
    with pytest.raises(MalformedEnvelope, match="one for each place"):
        join_ciphertexts([signed(), signed(fill=8)])
    with pytest.raises(MalformedEnvelope, match="number of pair ciphertexts"):
        join_ciphertexts([signed()] * (MAX_NAMES + 1))


def test_other_bytes_are_refused(signed: Callable[..., PairCiphertext]) -> None:
    encoded = join_ciphertexts([signed(), signed(recipient="south")])
    size = (len(encoded) - len(join_ciphertexts([]))) // 2
    head = encoded[: -2 * size]
    swapped = head + encoded[-size:] + encoded[-2 * size : -size]
    many = join_ciphertexts([])[:-8] + (MAX_NAMES + 1).to_bytes(8, "big")
    for wrong in (encoded[:-1], encoded + b"\0", swapped, many, b""):
        with pytest.raises(MalformedEnvelope):
            decode_ciphertexts(wrong)


def test_the_sender_comes_first_in_the_alphabet() -> None:
    """So each pair has one place, and one sender."""
    for recipient in ("east", "central"):
        with pytest.raises(MalformedEnvelope, match="before its recipient"):
            replace(TERMS, recipient=recipient)


def test_a_replayed_foreign_or_unsigned_ciphertext_is_refused_and_the_coordinator_is_named(
    signed: Callable[..., PairCiphertext], identities: dict[str, Identity]
) -> None:
    sender = identities["east"].public
    signed().require(TERMS, sender)
    for wrong in (
        signed(run="run-2"),
        signed(key_list=b"\x08" * 32),
        signed(charter=b"\x08" * 32),
        signed(recipient="south"),
        signed(sender="central"),
        signed(signer="west"),  # as of the coordinator itself
        replace(signed(), ciphertext=bytes(PAIR_CIPHERTEXT_SIZE)),
    ):
        with pytest.raises(ForeignPairSecret, match="east"):
            wrong.require(TERMS, sender)


def test_two_ciphertexts_of_one_sender_are_proof_against_it(
    signed: Callable[..., PairCiphertext],
) -> None:
    kept = signed()
    kept.require_same(signed())
    kept.require_same(replace(signed(), signature=bytes(64)))  # same content, signed anew
    with pytest.raises(TwoPairSecrets, match="east signed two"):
        kept.require_same(signed(fill=8))
