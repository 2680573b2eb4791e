"""What a hub signs: of which signed uploads a sum is that it passes on, and that it is a hub.

A hub adds the uploads of its members and passes on the sum, and each member's receipt. Addition is
deterministic and the receipts fix the uploads, so whoever has these can tell whether the hub added
as it signed.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from privacy import canonical
from privacy.identity.public_identity import require_signature
from privacy.protocol.envelope import MAX_BUCKETS, MAX_ENVELOPE_BYTES, Receipt, Slot
from privacy.protocol.records import (
    Record,
    SignedRecord,
    fixed_bytes,
    inner,
    name,
    names,
    number,
)

Sign: TypeAlias = Callable[[bytes], bytes]

_RECEIPTS_TAG = b"consortium.hub-receipts/1\n"


@dataclass(frozen=True, kw_only=True)
class HubPresence(Record, tag=b"consortium.hub-presence/1\n"):
    """What a hub signs to prove that a node is its own, as a site does with `Presence`.

    Args:
        charter: Fingerprint of the charter.
        node: Flower's numbers of the run and the node, as text.
        challenge: The coordinator's challenge.
        hub: The hub's name.
    """

    charter: Annotated[bytes, fixed_bytes("the fingerprint of a charter")]
    node: Annotated[str, name("a node")]
    challenge: Annotated[bytes, fixed_bytes("a challenge")]
    hub: Annotated[str, name("a hub")]

    @classmethod
    def at(cls, *, charter: str, run: int, node: int, challenge: bytes, hub: str) -> "HubPresence":
        """Return the statement of a hub at Flower's node of a run."""
        return cls(
            charter=bytes.fromhex(charter),
            node=f"run{run}.node{node}",
            challenge=challenge,
            hub=hub,
        )


@dataclass(frozen=True, kw_only=True)
class HubSum(SignedRecord, tag=b"consortium.hub-sum/1\n"):
    """A hub's signed statement that a sum is that of the uploads which these receipts sign.

    Args:
        charter: Fingerprint of the charter.
        hub: The hub's name.
        slot: The slot that every upload fills.
        bucket: The bucket of their sites.
        sites: The sites, sorted.
        receipts: Digest of their receipts, from `receipts_digest`.
        summed: SHA-256 of the sum.
    """

    charter: Annotated[bytes, fixed_bytes("the fingerprint of a charter")]
    hub: Annotated[str, name("a hub")]
    slot: Annotated[Slot, inner(Slot, at_most=MAX_ENVELOPE_BYTES)]
    bucket: Annotated[int, number("a bucket", high=MAX_BUCKETS - 1)]
    sites: Annotated[tuple[str, ...], names("the sites of a sum")]
    receipts: Annotated[bytes, fixed_bytes("the digest of receipts")]
    summed: Annotated[bytes, fixed_bytes("the digest of a sum")]

    @classmethod
    def sign(
        cls, receipts: Sequence[Receipt], summed: bytes, *, charter: bytes, hub: str, sign: Sign
    ) -> "HubSum":
        """Return the statement of a sum; `sign` is that of the hub's key.

        Args:
            receipts: Of the summed uploads, all of one slot and bucket.
            summed: The sum.
            charter: Fingerprint of the charter.
            hub: The hub's name.
            sign: Returns an Ed25519 signature.
        """
        label = receipts[0].label
        sites = tuple(sorted(receipt.label.site for receipt in receipts))
        told, digest = receipts_digest(receipts), hashlib.sha256(summed).digest()
        body = cls.body_of(
            charter=charter,
            hub=hub,
            slot=label.slot,
            bucket=label.bucket,
            sites=sites,
            receipts=told,
            summed=digest,
        )
        return cls(
            charter=charter,
            hub=hub,
            slot=label.slot,
            bucket=label.bucket,
            sites=sites,
            receipts=told,
            summed=digest,
            signature=sign(body),
        )

    def require_signed(self, key: bytes) -> None:
        """Check that the hub signed this; `key` is its Ed25519 public key, 32 bytes.

        Raises:
            BadSignature: It did not.
        """
        require_hub_signature(key, self.body, self.signature)


def receipts_digest(receipts: Sequence[Receipt]) -> bytes:
    """Return the SHA-256 of receipts, in the order of their sites' names."""
    digest = hashlib.sha256(_RECEIPTS_TAG + canonical.number(len(receipts)))
    for receipt in sorted(receipts, key=lambda one: one.label.site):
        digest.update(canonical.blob(receipt.encode()))
    return digest.digest()


def require_hub_signature(key: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature of a hub.

    Raises:
        BadSignature: It is not valid.
    """
    otherwise = "this was not signed by the hub that the charter names"
    require_signature(key, message, signature, otherwise=otherwise)
