"""The part of a question that only masked runs have: who is asked, and what was confirmed.

It stands in the question beside receipts and sums, and the coordinator signs it with them. It is
parsed from untrusted bytes, and only its form is checked here.
"""

from dataclasses import dataclass
from typing import Annotated

from privacy.protocol.records import Record, blob, names

MAX_TERMS_BYTES = 256  # of one upload
MAX_BUNDLE_BYTES = 2**13  # of the shares of one upload, one for each of at most 32 witnesses
MAX_ENTRY_BYTES = 256  # of one share in a bundle
MAX_JOINED_TERMS_BYTES = 2**19
MAX_CONFIRMATION_BYTES = 2**19
MAX_CONFIRMATIONS_BYTES = 2**24 + 2**12
MAX_MASK_PART_BYTES = MAX_CONFIRMATIONS_BYTES + 2 * MAX_JOINED_TERMS_BYTES + 2**19


@dataclass(frozen=True, kw_only=True)
class MaskPart(Record, tag=b"consortium.mask-part/1\n"):
    """Who is asked, and the set whose sums are shown. Absent parts are empty.

    Args:
        asked: V of this question: the sites that answer it, sorted.
        cohort: V of the set that is opened: the sites that were asked for it.
        terms: The mask terms of its updates, joined.
        count_terms: The mask terms of its counts, joined.
        confirmations: The confirmations of the set, joined.
    """

    asked: Annotated[tuple[str, ...], names("the sites that are asked")]
    cohort: Annotated[tuple[str, ...], names("the sites that were asked")] = ()
    terms: Annotated[bytes, blob("joined mask terms", low=0, high=MAX_JOINED_TERMS_BYTES)] = b""
    count_terms: Annotated[
        bytes, blob("joined mask terms of counts", low=0, high=MAX_JOINED_TERMS_BYTES)
    ] = b""
    confirmations: Annotated[
        bytes, blob("joined confirmations", low=0, high=MAX_CONFIRMATIONS_BYTES)
    ] = b""
