"""Two sites agree on a secret through a coordinator that can neither read nor replace it."""

import copy
import pickle
from collections.abc import Mapping
from dataclasses import replace

import pytest

from privacy.canonical import MalformedEnvelope
from privacy.protocol.masks.pair_messages import (
    SUITE_NAME,
    ForeignPairSecret,
    PairCiphertext,
    PairKey,
    PairTerms,
    UnreadablePairSecret,
    UnusablePairKey,
)
from privacy.secrets.keys import Identity, SecretStays
from privacy.secrets.masks.pair_keys import PairPrivateKey, sign_pair_key
from privacy.secrets.masks.pair_secrets import (
    PairSecret,
    _derived,
    accept_pair_secret,
    make_pair_secret,
)

CHARTER = b"\x01" * 32
TERMS = PairTerms(
    charter=CHARTER, run="run-1", key_list=b"\x02" * 32, sender="east", recipient="north"
)
PRIVATE = PairPrivateKey.generate()


@pytest.fixture(scope="module")
def key(identities: Mapping[str, Identity]) -> PairKey:
    """The key of north."""
    north = identities["north"]
    return sign_pair_key(PRIVATE, identity=north, charter=CHARTER, suite=SUITE_NAME)


def test_both_sites_of_a_pair_have_one_secret(
    identities: Mapping[str, Identity], key: PairKey
) -> None:
    east = identities["east"]
    sent, made = make_pair_secret(TERMS, key, identity=east)
    again = PairCiphertext.decode(sent.encode())
    accepted = accept_pair_secret(again, PRIVATE, terms=TERMS, sender=east.public)
    assert accepted.material() == made.material()
    assert made.material() not in sent.encode()


def test_each_secret_is_fresh(identities: Mapping[str, Identity], key: PairKey) -> None:
    made = [make_pair_secret(TERMS, key, identity=identities["east"]) for _ in range(3)]
    assert len({secret.material() for _, secret in made}) == 3


def test_what_the_sender_did_not_sign_is_refused_before_it_is_opened(
    identities: Mapping[str, Identity], key: PairKey
) -> None:
    """The coordinator seals to north what it knows itself, in the name of east: it is named."""
    east, liar = identities["east"], identities["west"]
    by_the_coordinator, _ = make_pair_secret(TERMS, key, identity=liar)
    sent, _ = make_pair_secret(TERMS, key, identity=east)
    transplanted = replace(by_the_coordinator, signature=sent.signature)
    for forged in (by_the_coordinator, transplanted):
        with pytest.raises(ForeignPairSecret):
            accept_pair_secret(forged, PRIVATE, terms=TERMS, sender=east.public)


def test_a_ciphertext_of_another_run_is_refused(
    identities: Mapping[str, Identity], key: PairKey
) -> None:
    east = identities["east"]
    for other in (
        replace(TERMS, run="run-0"),
        replace(TERMS, key_list=b"\x09" * 32),
        replace(TERMS, charter=b"\x09" * 32),
        replace(TERMS, recipient="south"),
    ):
        replayed, _ = make_pair_secret(other, key, identity=east)
        with pytest.raises(ForeignPairSecret):
            accept_pair_secret(replayed, PRIVATE, terms=TERMS, sender=east.public)


def test_a_ciphertext_that_its_sender_signed_and_does_not_open_names_the_sender(
    identities: Mapping[str, Identity], key: PairKey
) -> None:
    east = identities["east"]
    sent, _ = make_pair_secret(TERMS, key, identity=east)
    garbage = bytes(len(sent.ciphertext))
    body = PairCiphertext.body_of(terms=TERMS, ciphertext=garbage)
    signed = replace(sent, ciphertext=garbage, signature=east.sign(body))
    with pytest.raises(UnreadablePairSecret, match="east signed"):
        accept_pair_secret(signed, PRIVATE, terms=TERMS, sender=east.public)
    other = PairPrivateKey.generate()
    with pytest.raises(UnreadablePairSecret):
        accept_pair_secret(sent, other, terms=TERMS, sender=east.public)


def test_a_key_to_which_nothing_can_be_sealed_names_its_owner(
    identities: Mapping[str, Identity], key: PairKey
) -> None:
    with pytest.raises(UnusablePairKey, match="north"):
        make_pair_secret(TERMS, replace(key, key=bytes(len(key.key))), identity=identities["east"])


def test_one_drawn_secret_in_two_places_is_two_pair_secrets() -> None:
    """Place and ciphertext enter the derivation: a sender cannot give two pairs one secret."""
    sent = PairCiphertext(terms=TERMS, ciphertext=bytes(1168), signature=bytes(64))
    others = [
        sent,
        replace(sent, ciphertext=b"\x01" + bytes(1167)),
        *(
            replace(sent, terms=replace(TERMS, **change))
            for change in (
                {"charter": b"\x03" * 32},
                {"run": "run-2"},
                {"key_list": b"\x03" * 32},
                {"sender": "central"},
                {"recipient": "south"},
            )
        ),
    ]
    assert len({_derived(b"r" * 32, one).material() for one in others}) == len(others)
    assert _derived(b"r" * 32, replace(sent, signature=b"\x01" * 64)).material() == (
        _derived(b"r" * 32, sent).material()
    )


def test_what_comes_from_a_secret_differs_for_each_use() -> None:
    secret, other = PairSecret(b"k" * 32), PairSecret(b"l" * 32)
    place, place_too = b"\x01" * 32, b"\x02" * 32
    made = [
        secret.seed(place, "east", "north"),
        secret.seed(place_too, "east", "north"),
        secret.seed(place, "east", "south"),
        other.seed(place, "east", "north"),
        secret.share_key("east", "north")[:32],
        secret.share_key("north", "east")[:32],
        secret.share_key("east", "south")[:32],
        other.share_key("east", "north")[:32],
        secret.material(),
    ]
    assert len(set(made)) == len(made)
    assert secret.seed(place, "north", "east") == secret.seed(place, "east", "north")


def test_a_pair_secret_is_not_printed_copied_or_pickled_and_survives_its_material() -> None:
    secret = PairSecret(b"k" * 32)
    assert repr(secret) == "PairSecret()"
    assert PairSecret(secret.material()).material() == secret.material()
    for escape in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(SecretStays):
            escape(secret)
    for wrong in (b"", b"k" * 31, b"k" * 33):
        with pytest.raises(MalformedEnvelope):
            PairSecret(wrong)
