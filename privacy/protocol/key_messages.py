"""Key messages: the wire forms in which keys travel through a coordinator that cannot read them.

They are parsed from untrusted bytes, with the same guarantee as in `envelope`. Whether an opening
or a delivery is the expected one is checked by `key_exchange`. Nothing here needs a secret.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from privacy import canonical
from privacy.canonical import DIGEST_SIZE, Reader
from privacy.identity.public_identity import SEAL_OVERHEAD, SIGNATURE_SIZE, PublicIdentity
from privacy.protocol.envelope import MAX_ENVELOPE_BYTES

MAX_WRAPPED_BYTES = 2**20
MAX_TERMS_BYTES = 2**18
LONGEST_LABEL = 128 - 1 - 2 * DIGEST_SIZE  # a run id, "label-digest", must be a name

_TERMS_TAG = b"consortium.opening-terms/1\n"
_OPENING_TAG = b"consortium.opening/1\n"
_DELIVERY_TERMS_TAG = b"consortium.delivery-terms/1\n"
_DELIVERY_TAG = b"consortium.delivery/1\n"
_SEALED_SECRET_SIZE = DIGEST_SIZE + SEAL_OVERHEAD


@dataclass(frozen=True, kw_only=True)
class OpeningTerms:
    """The terms of an opening: everything that its opener signs, except the wrapped key.

    Args:
        label: Name of the run for people, at most 63 characters.
        descriptor: Digest of the run descriptor (configuration, start, limits).
        charter: Fingerprint of the charter.
        epoch: Number of the epoch whose secret wraps the run's key.
        epoch_fingerprint: Commitment to that secret: of two sites with different secrets under
            one number, at most one goes on.
        opener: The member that opens the run.
        roster: The sites of the run, in alphabetical order.
        lineage: Run id of the first opening, if the run is opened again; else None.
        salt: 32 random bytes, so that no two openings are equal.
    """

    label: str
    descriptor: bytes
    charter: bytes
    epoch: int
    epoch_fingerprint: bytes
    opener: str
    roster: tuple[str, ...]
    lineage: str | None
    salt: bytes

    def __post_init__(self) -> None:
        canonical.require_name("the label of a run", self.label)
        if len(self.label) > LONGEST_LABEL:
            raise canonical.MalformedEnvelope(
                f"the label of a run must have at most {LONGEST_LABEL} characters",
                came=len(self.label),
            )
        canonical.require_digest("the digest of a run descriptor", self.descriptor)
        canonical.require_digest("the fingerprint of a charter", self.charter)
        canonical.require_number("an epoch", self.epoch, low=1)
        canonical.require_digest("the fingerprint of an epoch", self.epoch_fingerprint)
        canonical.require_name("the opener", self.opener)
        canonical.require_names("a roster", self.roster)
        canonical.require_names("a lineage", self._ancestors)
        canonical.require_digest("a salt", self.salt)

    def encode(self) -> bytes:
        """Return the canonical bytes: the associated data under which the run's key is wrapped."""
        return (
            _TERMS_TAG
            + canonical.text(self.label)
            + self.descriptor
            + self.charter
            + canonical.number(self.epoch)
            + self.epoch_fingerprint
            + canonical.text(self.opener)
            + canonical.names(self.roster)
            + canonical.names(self._ancestors)
            + self.salt
        )

    @classmethod
    def decode(cls, data: bytes) -> "OpeningTerms":
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        reader = Reader(data, tag=_TERMS_TAG)
        terms = cls(
            label=reader.text(),
            descriptor=reader.digest(),
            charter=reader.digest(),
            epoch=reader.number(),
            epoch_fingerprint=reader.digest(),
            opener=reader.text(),
            roster=reader.names(),
            lineage=_at_most_one(reader.names()),
            salt=reader.digest(),
        )
        reader.end()
        return terms

    @property
    def _ancestors(self) -> tuple[str, ...]:
        return () if self.lineage is None else (self.lineage,)


