"""Sum sets: which uploads are added together in a round, and what their sums are.

Its digest is D. A masked sum is readable only after a quorum of witnesses signed D, so D fixes
the receipts, the state and the bytes of each sum before any mask is off.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from privacy import canonical
from privacy.canonical import DIGEST_SIZE, Reader
from privacy.protocol.envelope import MAX_BUCKETS, MAX_ENVELOPE_BYTES, Slot
from privacy.protocol.part_digests import sha256_of
from privacy.protocol.records import Form, Record, fixed_bytes, inner

SumDigests = tuple[tuple[int, bytes], ...]

NOTHING = sha256_of(b"")  # the digest of a part that is not there


def _require_sums(sums: SumDigests) -> None:
    canonical.require_number("the number of sums", len(sums), high=MAX_BUCKETS)
    buckets = [bucket for bucket, _ in sums]
    for bucket, digest in sums:
        canonical.require_number("a bucket", bucket, high=MAX_BUCKETS - 1)
        canonical.require_digest("the digest of a sum", digest)
    if buckets != sorted(set(buckets)):
        raise canonical.MalformedEnvelope("sums must be of distinct buckets in their order")


def _encode_sums(sums: SumDigests) -> bytes:
    written = (canonical.number(bucket) + digest for bucket, digest in sums)
    return canonical.number(len(sums)) + b"".join(written)


def _read_sums(reader: Reader) -> SumDigests:
    count = reader.number()
    canonical.require_number("the number of sums", count, high=MAX_BUCKETS)
    return tuple((reader.number(), reader.fixed_bytes(DIGEST_SIZE)) for _ in range(count))


SUM_DIGESTS = Form(_require_sums, _encode_sums, _read_sums)


@dataclass(frozen=True, kw_only=True)
class SumSet(Record, tag=b"consortium.sum-set/1\n"):
    """What the witnesses of a masked run confirm in one round.

    Args:
        slot: Run, purpose, round and attempt. With the purpose training it covers the updates
            and, if they are complete, the counts of the same replies.
        state: Digest of the sealed state from which all of its sites computed; `NO_STATE` for
            statistics.
        cohort: Digest of V, the names of the sites that were asked in this attempt.
        receipts: SHA-256 of the joined receipts of the updates, of b"" if there are none.
        sums: Each bucket that is opened, with the SHA-256 of its sum, in order of the buckets.
        count_receipts: SHA-256 of the joined receipts of the counts, of b"" if there are none.
        count_sum: SHA-256 of the sum of the counts, of b"" if they are not opened: a site of the
            roster is missing, or withholds its own. Their receipts then only sign the state.
    """

    slot: Annotated[Slot, inner(Slot, at_most=MAX_ENVELOPE_BYTES)]
    state: Annotated[bytes, fixed_bytes("the digest of a state")]
    cohort: Annotated[bytes, fixed_bytes("the digest of a cohort")]
    receipts: Annotated[bytes, fixed_bytes("the digest of receipts")]
    sums: Annotated[SumDigests, SUM_DIGESTS]
    count_receipts: Annotated[bytes, fixed_bytes("the digest of the counts' receipts")]
    count_sum: Annotated[bytes, fixed_bytes("the digest of a sum of counts")]

    @property
    def opens_counts(self) -> bool:
        """Whether the counts are opened: those of every site of the run."""
        return self.count_sum != NOTHING

    @cached_property
    def digest(self) -> bytes:
        """D: SHA-256 of the canonical bytes."""
        return hashlib.sha256(self.encode()).digest()


def digests_of_sums(sums: Mapping[int, bytes | memoryview]) -> SumDigests:
    """Return the SHA-256 of the sum of each bucket, in order of the buckets."""
    return tuple((bucket, hashlib.sha256(sums[bucket]).digest()) for bucket in sorted(sums))
