"""Key messages: the wire forms in which keys travel through a coordinator that cannot read them.

They are parsed from untrusted bytes, with the same guarantee as in `envelope`. Whether an opening
or a delivery is the expected one is checked by `key_exchange`. Nothing here needs a secret.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from privacy import canonical
from privacy.canonical import DIGEST_SIZE
from privacy.identity.public_identity import SEAL_OVERHEAD
from privacy.protocol.envelope import MAX_ENVELOPE_BYTES
from privacy.protocol.records import (
    Form,
    Record,
    SignedRecord,
    blob,
    fixed_bytes,
    inner,
    name,
    names,
    number,
)

MAX_WRAPPED_BYTES = 2**20
MAX_TERMS_BYTES = 2**18
LONGEST_LABEL = 128 - 1 - 2 * DIGEST_SIZE  # a run id, "label-digest", must be a name


def _at_most_one(ancestors: tuple[str, ...]) -> str | None:
    if len(ancestors) > 1:
        raise canonical.MalformedEnvelope(
            "an opening must have at most one lineage", came=len(ancestors)
        )
    return ancestors[0] if ancestors else None


def _as_names(lineage: str | None) -> tuple[str, ...]:
    return () if lineage is None else (lineage,)


_LINEAGE = Form[str | None](
    lambda lineage: canonical.require_names("a lineage", _as_names(lineage)),
    lambda lineage: canonical.names(_as_names(lineage)),
    lambda reader: _at_most_one(reader.names()),
)


@dataclass(frozen=True, kw_only=True)
class OpeningTerms(Record, tag=b"consortium.opening-terms/1\n"):
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

    label: Annotated[str, name("the label of a run")]
    descriptor: Annotated[bytes, fixed_bytes("the digest of a run descriptor")]
    charter: Annotated[bytes, fixed_bytes("the fingerprint of a charter")]
    epoch: Annotated[int, number("an epoch", low=1)]
    epoch_fingerprint: Annotated[bytes, fixed_bytes("the fingerprint of an epoch")]
    opener: Annotated[str, name("the opener")]
    roster: Annotated[tuple[str, ...], names("a roster")]
    lineage: Annotated[str | None, _LINEAGE]
    salt: Annotated[bytes, fixed_bytes("a salt")]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.label) > LONGEST_LABEL:
            raise canonical.MalformedEnvelope(
                f"the label of a run must have at most {LONGEST_LABEL} characters",
                came=len(self.label),
            )


@dataclass(frozen=True, kw_only=True)
class Opening(SignedRecord, tag=b"consortium.opening/1\n"):
    """The opening of a run: its terms and its wrapped key, signed by the opener.

    Guarantee: `run` holds the digest of everything that was signed, so one run id names one
    opening.

    Args:
        terms: The terms.
        wrapped: The run's scheme secret, wrapped under the epoch secret and the terms.
    """

    terms: Annotated[OpeningTerms, inner(OpeningTerms, at_most=MAX_TERMS_BYTES)]
    wrapped: Annotated[bytes, blob("a wrapped key", low=1, high=MAX_WRAPPED_BYTES)] = field(
        repr=False
    )

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of everything that was signed."""
        return hashlib.sha256(self.body).digest()

    @property
    def run(self) -> str:
        """The run id: the label, a dash, and the digest in hexadecimal."""
        return f"{self.terms.label}-{self.digest.hex()}"


@dataclass(frozen=True, kw_only=True)
class DeliveryTerms(Record, tag=b"consortium.delivery-terms/1\n"):
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

    charter: Annotated[bytes, fixed_bytes("the fingerprint of a charter")]
    epoch: Annotated[int, number("an epoch", low=1)]
    epoch_fingerprint: Annotated[bytes, fixed_bytes("the fingerprint of an epoch")]
    maker: Annotated[str, name("the maker")]
    maker_fingerprint: Annotated[bytes, fixed_bytes("the maker's fingerprint")]
    recipient: Annotated[str, name("the recipient")]
    recipient_fingerprint: Annotated[bytes, fixed_bytes("the recipient's fingerprint")]


@dataclass(frozen=True, kw_only=True)
class Delivery(SignedRecord, tag=b"consortium.delivery/1\n"):
    """An epoch secret, sealed to one member.

    Args:
        terms: Who sends it to whom.
        sealed: The secret, encrypted so that only the recipient can open it, under these terms.
    """

    terms: Annotated[DeliveryTerms, inner(DeliveryTerms, at_most=MAX_ENVELOPE_BYTES)]
    sealed: Annotated[bytes, fixed_bytes("a sealed secret", DIGEST_SIZE + SEAL_OVERHEAD)]


def opening_body(terms: OpeningTerms, wrapped: bytes) -> bytes:
    """Return the bytes that an opener signs."""
    return Opening.body_of(terms=terms, wrapped=wrapped)


def delivery_body(terms: DeliveryTerms, sealed: bytes) -> bytes:
    """Return the bytes that the maker of an epoch secret signs."""
    return Delivery.body_of(terms=terms, sealed=sealed)
