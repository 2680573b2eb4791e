"""Mask terms: what a receipt of a masked run binds a site to, beside its upload.

They travel beside the receipts. A receipt holds them because the nonce of its label is their
digest: whoever shows other terms shows another receipt.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from privacy.protocol.announcements import decode_named, encode_named
from privacy.protocol.records import Record, fixed_bytes

MAX_TERMS_BYTES = 160


@dataclass(frozen=True, kw_only=True)
class MaskTerms(Record, tag=b"consortium.mask-terms/1\n"):
    """What the masks of one upload were made for.

    Guarantee: no two uploads have the same terms, because each has its own fresh mask; so `nonce`
    is as fresh as a label's nonce must be.

    Args:
        cohort: Digest of V, the names of the sites that were asked with this one.
        commitment: Commitment to the site's own mask.
        bundle: Digest of the shares of that mask, sealed to the witnesses.
    """

    cohort: Annotated[bytes, fixed_bytes("the digest of a cohort")]
    commitment: Annotated[bytes, fixed_bytes("the commitment to a mask")]
    bundle: Annotated[bytes, fixed_bytes("the digest of a bundle of shares")]

    @cached_property
    def nonce(self) -> bytes:
        """SHA-256 of the canonical bytes: the nonce of the upload's label."""
        return hashlib.sha256(self.encode()).digest()


def join_terms(terms: Mapping[str, MaskTerms]) -> bytes:
    """Return the canonical bytes of the terms of several sites, by name."""
    return encode_named({site: one.encode() for site, one in terms.items()})


def decode_terms(data: bytes) -> Mapping[str, MaskTerms]:
    """Parse what `join_terms` wrote; raise MalformedEnvelope for anything else."""
    parts = decode_named(data, at_most=MAX_TERMS_BYTES)
    return {site: MaskTerms.decode(part) for site, part in parts.items()}
