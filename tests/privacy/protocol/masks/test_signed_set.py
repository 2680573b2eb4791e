"""What a coordinator signs when it asks for confirmation of a set."""

import pytest

from privacy.identity.log_signing_key import SigningKey
from privacy.identity.public_identity import BadSignature
from privacy.protocol.masks.signed_set import SignedSet

KEY = SigningKey(bytes(range(32)))
ASKED = SignedSet(charter=bytes(32), set_digest=b"d" * 32)


def test_a_signature_is_of_one_set_under_one_charter() -> None:
    signature = ASKED.sign(KEY.sign)
    ASKED.verify(KEY.public, signature)
    others = (
        SignedSet(charter=b"c" * 32, set_digest=b"d" * 32),
        SignedSet(charter=bytes(32), set_digest=b"e" * 32),
    )
    for other in others:
        with pytest.raises(BadSignature):
            other.verify(KEY.public, signature)
    with pytest.raises(BadSignature):
        ASKED.verify(SigningKey(bytes(32)).public, signature)
    with pytest.raises(BadSignature):
        ASKED.verify(KEY.public, b"")
