"""The shares of an own mask on their way to the witnesses, and what each share is held against.

A site deals its own mask b to the witnesses by Shamir's scheme. The shares travel in a bundle: for
each witness a commitment, and the share sealed to it. Nothing here needs a secret.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from privacy import canonical
from privacy.canonical import DIGEST_SIZE, Reader
from privacy.errors import ConsortiumError
from privacy.protocol.envelope import Slot
from privacy.protocol.masks.groups import MOST_WITNESSES
from privacy.protocol.records import Form, Record

SHARE_SIZE = 33  # a number below 2^256 + 297
SEALED_SHARE_SIZE = SHARE_SIZE + 16
MAX_BUNDLE_BYTES = 4_096


class WrongBundle(ConsortiumError, ValueError, code="wrong-bundle"):
    """A bundle does not hold one entry for each witness, or is not the one that was receipted."""


@dataclass(frozen=True, kw_only=True)
class Deal:
    """What is public about one own mask that was dealt.

    Args:
        slot: The slot of the upload.
        site: The dealer.
        witnesses: The witnesses, in alphabetical order: the place of each is its point, from 1.
        threshold: How many shares join to the mask.
        commitment: The dealer's commitment to the mask, from its mask terms.
    """

    slot: Slot
    site: str
    witnesses: tuple[str, ...]
    threshold: int
    commitment: bytes

    def share_commitment(self, witness: str, share: int) -> bytes:
        """Return what a bundle commits to if this is the witness's share."""
        raise NotImplementedError

    def point(self, witness: str) -> int:
        """Return the point at which a witness holds the polynomial.

        Raises:
            NotInRoster: It is no witness.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A witness's place in a bundle.

    Args:
        commitment: See `Deal.share_commitment`.
        sealed: The share, sealed to the witness; empty in the dealer's own place.
    """

    commitment: bytes
    sealed: bytes


@dataclass(frozen=True, kw_only=True)
class ShareBundle:
    """The shares of one own mask.

    Args:
        entries: One for each witness, in alphabetical order of their names.
    """

    entries: tuple[Entry, ...]

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the canonical bytes; mask terms hold it."""
        raise NotImplementedError

    def entry(self, deal: Deal, witness: str) -> Entry:
        """Return a witness's entry.

        Raises:
            WrongBundle: The bundle does not hold one entry for each witness.
            NotInRoster: It is no witness.
        """
        raise NotImplementedError

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        raise NotImplementedError

    @classmethod
    def decode(cls, data: bytes) -> "ShareBundle":
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        raise NotImplementedError
