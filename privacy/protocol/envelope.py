"""The forms in which sealed things travel, parsed from bytes that nobody has checked yet.

Guarantee for every form here: `decode(encode(x)) == x`, `encode(decode(b)) == b`, and every
other bytes are a `MalformedEnvelope`. Decoding checks form only; whether a form is *right* is
the business of `receipts`, `exchange` and `state_seal`. Nothing here needs a secret.
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
MAX_ATTEMPTS = 4  # the first, and at most three more
MAX_BUCKETS = 1024
MAX_STATE_BYTES = 2**31 - 2**16  # AES-SIV in one call takes less than 2^31
MAX_ENVELOPE_BYTES = 4096
NO_STATE = bytes(DIGEST_SIZE)

_SLOT_TAG = b"consortium.slot/1\n"
_LABEL_TAG = b"consortium.upload-label/1\n"
_RECEIPT_TAG = b"consortium.receipt/1\n"
_STATE_TAG = b"consortium.sealed-state/1\n"


class WrongCharter(ConsortiumError, ValueError):
    """An envelope is bound to another charter."""

    code = "wrong-charter"


class WrongRun(ConsortiumError, ValueError):
    """An envelope belongs to another run."""

    code = "wrong-run"


class WrongPurpose(ConsortiumError, ValueError):
    """An envelope answers another question."""

    code = "wrong-purpose"


class WrongRound(ConsortiumError, ValueError):
    """An envelope belongs to another round."""

    code = "wrong-round"


class WrongAttempt(ConsortiumError, ValueError):
    """An envelope belongs to another attempt at the same round."""

    code = "wrong-attempt"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """The one place in a run that one upload of a site can fill: it seals once for it.

    Args:
        run: The run id.
        purpose: `TRAINING`, `EVALUATION`, `STATISTICS`, or the name of another agreed query.
        server_round: The round, counted from 1; 0 for what is asked once per run.
        attempt: Counted from 1, at most `MAX_ATTEMPTS`.
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
        """Return if this is the expected slot.

        Raises:
            WrongRun: The run differs.
            WrongPurpose: The purpose does.
            WrongRound: The round does.
            WrongAttempt: The attempt does.
        """
        if self.run != expected.run:
            raise WrongRun(f"this site is in run {expected.run}, the envelope is of {self.run}")
        if self.purpose != expected.purpose:
            raise WrongPurpose(f"{expected.purpose} was asked, the envelope answers {self.purpose}")
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
        """Parse what `encode` wrote; MalformedEnvelope if it is anything else."""
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
    """What a receipt says of an upload before the upload exists: the checksum's pad hangs on it.

    Args:
        slot: The place it fills.
        site: The member that seals it.
        bucket: The bucket the site belongs to in this run, from 0.
        weight_class: The site's share in the average: 1, 2, 4 or 8.
        nonce: 32 fresh bytes: no two labels are equal.
        state: Digest of the sealed state the site trained from: S(t-1) for round t.
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
            raise canonical.MalformedEnvelope(f"a weight class is one of {WEIGHT_CLASSES}")

    def encode(self) -> bytes:
        """Return the canonical bytes: the label of the checksum's pad."""
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
        """Parse what `encode` wrote; MalformedEnvelope if it is anything else."""
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
    """A member's signed statement that it sealed one upload, and what into.

    Args:
        label: Everything it says but the upload's own digest.
        upload: Digest of the upload, from `upload.upload_digest`.
        signature: Ed25519, by the member the label names.
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
        """Return the receipt of an upload, signed with `Identity.sign`."""
        return cls(label=label, upload=upload, signature=sign(_receipt_body(label, upload)))

    def verify(self, member: PublicIdentity) -> None:
        """Return if this member signed the receipt.

        Raises:
            BadSignature: It did not.
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
        """Parse what `encode` wrote; MalformedEnvelope if it is anything else."""
        reader = Reader(data, tag=_RECEIPT_TAG)
        receipt = cls(
            label=UploadLabel.decode(reader.blob(at_most=MAX_ENVELOPE_BYTES)),
            upload=reader.digest(),
            signature=reader.fixed(SIGNATURE_SIZE),
        )
        reader.end()
        return receipt


@dataclass(frozen=True, kw_only=True)
class StateContext:
    """Where a state stands in its run.

    Args:
        charter: Fingerprint of the charter.
        run: The run id.
        server_round: The round after which this is the state; 0 is the start.
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
        """Return the canonical bytes: what the seal is bound to."""
        return (
            _STATE_TAG
            + self.charter
            + canonical.text(self.run)
            + canonical.number(self.server_round)
            + self.previous
        )


@dataclass(frozen=True, kw_only=True)
class SealedState:
    """A state of the run as the coordinator keeps it: compared by digest, never read.

    Args:
        context: Where it stands in its run.
        body: The AES-SIV ciphertext.
    """

    context: StateContext
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        canonical.require_bytes("a sealed state", self.body, low=16, high=MAX_STATE_BYTES)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the canonical bytes: what receipts sign."""
        digest = hashlib.sha256(self.context.encode())
        digest.update(self.body)
        return digest.digest()

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return self.context.encode() + self.body

    @classmethod
    def decode(cls, data: bytes, *, at_most: int = MAX_STATE_BYTES) -> "SealedState":
        """Parse what `encode` wrote, at most `at_most` bytes of body; else MalformedEnvelope."""
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
