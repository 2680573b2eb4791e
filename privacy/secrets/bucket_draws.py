"""Bucket draws: a site's part in drawing who is added together, and what it remembers of it.

A site reveals its share for the first complete set of commitments only, for ever. So who has seen
the shares of others can choose no other share of its own. docs/protocol.md, "Buckets".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from privacy.errors import ConsortiumError, number_of
from privacy.identity.public_identity import Agreement
from privacy.protocol.announcements import decode_named
from privacy.protocol.bucket_draw import (
    MAX_COMMITMENT_BYTES,
    Commitments,
    Draw,
    WrongCommitment,
)
from privacy.protocol.receipts import NotInRoster, TooFewOthers
from privacy.secrets.keys import Identity
from privacy.storage.sqlite import SiteDatabase

DRAW_TABLES = (
    "CREATE TABLE IF NOT EXISTS bucket_draws (draw BLOB PRIMARY KEY, charter BLOB NOT NULL,"
    " digest BLOB NOT NULL, commitments BLOB NOT NULL, seed BLOB) STRICT",
)
MOST_DRAWS = 1_024  # rosters for which a site reveals a share under one charter


class OtherCommitments(ConsortiumError, PermissionError, code="other-commitments"):
    """This site revealed its share for other commitments of the same sites before."""


class TooManyDraws(ConsortiumError, PermissionError, code="too-many-draws"):
    """This site drew buckets for as many rosters as it does under one charter."""


class NoBucketDraw(ConsortiumError, LookupError, code="no-bucket-draw"):
    """The sites of a run drew no buckets together, as far as this site knows."""


class DrawMemory:
    """The draws of one site.

    Guarantee: what a call stored survives the death of the process or of the machine at any
    moment. If two processes decide at the same time, the first decision holds.

    Args:
        database: Database that holds `DRAW_TABLES`.
    """

    def __init__(self, database: SiteDatabase) -> None:
        self._database = database

    def bind(self, commitments: Commitments) -> None:
        """Remember for which commitments this site reveals its share: for the first ones.

        Raises:
            OtherCommitments: They were others before.
            TooManyDraws: They are of a new roster, after `MOST_DRAWS` others under the charter.
        """
        draw, digest = commitments.draw, commitments.digest
        with self._database.writing():
            held = self._database.row("SELECT digest FROM bucket_draws WHERE draw = ?", draw.digest)
            if held is None:
                self._require_room(draw.charter)
                self._database.execute(
                    "INSERT INTO bucket_draws VALUES (?, ?, ?, ?, NULL)",
                    draw.digest,
                    draw.charter,
                    digest,
                    commitments.encode(),
                )
        if held not in {None, (digest,)}:
            raise OtherCommitments(
                "this site revealed its share of the buckets for other commitments of these "
                "sites, so one of them signed two: run without it"
            )

    def _require_room(self, charter: bytes) -> None:
        # There are as many draws as rosters. Who may ask for each of them fills the disk, and
        # chooses the draw that suits it.
        row = self._database.row("SELECT COUNT(*) FROM bucket_draws WHERE charter = ?", charter)
        if row and row[0] >= MOST_DRAWS:
            raise TooManyDraws(
                f"this site drew buckets for {MOST_DRAWS} rosters under this charter, and draws "
                "for no other: run with sites that drew together before, or in one bucket, or let "
                "the members sign the charter's next revision",
                at_most=MOST_DRAWS,
            )

    def commitments(self, draw: Draw) -> dict[str, bytes]:
        """Return the encoded commitments for which this site revealed its share; empty if none."""
        row = self._database.row("SELECT commitments FROM bucket_draws WHERE draw = ?", draw.digest)
        return decode_named(row[0], at_most=MAX_COMMITMENT_BYTES) if row else {}

    def keep_seed(self, draw: Draw, seed: bytes) -> None:
        """Keep what was drawn; the commitments are remembered already, and lead to no other."""
        with self._database.writing():
            self._database.execute(
                "UPDATE bucket_draws SET seed = ? WHERE draw = ?", seed, draw.digest
            )

    def seed(self, draw: Draw) -> bytes | None:
        """Return what was drawn, or None."""
        row = self._database.row("SELECT seed FROM bucket_draws WHERE draw = ?", draw.digest)
        return row[0] if row else None


@dataclass(frozen=True, kw_only=True)
class SiteDraws:
    """A site's part in the draws of buckets.

    Args:
        identity: Its secret keys, from which its shares follow.
        agreement: The charter's, as this site knows it.
        memory: What it remembers of draws.
    """

    identity: Identity
    agreement: Agreement
    memory: DrawMemory

    def commit(self, roster: Sequence[str]) -> tuple[dict[str, bytes], bool]:
        """Return this site's commitment for a roster, and whether it holds the draw already.

        If it revealed its share before, it returns the commitments of all sites for which it did.

        Raises:
            NotAMember, NotInRoster, TooFewOthers: The charter does not allow the roster.
            MalformedEnvelope: It is none.
        """
        draw, site = self._draw(roster), self.identity.name
        held = self.memory.commitments(draw)
        if not held:
            share = self.identity.bucket_share(draw.digest)
            held = {site: draw.commit(site, share, self.identity.sign).encode()}
        return held, self.memory.seed(draw) is not None

    def reveal(self, encoded: Mapping[str, bytes]) -> bytes:
        """Return this site's share, for the first commitments of all sites that are shown to it.

        Guarantee: it is on the disk for which commitments, before the share is returned.

        Raises:
            WrongCommitment: They are not one of each site, or this site's own is altered.
            OtherCommitments: The share was revealed for others before.
            TooManyDraws: It was revealed for as many other rosters as there may be.
            ConsortiumError: The roster is not allowed, or a site did not sign its commitment.
        """
        draw, site = self._draw(tuple(encoded)), self.identity.name
        commitments = Commitments.read(draw, encoded, self.agreement)
        share = self.identity.bucket_share(draw.digest)
        if commitments.by_site[site].committed != draw.share_digest(site, share):
            raise WrongCommitment("the commitment in this site's name is not its own")
        self.memory.bind(commitments)
        return share

    def draw(self, shares: Mapping[str, bytes]) -> None:
        """Keep the draw that follows from the shares of all sites.

        Raises:
            NoBucketDraw: This site revealed no share for these sites.
            WrongShare: A share is missing, or is not the one that was committed to.
            ConsortiumError: The roster is not allowed.
        """
        draw = self._draw(tuple(shares))
        held = self.memory.commitments(draw)
        if not held:
            raise NoBucketDraw("this site was shown no commitments of these sites")
        commitments = Commitments.read(draw, held, self.agreement)
        self.memory.keep_seed(draw, commitments.seed(shares))

    def seed(self, roster: Sequence[str]) -> bytes:
        """Return what the buckets of a roster are drawn from, 32 bytes.

        Raises:
            NoBucketDraw: The sites did not draw.
        """
        seed = self.memory.seed(self._draw(roster))
        if seed is None:
            raise NoBucketDraw(
                f"the {number_of(len(roster), 'site')} of this run drew no buckets together, as "
                "far as this "
                "site knows: start the run anew, and its sites draw before it is opened"
            )
        return seed

    def _draw(self, roster: Sequence[str]) -> Draw:
        draw = Draw(charter=self.agreement.charter, roster=tuple(roster))
        self.agreement.roster(draw.roster)
        if self.identity.name not in draw.roster:
            raise NotInRoster(
                f"{self.identity.name} is not among these {number_of(len(draw.roster), 'site')}"
            )
        needed = self.agreement.min_others + 1
        if len(draw.roster) < needed:
            raise TooFewOthers(
                f"{number_of(needed, 'site')} or more draw buckets, the roster names "
                f"{len(draw.roster)}",
                needed=needed,
                came=len(draw.roster),
            )
        return draw
