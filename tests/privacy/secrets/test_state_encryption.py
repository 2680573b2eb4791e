from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.protocol.envelope import (
    MAX_STATE_BYTES,
    NO_STATE,
    SealedState,
    WrongCharter,
    WrongRound,
    WrongRun,
)
from privacy.secrets.key_exchange import NewEpoch
from privacy.secrets.keys import CannotOpen, RunKeys
from privacy.secrets.state_encryption import WrongState, open_state, seal_state


def test_rfc5297_aes_siv_appendix_a() -> None:
    """A.1 (one header) and A.2 (several) of the RFC, then OpenSSL's A.1 with a 512-bit key."""
    long_key = (
        "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
        "f0f1f2f3f4f5f6f7f8f9fafbfcfdfefffffefdfcfbfaf9f8f7f6f5f4f3f2f1f0"
    )
    for key, headers, plain, sealed in [
        (
            "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            ["101112131415161718191a1b1c1d1e1f2021222324252627"],
            "112233445566778899aabbccddee",
            "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c",
        ),
        (
            "7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f",
            [
                "00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100",
                "102030405060708090a0",
                "09f911029d74e35bd84156c5635688c0",
            ],
            "7468697320697320736f6d6520706c61696e7465787420746f20656e6372797074207573696e6720534956"
            "2d414553",
            "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17dba77ceb094fa663b7a3f7"
            "48ba8af829ea64ad544a272e9c485b62a3fd5c0d",
        ),
        (
            long_key,
            ["101112131415161718191a1b1c1d1e1f2021222324252627"],
            "112233445566778899aabbccddee",
            "724dfb2eaf94dbb19b0ba3a299a0801ef3b05a55498ec2552690b89810e4",
        ),
    ]:
        cipher = AESSIV(bytes.fromhex(key))
        associated = [bytes.fromhex(header) for header in headers]
        assert cipher.encrypt(bytes.fromhex(plain), associated).hex() == sealed
        assert cipher.decrypt(bytes.fromhex(sealed), associated).hex() == plain


@settings(max_examples=50)
@given(state=st.binary(max_size=300), server_round=st.integers(0, 2**31 - 1))
def test_a_state_opens_to_what_was_sealed_and_seals_to_the_same_bytes(
    keys: RunKeys, state: bytes, server_round: int
) -> None:
    sealed = seal_state(state, keys=keys, server_round=server_round, previous=NO_STATE)
    again = seal_state(state, keys=keys, server_round=server_round, previous=NO_STATE)
    assert sealed.encode() == again.encode()
    came = SealedState.decode(sealed.encode())
    assert open_state(came, keys=keys, server_round=server_round, digest=sealed.digest) == state


def test_another_context_gives_other_bytes(keys: RunKeys, epoch: NewEpoch) -> None:
    other_run = epoch.secret.run_keys(charter=keys.charter, run="other")
    bodies = {
        seal_state(b"state", keys=keys, server_round=1, previous=NO_STATE).body,
        seal_state(b"state", keys=keys, server_round=2, previous=NO_STATE).body,
        seal_state(b"state", keys=keys, server_round=1, previous=b"1" * 32).body,
        seal_state(b"state", keys=other_run, server_round=1, previous=NO_STATE).body,
    }
    assert len(bodies) == 4


def test_a_state_out_of_place_is_refused_by_what_differs(keys: RunKeys, epoch: NewEpoch) -> None:
    sealed = seal_state(b"state", keys=keys, server_round=3, previous=NO_STATE)
    right = {"keys": keys, "server_round": 3, "digest": sealed.digest}
    other_charter = epoch.secret.run_keys(charter=bytes(32), run=keys.run)
    other_run = epoch.secret.run_keys(charter=keys.charter, run="other")
    for change, refusal in (
        ({"keys": other_charter}, WrongCharter),
        ({"keys": other_run}, WrongRun),
        ({"server_round": 2}, WrongRound),
        ({"digest": NO_STATE}, WrongState),
    ):
        with pytest.raises(refusal):
            open_state(sealed, **{**right, **change})  # type: ignore[arg-type]


def test_a_signed_digest_does_not_make_a_state_open(keys: RunKeys) -> None:
    """A bribed majority signs anything, but only what our keys sealed can be opened."""
    sealed = seal_state(b"state", keys=keys, server_round=3, previous=NO_STATE)
    context = replace(sealed.context, previous=b"1" * 32)
    for forged in (
        replace(sealed, body=bytes([sealed.body[0] ^ 1]) + sealed.body[1:]),
        replace(sealed, body=sealed.body[:-1]),
        replace(sealed, body=sealed.body + b"0"),
        replace(sealed, context=context),
    ):
        with pytest.raises(CannotOpen):
            open_state(forged, keys=keys, server_round=3, digest=forged.digest)


def test_a_state_that_is_too_long_is_refused_before_it_is_sealed(keys: RunKeys) -> None:
    class Endless(bytes):
        def __len__(self) -> int:
            return MAX_STATE_BYTES

    with pytest.raises(MalformedEnvelope):
        seal_state(Endless(), keys=keys, server_round=0, previous=NO_STATE)