@dataclass(frozen=True, kw_only=True)
class Opening:
    """The opening of a run: its terms and its wrapped key, signed by the opener.

    Guarantee: `run` holds the digest of everything that was signed, so one run id names one
    opening.

    Args:
        terms: The terms.
        wrapped: The run's scheme secret, wrapped under the epoch secret and the terms.
        signature: Ed25519 signature by the opener.
    """

    terms: OpeningTerms
    wrapped: bytes = field(repr=False)
    signature: bytes

    def __post_init__(self) -> None:
        canonical.require_bytes("a wrapped key", self.wrapped, low=1, high=MAX_WRAPPED_BYTES)
        canonical.require_bytes(
            "a signature", self.signature, low=SIGNATURE_SIZE, high=SIGNATURE_SIZE
        )

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of everything that was signed."""
        return hashlib.sha256(opening_body(self.terms, self.wrapped)).digest()

    @property
    def run(self) -> str:
        """The run id: the label, a dash, and the digest in hexadecimal."""
        return f"{self.terms.label}-{self.digest.hex()}"

    def verify(self, opener: PublicIdentity) -> None:
        """Check that this member signed the opening.

        Raises:
            BadSignature: The signature is not valid.
        """
        opener.verify(opening_body(self.terms, self.wrapped), self.signature)

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return opening_body(self.terms, self.wrapped) + self.signature

    @classmethod
    def decode(cls, data: bytes) -> "Opening":
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        reader = Reader(data, tag=_OPENING_TAG)
        opening = cls(
            terms=OpeningTerms.decode(reader.blob(at_most=MAX_TERMS_BYTES)),
            wrapped=reader.blob(at_most=MAX_WRAPPED_BYTES),
            signature=reader.fixed_bytes(SIGNATURE_SIZE),
        )
        reader.end()
        return opening


@dataclass(frozen=True, kw_only=True)
class DeliveryTerms:
    """The terms of a delivery: who sends which epoch secret to whom, under which charter.

    Args:
        charter: Fingerprint of the charter.
        epoch: Number of the epoch.
        epoch_fingerprint: Commitment to the secret.
        maker: The member that made the secret.
        maker_fingerprint: Fingerprint of the maker's public identity.
        recipient: The member that receives it.
        recipient_fingerprint: Fingerprint of the recipient's public identity.
    """

    charter: bytes
    epoch: int
    epoch_fingerprint: bytes
    maker: str
    maker_fingerprint: bytes
    recipient: str
    recipient_fingerprint: bytes

    def __post_init__(self) -> None:
        canonical.require_digest("the fingerprint of a charter", self.charter)
        canonical.require_number("an epoch", self.epoch, low=1)
        canonical.require_digest("the fingerprint of an epoch", self.epoch_fingerprint)
        canonical.require_name("the maker", self.maker)
        canonical.require_digest("the maker's fingerprint", self.maker_fingerprint)
        canonical.require_name("the recipient", self.recipient)
        canonical.require_digest("the recipient's fingerprint", self.recipient_fingerprint)

    def encode(self) -> bytes:
        """Return the canonical bytes: the context under which the secret is sealed."""
        return (
            _DELIVERY_TERMS_TAG
            + self.charter
            + canonical.number(self.epoch)
            + self.epoch_fingerprint
            + canonical.text(self.maker)
            + self.maker_fingerprint
            + canonical.text(self.recipient)
            + self.recipient_fingerprint
        )

    @classmethod
    def decode(cls, data: bytes) -> "DeliveryTerms":
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        reader = Reader(data, tag=_DELIVERY_TERMS_TAG)
        terms = cls(
            charter=reader.digest(),
            epoch=reader.number(),
            epoch_fingerprint=reader.digest(),
            maker=reader.text(),
            maker_fingerprint=reader.digest(),
            recipient=reader.text(),
            recipient_fingerprint=reader.digest(),
        )
        reader.end()
        return terms


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An epoch secret, sealed to one member.

    Args:
        terms: Who sends it to whom.
        sealed: The secret, encrypted so that only the recipient can open it, under these terms.
        signature: Ed25519 signature by the maker.
    """

    terms: DeliveryTerms
    sealed: bytes
    signature: bytes

    def __post_init__(self) -> None:
        canonical.require_bytes(
            "a sealed secret", self.sealed, low=_SEALED_SECRET_SIZE, high=_SEALED_SECRET_SIZE
        )
        canonical.require_bytes(
            "a signature", self.signature, low=SIGNATURE_SIZE, high=SIGNATURE_SIZE
        )

    def verify(self, maker: PublicIdentity) -> None:
        """Check that this member signed the delivery.

        Raises:
            BadSignature: The signature is not valid.
        """
        maker.verify(delivery_body(self.terms, self.sealed), self.signature)

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return delivery_body(self.terms, self.sealed) + self.signature

    @classmethod
    def decode(cls, data: bytes) -> "Delivery":
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        reader = Reader(data, tag=_DELIVERY_TAG)
        delivery = cls(
            terms=DeliveryTerms.decode(reader.blob(at_most=MAX_ENVELOPE_BYTES)),
            sealed=reader.fixed_bytes(_SEALED_SECRET_SIZE),
            signature=reader.fixed_bytes(SIGNATURE_SIZE),
        )
        reader.end()
        return delivery


def opening_body(terms: OpeningTerms, wrapped: bytes) -> bytes:
    """Return the bytes that an opener signs."""
    return _OPENING_TAG + canonical.blob(terms.encode()) + canonical.blob(wrapped)


def delivery_body(terms: DeliveryTerms, sealed: bytes) -> bytes:
    """Return the bytes that the maker of an epoch secret signs."""
    return _DELIVERY_TAG + canonical.blob(terms.encode()) + sealed


def _at_most_one(names: tuple[str, ...]) -> str | None:
    if len(names) > 1:
        raise canonical.MalformedEnvelope(
            "an opening must have at most one lineage", came=len(names)
        )
    return names[0] if names else None
