"""What a coordinator signs when it asks for confirmation: one set of uploads and its sums.

Two signed sets for one place in a run prove that it asked for both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from privacy.identity.public_identity import require_signature
from privacy.protocol.records import Record, fixed_bytes


@dataclass(frozen=True, kw_only=True)
class SignedSet(Record, tag=b"consortium.signed-set/1\n"):
    """What the coordinator's signature of a request for confirmation covers.

    Args:
        charter: Fingerprint of the charter, 32 bytes.
        set_digest: D, the digest of the set and its sums.
    """

    charter: Annotated[bytes, fixed_bytes("the fingerprint of a charter")]
    set_digest: Annotated[bytes, fixed_bytes("the digest of a set")]

    def sign(self, sign: Callable[[bytes], bytes]) -> bytes:
        """Return the signature; `sign` is that of the coordinator's key."""
        return sign(self.encode())

    def verify(self, key: bytes, signature: bytes) -> None:
        """Check that the coordinator asked for confirmation of exactly this set.

        Args:
            key: The coordinator's Ed25519 public key from the charter, 32 bytes.
            signature: 64 bytes.

        Raises:
            BadSignature: It did not.
        """
        otherwise = (
            "the coordinator that the charter names did not ask for confirmation of this set"
        )
        require_signature(key, self.encode(), signature, otherwise=otherwise)
