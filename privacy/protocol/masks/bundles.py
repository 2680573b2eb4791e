"""The shares of an own mask on their way to the witnesses, and what each share is held against.

A site deals its own mask b to the witnesses by Shamir's scheme. The shares travel in a bundle: for
each witness a commitment, and the share sealed to it. Nothing here needs a secret.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from privacy import canonical
from privacy.canonical import Reader
from privacy.errors import ConsortiumError, number_of
from privacy.protocol.envelope import Slot
from privacy.protocol.masks.groups import MOST_WITNESSES
from privacy.protocol.receipts import NotInRoster
from privacy.protocol.records import Form, Record, blob, fixed_bytes

SHARE_SIZE = 33  # a number below 2^256 + 297
SEALED_SHARE_SIZE = SHARE_SIZE + 16
MAX_BUNDLE_BYTES = 4_096
MAX_ENTRY_BYTES = 256

_DEAL_TAG = b"consortium.mask-share/1\n"
_SHARE_TAG = b"consortium.committed-mask-share/1\n"


class WrongBundle(ConsortiumError, ValueError, code="wrong-bundle"):
    """A bundle does not hold one entry for each witness."""


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

    def point(self, witness: str) -> int:
        """Return the point at which a witness holds the polynomial.

        Raises:
            NotInRoster: It is no witness.
        """
        if witness not in self.witnesses:
            known = number_of(len(self.witnesses), "witness")
            raise NotInRoster(f"{witness} is not among the {known} of this run")
        return self.witnesses.index(witness) + 1

    def context(self, witness: str) -> bytes:
        """Return what the share of a witness is bound to."""
        return self._place + canonical.text(witness) + self.commitment

    @cached_property
    def _place(self) -> bytes:
        return _DEAL_TAG + canonical.blob(self.slot.encode()) + canonical.text(self.site)

    def share_commitment(self, witness: str, share: int) -> bytes:
        """Return what a bundle commits to if this is the witness's share."""
        encoded = share.to_bytes(SHARE_SIZE, "big")
        return hashlib.sha256(_SHARE_TAG + canonical.blob(self.context(witness)) + encoded).digest()


@dataclass(frozen=True, kw_only=True)
class Entry(Record, tag=b"consortium.share-entry/1\n"):
    """A witness's place in a bundle.

    Args:
        commitment: See `Deal.share_commitment`.
        sealed: The share, sealed to the witness; empty in the dealer's own place.
    """

    commitment: Annotated[bytes, fixed_bytes("the commitment to a share")]
    sealed: Annotated[bytes, blob("a sealed share", low=0, high=SEALED_SHARE_SIZE)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.sealed) not in (0, SEALED_SHARE_SIZE):
            raise canonical.MalformedEnvelope(
                f"a sealed share has {SEALED_SHARE_SIZE} bytes, or none", came=len(self.sealed)
            )


def _require_entries(entries: tuple[Entry, ...]) -> None:
    canonical.require_number("the number of witnesses", len(entries), low=1, high=MOST_WITNESSES)


def _read_entries(reader: Reader) -> tuple[Entry, ...]:
    count = reader.number()
    canonical.require_number("the number of witnesses", count, low=1, high=MOST_WITNESSES)
    return tuple(Entry.read(reader) for _ in range(count))


_ENTRIES = Form[tuple[Entry, ...]](
    _require_entries,
    lambda entries: b"".join(
        # The tag of a bundle says what its entries are.
        [canonical.number(len(entries)), *(one.encode()[len(Entry.tag) :] for one in entries)]
    ),
    _read_entries,
)


@dataclass(frozen=True, kw_only=True)
class ShareBundle(Record, tag=b"consortium.share-bundle/1\n"):
    """The shares of one own mask.

    Args:
        entries: One for each witness, in alphabetical order of their names.
    """

    entries: Annotated[tuple[Entry, ...], _ENTRIES]

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the canonical bytes; mask terms hold it."""
        return hashlib.sha256(self.encode()).digest()

    def entry(self, deal: Deal, witness: str) -> Entry:
        """Return a witness's entry.

        Raises:
            WrongBundle: The bundle does not hold one entry for each witness.
            NotInRoster: It is no witness.
        """
        if len(self.entries) != len(deal.witnesses):
            raise WrongBundle(
                f"a bundle of {deal.site} needs {number_of(len(deal.witnesses), 'entry')}, got "
                f"{len(self.entries)}",
                needed=len(deal.witnesses),
                came=len(self.entries),
            )
        return self.entries[deal.point(witness) - 1]
