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
from typing import Annotated

from privacy import canonical
from privacy.canonical import DIGEST_SIZE, Reader
from privacy.errors import ConsortiumError
from privacy.protocol.grouping import WEIGHT_CLASSES
from privacy.protocol.records import (
    Record,
    SignedRecord,
    fixed_bytes,
    inner,
    name,
    number,
)

TRAINING = "training"
STATISTICS = "statistics"
EVALUATION = "evaluation"

MAX_ROUND = 2**31 - 1
MAX_ATTEMPTS = 4  # the first attempt and at most three more
MAX_BUCKETS = 1024
MAX_STATE_BYTES = 2**31 - 2**16  # one call of AES-SIV takes less than 2^31 bytes
MAX_ENVELOPE_BYTES = 4096
NO_STATE = bytes(DIGEST_SIZE)


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
class Slot(Record, tag=b"consortium.slot/1\n"):
    """The place in a run that one upload of a site fills. A site seals once for each slot.

    Args:
        run: The run id.
        purpose: `TRAINING`, `EVALUATION`, `STATISTICS`, or the name of another agreed query.
        server_round: The round, from 1; 0 for a query that is asked once per run.
        attempt: Number of the attempt, from 1 to `MAX_ATTEMPTS`.
    """

    run: Annotated[str, name("a run id")]
    purpose: Annotated[str, name("a purpose")]
    server_round: Annotated[int, number("a round", high=MAX_ROUND)]
    attempt: Annotated[int, number("an attempt", low=1, high=MAX_ATTEMPTS)]

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


@dataclass(frozen=True, kw_only=True)
class UploadLabel(Record, tag=b"consortium.upload-label/1\n"):
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

    slot: Annotated[Slot, inner(Slot, at_most=MAX_ENVELOPE_BYTES)]
    site: Annotated[str, name("a site")]
    bucket: Annotated[int, number("a bucket", high=MAX_BUCKETS - 1)]
    weight_class: Annotated[int, number("a weight class")]
    nonce: Annotated[bytes, fixed_bytes("a nonce")]
    state: Annotated[bytes, fixed_bytes("the digest of a state")]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight_class not in WEIGHT_CLASSES:
            raise canonical.MalformedEnvelope(
                f"a weight class must be one of {WEIGHT_CLASSES}, got {self.weight_class}"
            )


@dataclass(frozen=True, kw_only=True)
class Receipt(SignedRecord, tag=b"consortium.receipt/1\n"):
    """A member's signed statement that it sealed one upload.

    Args:
        label: Which upload it is.
        upload: Digest of the upload, from `upload.upload_digest`.
    """

    label: Annotated[UploadLabel, inner(UploadLabel, at_most=MAX_ENVELOPE_BYTES)]
    upload: Annotated[bytes, fixed_bytes("the digest of an upload")]

    @classmethod
    def sign(
        cls, label: UploadLabel, *, upload: bytes, sign: Callable[[bytes], bytes]
    ) -> "Receipt":
        """Return the receipt of an upload; `sign` is the `Identity.sign` of the member."""
        signature = sign(cls.body_of(label=label, upload=upload))
        return cls(label=label, upload=upload, signature=signature)


@dataclass(frozen=True, kw_only=True)
class StateContext(Record, tag=b"consortium.sealed-state/1\n"):
    """The place of a state in its run; its encryption is bound to it.

    Args:
        charter: Fingerprint of the charter.
        run: The run id.
        server_round: The round after which the run has this state; 0 is the start.
        previous: Digest of the sealed state before it; `NO_STATE` for the start.
    """

    charter: Annotated[bytes, fixed_bytes("the fingerprint of a charter")]
    run: Annotated[str, name("a run id")]
    server_round: Annotated[int, number("a round", high=MAX_ROUND)]
    previous: Annotated[bytes, fixed_bytes("the digest of the previous state")]


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
        reader = Reader(data, tag=StateContext.tag)
        context = StateContext.read(reader)
        return cls(context=context, body=reader.rest(at_most=at_most))
