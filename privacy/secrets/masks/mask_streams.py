"""Masks: the streams that are added to an upload, and cancel or are taken off in its sum.

Each stream is the key stream of AES-256 in counter mode from a zero counter, 8 bytes to a
coefficient, over all coefficients of an upload, those of the tag included. It is read at any row.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from privacy.layout import Tally
from privacy.protocol.envelope import MAX_BUCKETS, MAX_ENVELOPE_BYTES, Slot
from privacy.protocol.records import Record, fixed_bytes, inner, name, number
from privacy.secrets.keys import Secret
from privacy.secrets.masks.pair_secrets import PairSecret

UPDATE_DOOR = "update"
COUNTS_DOOR = "counts"


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
        raise NotImplementedError

    @classmethod
    def fresh(cls) -> "OwnMask":
        """Return a new mask, from the operating system's randomness."""
        raise NotImplementedError

    @property
    def number(self) -> int:
        """The mask as a number below 2^256, for its shares."""
        raise NotImplementedError

    def commitment(self, slot: Slot, site: str) -> bytes:
        """Return the digest by which a site commits to the mask; it says nothing of it."""
        raise NotImplementedError

    def seed(self, place: MaskPlace) -> bytes:
        """Return the seed of the mask's stream in one place, 32 bytes."""
        raise NotImplementedError


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
        raise NotImplementedError

    @classmethod
    def to_open(cls, place: MaskPlace, owns: Iterable[OwnMask]) -> "Masks":
        """Return what is taken off a sum: the own masks of all its uploads."""
        raise NotImplementedError

    def add_to(self, rows: Tally, first: int) -> None:
        """Add the streams to some rows in place, modulo 2^64.

        Args:
            rows: Coefficients, C-contiguous, shape (count, row_length), row_length even.
            first: Index of the first of these rows in the whole plaintext.
        """
        raise NotImplementedError
