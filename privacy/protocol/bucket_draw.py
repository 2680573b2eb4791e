"""The draw of buckets: who is added together follows from a share of each site.

All sites sign commitments to their shares before anybody reveals one. Neither a run, its seed nor
an epoch enters, so no other of them leads to another draw. docs/protocol.md, "Buckets".
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from privacy import canonical
from privacy.errors import ConsortiumError, number_of
from privacy.identity.public_identity import Agreement
from privacy.protocol.announcements import encode_named
from privacy.protocol.records import Record, SignedRecord, fixed_bytes, name, names

SHARE_SIZE = 32
MAX_COMMITMENT_BYTES = 512

_SHARE_TAG = b"consortium.committed-share/1\n"
_SET_TAG = b"consortium.committed-shares/1\n"
_SEED_TAG = b"consortium.drawn-seed/1\n"


class WrongCommitment(ConsortiumError, ValueError, code="wrong-commitment"):
    """Commitments are not one of each site of the roster, each signed for this draw."""


class WrongShare(ConsortiumError, ValueError, code="wrong-share"):
    """A share is not the one that its site committed to."""


@dataclass(frozen=True, kw_only=True)
class BucketCommitment(SignedRecord, tag=b"consortium.bucket-commitment/1\n"):
    """A site's commitment to its share of a draw.

    Args:
        draw: Digest of the draw: charter and roster.
        site: The site.
        committed: What it commits to, see `Draw.share_digest`.
    """

    draw: Annotated[bytes, fixed_bytes("the digest of a draw")]
    site: Annotated[str, name("a site")]
    committed: Annotated[bytes, fixed_bytes("the digest of a share")]


@dataclass(frozen=True, kw_only=True)
class Draw(Record, tag=b"consortium.bucket-draw/1\n"):
    """Which draw: there is one for each roster under a charter.

    Args:
        charter: Fingerprint of the charter.
        roster: The sites, in alphabetical order.
    """

    charter: Annotated[bytes, fixed_bytes("the fingerprint of a charter")]
    roster: Annotated[tuple[str, ...], names("a roster")]

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of charter and roster."""
        return hashlib.sha256(self.encode()).digest()

    def share_digest(self, site: str, share: bytes) -> bytes:
        """Return the digest by which a site commits to its share; it says nothing of the share."""
        canonical.require_bytes("a share", share, low=SHARE_SIZE, high=SHARE_SIZE)
        return hashlib.sha256(_SHARE_TAG + self.digest + canonical.text(site) + share).digest()

    def commit(self, site: str, share: bytes, sign: Callable[[bytes], bytes]) -> BucketCommitment:
        """Return a site's signed commitment to its share."""
        committed = self.share_digest(site, share)
        body = BucketCommitment.body_of(draw=self.digest, site=site, committed=committed)
        return BucketCommitment(
            draw=self.digest, site=site, committed=committed, signature=sign(body)
        )

    def read_commitment(self, site: str, encoded: bytes, agreement: Agreement) -> BucketCommitment:
        """Return a commitment that this site signed for this draw.

        Raises:
            WrongCommitment: It is of another site, or for another draw.
            BadSignature: The site did not sign it.
            MalformedEnvelope: It is none.
        """
        read = BucketCommitment.decode(encoded)
        if (read.draw, read.site) != (self.digest, site):
            raise WrongCommitment(f"this is no commitment of {site} for this roster")
        read.verify(agreement.member(site))
        return read

    def seed(self, shares: Mapping[str, bytes]) -> bytes:
        """Return what the buckets are drawn from, 32 bytes.

        Guarantee: it depends on charter, roster and the share of each site, and on nothing else.

        Raises:
            WrongShare: There is not one share for each site.
        """
        _require_all(shares, self.roster, WrongShare)
        parts = b"".join(shares[site] for site in self.roster)
        return hashlib.sha256(_SEED_TAG + self.digest + parts).digest()


@dataclass(frozen=True, kw_only=True)
class Commitments:
    """The commitments of all sites of a draw, each of them checked.

    Args:
        draw: The draw.
        by_site: The commitment of each site of its roster.
    """

    draw: Draw
    by_site: Mapping[str, BucketCommitment]

    @classmethod
    def read(cls, draw: Draw, encoded: Mapping[str, bytes], agreement: Agreement) -> "Commitments":
        """Return commitments, each signed by its site.

        Raises:
            WrongCommitment: They are not exactly one of each site of the roster.
            BadSignature, MalformedEnvelope: As in `Draw.read_commitment`.
        """
        _require_all(encoded, draw.roster, WrongCommitment)
        by_site = {
            site: draw.read_commitment(site, encoded[site], agreement) for site in draw.roster
        }
        return cls(draw=draw, by_site=by_site)

    @property
    def digest(self) -> bytes:
        """SHA-256 of all that is committed to; a second signature of the same changes nothing."""
        parts = b"".join(self.by_site[site].committed for site in self.draw.roster)
        return hashlib.sha256(_SET_TAG + self.draw.digest + parts).digest()

    def encode(self) -> bytes:
        """Return the canonical bytes of all commitments, signatures included."""
        return encode_named({site: one.encode() for site, one in self.by_site.items()})

    def require_share(self, site: str, share: bytes) -> None:
        """Check that a site committed to this share.

        Raises:
            WrongShare: It committed to another.
            MalformedEnvelope: The share has another length.
        """
        if self.draw.share_digest(site, share) != self.by_site[site].committed:
            raise WrongShare(f"{site} committed to another share than this one")

    def seed(self, shares: Mapping[str, bytes]) -> bytes:
        """Return what the buckets are drawn from, once every share is the committed one.

        Raises:
            WrongShare: One is missing, or is another.
            MalformedEnvelope: One has another length.
        """
        _require_all(shares, self.draw.roster, WrongShare)
        for site, share in shares.items():
            self.require_share(site, share)
        return self.draw.seed(shares)


def _require_all(
    parts: Mapping[str, bytes],
    roster: tuple[str, ...],
    refused: type[WrongCommitment] | type[WrongShare],
) -> None:
    if set(parts) != set(roster):
        raise refused(
            f"{number_of(len(roster), 'site')} draw together, and there are {len(parts)} parts, "
            "or of others",
            needed=len(roster),
            came=len(parts),
        )
