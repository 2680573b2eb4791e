"""Masks: the streams that are added to an upload, and cancel or are taken off in its sum.

Each stream is the key stream of AES-256 in counter mode from a zero counter, 8 bytes to a
coefficient, over all coefficients of an upload, those of the tag included. It is read at any row.
"""

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from privacy import canonical
from privacy.layout import Tally
from privacy.protocol.envelope import (
    MAX_BUCKETS,
    MAX_ENVELOPE_BYTES,
    TRAINING,
    Slot,
    UploadLabel,
)
from privacy.protocol.masks.groups import cohort_digest
from privacy.protocol.records import Record, fixed_bytes, inner, name, number
from privacy.secrets.keys import SECRET_SIZE, Secret
from privacy.secrets.masks.pair_secrets import PairSecret

UPDATE_DOOR = "update"
COUNTS_DOOR = "counts"

_WORD_BYTES = 8
_BLOCK_BYTES = 16  # of AES, and of its counter

_COMMITMENT_TAG = b"consortium.committed-mask/1\n"
_OWN_TAG = b"consortium.own-mask/1\n"


@dataclass(frozen=True, kw_only=True)
class MaskPlace(Record, tag=b"consortium.mask-place/1\n"):
    """Everything that a sum's masks depend on beside secrets. No two places have equal masks.

    Args:
        slot: Run, purpose, round and attempt.
        state: Digest of the state from which the sites computed.
        question: Digest of the question that they were asked.
        cohort: Digest of V, from `groups.cohort_digest`.
        bucket: The bucket that is summed.
        door: `UPDATE_DOOR` or `COUNTS_DOOR`.
    """

    slot: Annotated[Slot, inner(Slot, at_most=MAX_ENVELOPE_BYTES)]
    state: Annotated[bytes, fixed_bytes("the digest of a state")]
    question: Annotated[bytes, fixed_bytes("the digest of a question")]
    cohort: Annotated[bytes, fixed_bytes("the digest of a cohort")]
    bucket: Annotated[int, number("a bucket", high=MAX_BUCKETS - 1)]
    door: Annotated[str, name("a door")]

    @classmethod
    def of(cls, label: UploadLabel, asked: Iterable[str]) -> "MaskPlace":
        """Return the place of an upload, and of the sum that it is in.

        Args:
            label: Of the upload.
            asked: The sites that were asked for it, V.
        """
        return cls(
            slot=label.slot,
            state=label.state,
            # A question is its slot, and what the state follows from. The opening is the rest.
            question=bytes.fromhex(label.slot.run[-64:]),
            cohort=cohort_digest(asked),
            bucket=label.bucket,
            door=UPDATE_DOOR if label.slot.purpose == TRAINING else COUNTS_DOOR,
        )

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of all of it: d."""
        return hashlib.sha256(self.encode()).digest()


class OwnMask(Secret):
    """The mask b of one upload, 32 bytes: fresh for each, and written nowhere by its site.

    Args:
        mask: b.
    """

    __slots__ = ("_mask",)

    def __init__(self, mask: bytes) -> None:
        canonical.require_bytes("an own mask", mask, low=SECRET_SIZE, high=SECRET_SIZE)
        self._mask = mask

    @classmethod
    def fresh(cls) -> "OwnMask":
        """Return a new mask, from the operating system's randomness."""
        return cls(os.urandom(SECRET_SIZE))

    @property
    def number(self) -> int:
        """The mask as a number below 2^256, for its shares."""
        return int.from_bytes(self._mask, "big")

    def commitment(self, slot: Slot, site: str) -> bytes:
        """Return the digest by which a site commits to the mask; it says nothing of it."""
        place = canonical.blob(slot.encode()) + canonical.text(site)
        return hashlib.sha256(_COMMITMENT_TAG + place + self._mask).digest()

    def seed(self, place: MaskPlace) -> bytes:
        """Return the seed of the mask's stream in one place, 32 bytes."""
        return hmac.digest(self._mask, _OWN_TAG + place.digest, "sha256")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False, slots=True)
class Masks(Secret):
    """The masks of one upload, or those that are taken off one sum.

    Args:
        added: Seeds of the streams that are added, 32 bytes each.
        removed: Seeds of the streams that are subtracted.
    """

    added: tuple[bytes, ...] = ()
    removed: tuple[bytes, ...] = ()

    # A frozen dataclass with slots would define its own `__getstate__`.
    __getstate__ = Secret.__getstate__

    @classmethod
    def to_seal(
        cls, place: MaskPlace, *, site: str, own: OwnMask, pairs: Mapping[str, PairSecret]
    ) -> "Masks":
        """Return the masks of one upload.

        Args:
            place: Its place.
            site: The site that seals it.
            own: Its own mask, fresh.
            pairs: Its secrets with its neighbours in this sum, by name, and with nobody else.
        """
        seeds = {other: pair.seed(place.digest, site, other) for other, pair in pairs.items()}
        # What the first of two sites adds, the second one takes off: their sum has neither.
        return cls(
            added=(own.seed(place), *(seeds[other] for other in seeds if site < other)),
            removed=tuple(seeds[other] for other in seeds if other < site),
        )

    @classmethod
    def to_open(cls, place: MaskPlace, owns: Iterable[OwnMask]) -> "Masks":
        """Return what is taken off a sum: the own masks of all its uploads."""
        return cls(removed=tuple(own.seed(place) for own in owns))

    def add_to(self, rows: Tally, first: int) -> None:
        """Add the streams to some rows in place, modulo 2^64.

        Args:
            rows: Coefficients, shape (count, row_length), `row_length` even.
            first: Index of the first of these rows in the whole plaintext.
        """
        words = rows.view(np.uint64)
        start = first * rows.shape[-1] * _WORD_BYTES // _BLOCK_BYTES
        counter = CTR(start.to_bytes(_BLOCK_BYTES, "big"))
        room = np.empty(rows.nbytes + _BLOCK_BYTES, dtype=np.uint8)
        stream = room[: rows.nbytes].view("<u8").reshape(rows.shape)
        for seeds, combine in ((self.added, np.add), (self.removed, np.subtract)):
            for seed in seeds:
                cipher = Cipher(AES256(seed), counter).encryptor()
                cipher.update_into(_zeros(rows.nbytes), room.data)
                combine(words, stream, out=words)


@lru_cache(maxsize=4)
def _zeros(size: int) -> bytes:
    return bytes(size)
