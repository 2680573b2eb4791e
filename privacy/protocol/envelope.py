"""Envelopes: the wire forms of slots, labels, receipts and sealed states.

They are parsed from untrusted bytes. Guarantee for every form here: `decode(encode(x)) == x`,
`encode(decode(b)) == b`, and any other bytes raise `MalformedEnvelope`. Decoding checks the form
only. Whether an envelope is the expected one is checked by `receipts`, `key_exchange` and
`state_encryption`. Nothing here needs a secret.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from privacy import canonical
from privacy.canonical import DIGEST_SIZE, Reader
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import SIGNATURE_SIZE, PublicIdentity
from privacy.protocol.grouping import WEIGHT_CLASSES

TRAINING = "training"
STATISTICS = "statistics"
EVALUATION = "evaluation"

MAX_ROUND = 2**31 - 1
MAX_ATTEMPTS = 4  # the first attempt and at most three more
MAX_BUCKETS = 1024
MAX_STATE_BYTES = 2**31 - 2**16  # one call of AES-SIV takes less than 2^31 bytes
MAX_ENVELOPE_BYTES = 4096
NO_STATE = bytes(DIGEST_SIZE)

_SLOT_TAG = b"consortium.slot/1\n"
_LABEL_TAG = b"consortium.upload-label/1\n"
_RECEIPT_TAG = b"consortium.receipt/1\n"
_STATE_TAG = b"consortium.sealed-state/1\n"


class WrongCharter(ConsortiumError, ValueError, code="wrong-charter"):
    """An envelope is bound to another charter."""


class WrongRun(ConsortiumError, ValueError, code="wrong-run"):
    """An envelope belongs to another run."""


class WrongPurpose(ConsortiumError, ValueError, code="wrong-purpose"):
    """An envelope was made for another purpose."""


class WrongRound(ConsortiumError, ValueError, code="wrong-round"):
    """An envelope belongs to another round."""


class WrongAttempt(ConsortiumError, ValueError, code="wrong-attempt"):
    """An envelope belongs to another attempt at the same round."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """The place in a run that one upload of a site fills. A site seals once for each slot.

    Args:
        run: The run id.
        purpose: `TRAINING`, `EVALUATION`, `STATISTICS`, or the name of another agreed query.
        server_round: The round, from 1; 0 for a query that is asked once per run.
        attempt: Number of the attempt, from 1 to `MAX_ATTEMPTS`.
    """

    run: str
    purpose: str
    server_round: int
    attempt: int

    def __post_init__(self) -> None:
        canonical.require_name("a run id", self.run)
        canonical.require_name("a purpose", self.purpose)
        canonical.require_number("a round", self.server_round, high=MAX_ROUND)
        canonical.require_number("an attempt", self.attempt, low=1, high=MAX_ATTEMPTS)

    def require_slot(self, expected: "Slot") -> None:
        """Check that this is the expected slot.

        Raises:
            WrongRun: The run differs.
            WrongPurpose: The purpose differs.
            WrongRound: The round differs.
            WrongAttempt: The attempt differs.
        """
        if self.run != expected.run:
            raise WrongRun(f"run {expected.run} was expected, the envelope belongs to {self.run}")
        if self.purpose != expected.purpose:
            raise WrongPurpose(f"purpose {expected.purpose} was expected, got {self.purpose}")
        if self.server_round != expected.server_round:
            raise WrongRound(
                f"round {expected.server_round} was expected, got {self.server_round}",
                needed=expected.server_round,
                came=self.server_round,
            )
        if self.attempt != expected.attempt:
            raise WrongAttempt(
                f"attempt {expected.attempt} was expected, got {self.attempt}",
                needed=expected.attempt,
                came=self.attempt,
            )

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return (
            _SLOT_TAG
            + canonical.text(self.run)
            + canonical.text(self.purpose)
            + canonical.number(self.server_round)
            + canonical.number(self.attempt)
        )

    @classmethod
    def decode(cls, data: bytes) -> "Slot":
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        reader = Reader(data, tag=_SLOT_TAG)
        slot = cls(
            run=reader.text(),
            purpose=reader.text(),
            server_round=reader.number(),
            attempt=reader.number(),
        )
        reader.end()
        return slot


@dataclass(frozen=True, kw_only=True)
class UploadLabel:
    """Everything that a receipt states about an upload, except the upload's digest.

    It exists before the upload, because the pad of the upload's tag is derived from it.

    Args:
        slot: The slot that the upload fills.
        site: The member that seals the upload.
        bucket: The site's bucket in this run, from 0.
        weight_class: The site's share in the average: 1, 2, 4 or 8.
        nonce: 32 random bytes, so that no two labels are equal.
        state: Digest of the sealed state that the site trained from: S(t-1) for round t.
    """

    slot: Slot
    site: str
    bucket: int
    weight_class: int
    nonce: bytes
    state: bytes

    def __post_init__(self) -> None:
        canonical.require_name("a site", self.site)
        canonical.require_number("a bucket", self.bucket, high=MAX_BUCKETS - 1)
        canonical.require_number("a weight class", self.weight_class)
        canonical.require_digest("a nonce", self.nonce)
        canonical.require_digest("the digest of a state", self.state)
        if self.weight_class not in WEIGHT_CLASSES:
            raise canonical.MalformedEnvelope(
                f"a weight class must be one of {WEIGHT_CLASSES}, got {self.weight_class}"
            )

    def encode(self) -> bytes:
        """Return the canonical bytes, from which the pad of the tag is derived."""
        return self._encoded

    @cached_property
    def _encoded(self) -> bytes:
        return (
            _LABEL_TAG
            + canonical.blob(self.slot.encode())
            + canonical.text(self.site)
            + canonical.number(self.bucket)
            + canonical.number(self.weight_class)
            + self.nonce
            + self.state
        )

    @classmethod
    def decode(cls, data: bytes) -> "UploadLabel":
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        reader = Reader(data, tag=_LABEL_TAG)
        label = cls(
            slot=Slot.decode(reader.blob(at_most=MAX_ENVELOPE_BYTES)),
            site=reader.text(),
            bucket=reader.number(),
            weight_class=reader.number(),
            nonce=reader.digest(),
            state=reader.digest(),
        )
        reader.end()
        return label


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A member's signed statement that it sealed one upload.

    Args:
        label: Which upload it is.
        upload: Digest of the upload, from `upload.upload_digest`.
        signature: Ed25519 signature by the member that the label names.
    """

    label: UploadLabel
    upload: bytes
    signature: bytes

    def __post_init__(self) -> None:
        canonical.require_digest("the digest of an upload", self.upload)
        canonical.require_bytes(
            "a signature", self.signature, low=SIGNATURE_SIZE, high=SIGNATURE_SIZE
        )

    @classmethod
    def sign(
        cls, label: UploadLabel, *, upload: bytes, sign: Callable[[bytes], bytes]
    ) -> "Receipt":
        """Return the receipt of an upload; `sign` is the `Identity.sign` of the member."""
        return cls(label=label, upload=upload, signature=sign(_receipt_body(label, upload)))

    def verify(self, member: PublicIdentity) -> None:
        """Check that this member signed the receipt.

        Raises:
            BadSignature: The signature is not valid.
        """
        member.verify(self._body, self.signature)

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return self._body + self.signature

    @cached_property
    def _body(self) -> bytes:
        return _receipt_body(self.label, self.upload)

    @classmethod
    def decode(cls, data: bytes) -> "Receipt":
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        reader = Reader(data, tag=_RECEIPT_TAG)
        receipt = cls(
            label=UploadLabel.decode(reader.blob(at_most=MAX_ENVELOPE_BYTES)),
            upload=reader.digest(),
            signature=reader.fixed_bytes(SIGNATURE_SIZE),
        )
        reader.end()
        return receipt


