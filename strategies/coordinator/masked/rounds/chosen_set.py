"""The set that a coordinator chose: what the witnesses confirm, and what opens its sums."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from privacy.protocol.announcements import decode_named, encode_named
from privacy.protocol.envelope import MAX_ENVELOPE_BYTES, NO_STATE, TRAINING
from privacy.protocol.masks.bundles import MAX_BUNDLE_BYTES, ShareBundle
from privacy.protocol.masks.groups import cohort_digest
from privacy.protocol.masks.mask_part import MAX_JOINED_TERMS_BYTES
from privacy.protocol.masks.mask_terms import join_terms
from privacy.protocol.masks.sum_set import SumDigests, SumSet
from privacy.protocol.part_digests import sha256_of
from privacy.protocol.records import Record, blob, inner, names
from strategies.coordinator.masked.rounds.request import MaskedRequest, UploadMasks

SET_FILE = "set.bin"
CONFIRMATIONS_FILE = "confirmations.bin"

_MAX_SET_BYTES = MAX_ENVELOPE_BYTES + 2**17
_MAX_BUNDLES_BYTES = 2**26


@dataclass(frozen=True, kw_only=True)
class ChosenSet(Record, tag=b"consortium.chosen-set/1\n"):
    """A set of uploads with its sums, as a coordinator keeps it before it asks for confirmation.

    Receipts and sums are in files of their own; the set holds their digests.

    Args:
        sum_set: What is confirmed.
        cohort: The sites that were asked together, V, sorted.
        terms: Mask terms of its updates, joined; empty if there are none.
        count_terms: Mask terms of its counts, joined; empty if there are none.
        bundles: The shares of the masks of its updates by site, joined.
        count_bundles: The shares of the masks of its counts by site, joined.
    """

    sum_set: Annotated[SumSet, inner(SumSet, at_most=_MAX_SET_BYTES)]
    cohort: Annotated[tuple[str, ...], names("the sites that were asked")]
    terms: Annotated[bytes, blob("mask terms", low=0, high=MAX_JOINED_TERMS_BYTES)]
    count_terms: Annotated[bytes, blob("mask terms of counts", low=0, high=MAX_JOINED_TERMS_BYTES)]
    bundles: Annotated[bytes, blob("bundles", low=0, high=_MAX_BUNDLES_BYTES)] = field(repr=False)
    count_bundles: Annotated[bytes, blob("bundles", low=0, high=_MAX_BUNDLES_BYTES)] = field(
        repr=False
    )

    def entries(self, place: int) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Return the entries of one witness in the bundles of the updates and of the counts.

        Args:
            place: The witness's place among the witnesses, from 0.
        """
        updates, counts = self._read_bundles
        return _entries(updates, place), _entries(counts, place)

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites whose masks must be joined before the sums can be read, sorted."""
        updates, counts = self._read_bundles
        return tuple(sorted({*updates, *counts}))

    @cached_property
    def _read_bundles(self) -> tuple[dict[str, ShareBundle], dict[str, ShareBundle]]:
        """The bundles of the updates and of the counts: read once, not for each witness."""
        return _decode_bundles(self.bundles), _decode_bundles(self.count_bundles)


@dataclass(frozen=True, kw_only=True)
class Door:
    """The uploads of one kind in a set: updates or counts.

    Args:
        receipts: Their receipts, joined; empty if there are none.
        sums: The sum of each bucket; empty if there is none.
        masks: What came beside each upload that is in a sum.
    """

    receipts: bytes = b""
    sums: Mapping[int, bytes | memoryview] = field(default_factory=dict)
    masks: Mapping[str, UploadMasks] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        question: MaskedRequest,
        purpose: str,
        finished: tuple[bytes, bytes],
        buckets: Sequence[int] = (0,),
    ) -> "Door":
        """Return the uploads of a question that count.

        Args:
            question: With its replies.
            purpose: Of the uploads.
            finished: Their receipts and sums, as `CiphertextSums` returned them. Without a sum
                the receipts only say who computed from which state.
            buckets: The buckets whose sums these are, in order.
        """
        receipts, sums = finished
        if not sums:
            return cls(receipts=receipts)
        added, came = question.sums[purpose].added, question.masks[purpose]
        sites = [site for site, one in added.items() if one.bucket in buckets]
        return cls(
            receipts=receipts,
            sums=_split(sums, buckets),
            masks={site: came[site] for site in sites},
        )

    @property
    def digests(self) -> SumDigests:
        """The SHA-256 of the sum of each bucket, in order."""
        return tuple(
            (bucket, hashlib.sha256(self.sums[bucket]).digest()) for bucket in sorted(self.sums)
        )

    @property
    def sum_digest(self) -> bytes:
        """The SHA-256 of the only sum, or of nothing."""
        return hashlib.sha256(b"".join(self.sums.values())).digest()

    @property
    def terms(self) -> bytes:
        """The mask terms, joined; empty if there are none."""
        return (
            join_terms({site: one.terms for site, one in self.masks.items()}) if self.masks else b""
        )

    @property
    def bundles(self) -> bytes:
        """The bundles by site, joined; empty if there are none."""
        if not self.masks:
            return b""
        return encode_named({site: one.bundle.encode() for site, one in self.masks.items()})


def choose_set(question: MaskedRequest, purpose: str, doors: Mapping[str, Door]) -> ChosenSet:
    """Return the set of a question whose uploads are finished.

    Args:
        question: With its replies.
        purpose: Of the set: training, statistics or evaluation.
        doors: The uploads by their own purpose: updates, and counts if they were asked for.
    """
    cohort = question.request.mask_part.asked
    updates = doors.get(TRAINING, Door())
    counts = next((one for kind, one in doors.items() if kind != TRAINING), Door())
    return ChosenSet(
        sum_set=SumSet(
            slot=question.sums[purpose].slot,
            # All who are in the set signed the state that most of the sites signed.
            state=question.sums[purpose].agreed_state(floor=1) or NO_STATE,
            cohort=cohort_digest(cohort),
            receipts=sha256_of(updates.receipts),
            sums=updates.digests,
            count_receipts=sha256_of(counts.receipts),
            count_sum=counts.sum_digest,
        ),
        cohort=cohort,
        terms=updates.terms,
        count_terms=counts.terms,
        bundles=updates.bundles,
        count_bundles=counts.bundles,
    )


def _split(sums: bytes, buckets: Collection[int]) -> dict[int, memoryview]:
    """Return the sum of each bucket; all of them have the same length."""
    view, size = memoryview(sums), len(sums) // len(buckets)
    return {
        bucket: view[place * size : (place + 1) * size]
        for place, bucket in enumerate(sorted(buckets))
    }


def _decode_bundles(joined: bytes) -> dict[str, ShareBundle]:
    parts = decode_named(joined, at_most=MAX_BUNDLE_BYTES) if joined else {}
    return {site: ShareBundle.decode(one) for site, one in parts.items()}


def _entries(bundles: Mapping[str, ShareBundle], place: int) -> dict[str, bytes]:
    return {site: one.entries[place].encode() for site, one in bundles.items()}
