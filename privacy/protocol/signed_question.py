"""What a coordinator signs of a question: the digests of all that it shows to the sites.

A site keeps the signature with the digests. Whoever has the uploads can recompute the sums later,
and prove with the signature that the sites were shown others.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from privacy import canonical
from privacy.identity.public_identity import require_signature
from privacy.protocol.envelope import MAX_ATTEMPTS, MAX_ROUND
from privacy.protocol.part_digests import sha256_of

# The parts of a question, in the order in which their digests are signed.
PARTS = ("opening", "receipts", "sums", "state", "count-receipts", "count-sum")
# The questions of masked runs have one more.
MASKED_PARTS = (*PARTS, "masks")

_TAG = b"consortium.signed-question/1\n"
_MASKED_TAG = b"consortium.signed-masked-question/1\n"


@dataclass(frozen=True, kw_only=True)
class QuestionDigests:
    """What the coordinator's signature of a question covers.

    Args:
        charter: Fingerprint of the charter, 32 bytes.
        server_round: The round that is asked for; 0 for the statistics.
        attempt: The attempt at it, from 1.
        parts: SHA-256 of each of `PARTS`, or of `MASKED_PARTS` in a masked run, in their order;
            an absent part is empty bytes.
    """

    charter: bytes
    server_round: int
    attempt: int
    parts: tuple[bytes, ...]

    def __post_init__(self) -> None:
        canonical.require_digest("the fingerprint of a charter", self.charter)
        canonical.require_number("a round", self.server_round, high=MAX_ROUND)
        canonical.require_number("an attempt", self.attempt, low=1, high=MAX_ATTEMPTS)
        canonical.require_number(
            "digests of parts", len(self.parts), low=len(PARTS), high=len(MASKED_PARTS)
        )
        for part in self.parts:
            canonical.require_digest("the digest of a part", part)

    @classmethod
    def of(
        cls, charter: str, server_round: int, attempt: int, parts: Iterable[bytes]
    ) -> "QuestionDigests":
        """Return the digests of a question.

        Args:
            charter: Fingerprint of the charter, hexadecimal.
            server_round: The round that is asked for.
            attempt: The attempt at it.
            parts: The bytes of each of `PARTS`, or of `MASKED_PARTS`, in their order.

        Raises:
            MalformedEnvelope: The charter is no fingerprint, or a number is out of range.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", charter):
            raise canonical.MalformedEnvelope("a fingerprint must be 64 hexadecimal digits")
        return cls(
            charter=bytes.fromhex(charter),
            server_round=server_round,
            attempt=attempt,
            parts=tuple(sha256_of(part) for part in parts),
        )

    @property
    def named(self) -> dict[str, bytes]:
        """The digests of the parts by their names."""
        return dict(zip(MASKED_PARTS, self.parts, strict=False))

    def encode(self) -> bytes:
        """Return the canonical bytes, which are signed."""
        numbers = canonical.number(self.server_round) + canonical.number(self.attempt)
        tag = _MASKED_TAG if len(self.parts) == len(MASKED_PARTS) else _TAG
        return tag + self.charter + numbers + b"".join(self.parts)

    def sign(self, sign: Callable[[bytes], bytes]) -> bytes:
        """Return the signature; `sign` is that of the coordinator's key."""
        return sign(self.encode())

    def verify(self, key: bytes, signature: bytes) -> None:
        """Check that the coordinator signed exactly this question.

        Args:
            key: The coordinator's Ed25519 public key from the charter, 32 bytes.
            signature: 64 bytes.

        Raises:
            BadSignature: It did not.
        """
        otherwise = "the coordinator that the charter names did not sign this question"
        require_signature(key, self.encode(), signature, otherwise=otherwise)