@dataclass(frozen=True, kw_only=True)
class StateContext:
    """The place of a state in its run; its encryption is bound to it.

    Args:
        charter: Fingerprint of the charter.
        run: The run id.
        server_round: The round after which the run has this state; 0 is the start.
        previous: Digest of the sealed state before it; `NO_STATE` for the start.
    """

    charter: bytes
    run: str
    server_round: int
    previous: bytes

    def __post_init__(self) -> None:
        canonical.require_digest("the fingerprint of a charter", self.charter)
        canonical.require_name("a run id", self.run)
        canonical.require_number("a round", self.server_round, high=MAX_ROUND)
        canonical.require_digest("the digest of the previous state", self.previous)

    def encode(self) -> bytes:
        """Return the canonical bytes: the associated data of AES-SIV."""
        return (
            _STATE_TAG
            + self.charter
            + canonical.text(self.run)
            + canonical.number(self.server_round)
            + self.previous
        )


@dataclass(frozen=True, kw_only=True)
class SealedState:
    """An encrypted state of the run. The coordinator stores it and compares digests.

    Args:
        context: Its place in the run.
        body: The AES-SIV ciphertext.
    """

    context: StateContext
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        canonical.require_bytes("a sealed state", self.body, low=16, high=MAX_STATE_BYTES)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the canonical bytes; receipts sign it."""
        digest = hashlib.sha256(self.context.encode())
        digest.update(self.body)
        return digest.digest()

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return self.context.encode() + self.body

    @classmethod
    def decode(cls, data: bytes, *, at_most: int = MAX_STATE_BYTES) -> "SealedState":
        """Parse what `encode` wrote, with at most `at_most` bytes of body.

        Raises:
            MalformedEnvelope: The bytes are anything else.
        """
        reader = Reader(data, tag=_STATE_TAG)
        context = StateContext(
            charter=reader.digest(),
            run=reader.text(),
            server_round=reader.number(),
            previous=reader.digest(),
        )
        return cls(context=context, body=reader.rest(at_most=at_most))


def _receipt_body(label: UploadLabel, upload: bytes) -> bytes:
    return _RECEIPT_TAG + canonical.blob(label.encode()) + upload
