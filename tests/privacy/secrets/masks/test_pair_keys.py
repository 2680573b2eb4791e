"""A pair key opens what was sealed to it, under the same context, and nothing else."""

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.protocol.masks.pair_messages import (
    PAIR_CIPHERTEXT_SIZE,
    PAIR_KEY_SIZE,
    SUITE_NAME,
    PairKey,
)
from privacy.secrets.keys import CannotOpen, Identity, SecretStays
from privacy.secrets.masks.pair_keys import PairPrivateKey, sign_pair_key

PRIVATE = PairPrivateKey.generate()
EAST = Identity.generate("east")


def published(private: PairPrivateKey) -> PairKey:
    return sign_pair_key(private, identity=EAST, charter=b"\x01" * 32, suite=SUITE_NAME)


def test_a_key_opens_what_was_sealed_to_it() -> None:
    key = published(PRIVATE)
    key.verify(EAST.public)
    sealed = key.seal(b"s" * 32, context=b"here")
    assert (len(key.key), len(sealed)) == (PAIR_KEY_SIZE, PAIR_CIPHERTEXT_SIZE)
    assert PRIVATE.open(sealed, context=b"here") == b"s" * 32
    assert key.seal(b"s" * 32, context=b"here") != sealed


def test_another_key_or_context_opens_nothing() -> None:
    sealed = published(PRIVATE).seal(b"s" * 32, context=b"here")
    for private, context in ((PairPrivateKey.generate(), b"here"), (PRIVATE, b"there")):
        with pytest.raises(CannotOpen):
            private.open(sealed, context=context)


@settings(max_examples=40)
@given(place=st.integers(0, PAIR_CIPHERTEXT_SIZE - 1), change=st.integers(1, 255))
def test_altered_bytes_do_not_open(place: int, change: int) -> None:
    """The tag covers both encapsulations: neither can be exchanged on its way."""
    sealed = bytearray(published(PRIVATE).seal(b"s" * 32, context=b"here"))
    sealed[place] ^= change
    with pytest.raises(CannotOpen):
        PRIVATE.open(bytes(sealed), context=b"here")


@pytest.mark.parametrize("size", [0, 10, PAIR_CIPHERTEXT_SIZE - 1])
def test_bytes_that_are_no_ciphertext_do_not_open(size: int) -> None:
    with pytest.raises(CannotOpen):
        PRIVATE.open(bytes(size), context=b"")


def test_a_key_survives_its_material() -> None:
    again = PairPrivateKey(PRIVATE.material())
    assert again.public == PRIVATE.public
    sealed = published(PRIVATE).seal(b"s" * 32, context=b"")
    assert again.open(sealed, context=b"") == b"s" * 32
    for wrong in (b"", PRIVATE.material()[:-1], PRIVATE.material() + b"\0"):
        with pytest.raises(MalformedEnvelope):
            PairPrivateKey(wrong)


def test_each_key_is_fresh_in_both_halves() -> None:
    one, other = PairPrivateKey.generate().public, PairPrivateKey.generate().public
    assert one[:-32] != other[:-32]
    assert one[-32:] != other[-32:]


def test_a_private_key_is_not_printed_copied_or_pickled() -> None:
    assert repr(PRIVATE) == "PairPrivateKey()"
    for escape in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(SecretStays):
            escape(PRIVATE)
