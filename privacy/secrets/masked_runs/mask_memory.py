"""Mask memory: a site's own shares, and the one set that it confirms in each round.

A site confirms one set for each round of a run, over all attempts, for ever. Everything that a
masked run keeps secret from the coordinator follows from this, so what was confirmed is never
deleted. docs/protocol.md, "Masks".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from privacy import canonical
from privacy.errors import ConsortiumError
from privacy.protocol.envelope import EVALUATION, TRAINING, Slot, WrongAttempt
from privacy.secrets.masked_runs.pair_memory import require_open_run
from privacy.storage.erasures import Erasures
from privacy.storage.reply_store import ReplyStore
from privacy.storage.sqlite import SiteDatabase

MASK_TABLES = (
    "CREATE TABLE IF NOT EXISTS own_shares"
    " (run TEXT, purpose TEXT, server_round INTEGER, attempt INTEGER, share BLOB NOT NULL,"
    " PRIMARY KEY (run, purpose, server_round, attempt)) STRICT",
    "CREATE TABLE IF NOT EXISTS confirmed"
    " (run TEXT, place TEXT, server_round INTEGER, attempt INTEGER NOT NULL,"
    " set_digest BLOB NOT NULL, PRIMARY KEY (run, place, server_round)) STRICT",
    "CREATE TABLE IF NOT EXISTS bucket_sites"
    " (run TEXT, bucket INTEGER, sites BLOB NOT NULL, PRIMARY KEY (run, bucket)) STRICT",
)

_ROUNDS = (TRAINING, EVALUATION)


class RoundConfirmed(ConsortiumError, ValueError, code="round-confirmed"):
    """This site confirmed another set, or another attempt, of this round."""


class OtherSetConfirmed(ConsortiumError, PermissionError, code="other-set-confirmed"):
    """A bucket was confirmed with other sites in this run, whose charter allows one set."""


@dataclass(frozen=True, kw_only=True)
class ConfirmedSet:
    """What a site confirmed, or opened, in a round.

    Args:
        attempt: The attempt.
        set_digest: D.
    """

    attempt: int
    set_digest: bytes


class MaskMemory:
    """The shares and confirmations of one site.

    Guarantee: what a call stored survives the death of the process or of the machine at any
    moment. If two processes decide at the same time, the first decision holds. What was deleted is
    gone as `Erasures` says.

    `AnswerMemory` keeps a witness's own share in one commit with its answer.

    Args:
        database: Database that holds `MASK_TABLES`, the answers and the pair secrets.
        replies: What the site answered, in the same database.
        erasures: Of this database.
    """

    def __init__(self, database: SiteDatabase, replies: ReplyStore, erasures: Erasures) -> None:
        self._database, self._replies, self._erasures = database, replies, erasures

    def own_share(self, slot: Slot) -> bytes | None:
        """Return this site's own share of the mask of its upload in a slot, or None."""
        row = self._database.row(
            "SELECT share FROM own_shares"
            " WHERE run = ? AND purpose = ? AND server_round = ? AND attempt = ?",
            slot.run,
            slot.purpose,
            slot.server_round,
            slot.attempt,
        )
        return row[0] if row else None

    def confirmed(self, slot: Slot) -> ConfirmedSet | None:
        """Return what this site confirmed or opened in the round of a slot, or None."""
        return _confirmed(self._database, slot)

    def require_bucket_sites(self, run: str, bucket: int, sites: Sequence[str]) -> None:
        """Check that a bucket was confirmed with these sites only, where a run has one set.

        Raises:
            OtherSetConfirmed: It was confirmed with others.
        """
        held = self._database.row(
            "SELECT sites FROM bucket_sites WHERE run = ? AND bucket = ?", run, bucket
        )
        if held not in {None, (canonical.names(sorted(sites)),)}:
            raise OtherSetConfirmed(
                f"bucket {bucket} of run {run} was confirmed with other sites, and the charter "
                "allows one set in a run (`sets_in_run`): wait for who is missing, or leave the "
                "bucket out",
                bucket=bucket,
            )

    def confirm(
        self,
        slot: Slot,
        set_digest: bytes,
        *,
        only_sites: Mapping[int, Sequence[str]],
        claim: Callable[[], None],
    ) -> None:
        """Remember, in one commit, that this site confirms a set and no other of its round.

        Updates and counts of one round are one decision: training and evaluation share the place.
        Confirmed again, nothing changes.

        Args:
            slot: Of the set, attempt included.
            set_digest: D.
            only_sites: The sites of each bucket that is there, where the charter allows one set in
                a run; empty where it allows any.
            claim: Called within the commit; it claims rosters, and raises where it may not.

        Raises:
            RoundConfirmed: Another set was confirmed in this round.
            WrongAttempt: A later attempt at this round was answered.
            OtherSetConfirmed: A bucket was confirmed with other sites before.
            RunForgotten: The secrets of this run were deleted.
            ConsortiumError: As `claim`.
        """
        with self._database.writing():
            require_open_run(self._database, slot.run)
            if self._is_decided(slot, set_digest):
                return
            self._require_last_attempt(slot)
            claim()
            self._decide(slot, set_digest, only_sites)

    def accept(
        self, slot: Slot, set_digest: bytes, *, only_sites: Mapping[int, Sequence[str]]
    ) -> None:
        """Remember, before a confirmed set is opened, that it is the one of its round.

        This site's shares, updates and uploads of earlier rounds are deleted: nobody can ask for
        them any more. Accepted again, nothing changes, also after the run was released.

        Raises:
            RoundConfirmed, OtherSetConfirmed, RunForgotten: As `confirm`.
        """
        earlier = (slot.run, slot.server_round)
        with self._replies.writing():
            if not self._is_decided(slot, set_digest):
                require_open_run(self._database, slot.run)
                self._decide(slot, set_digest, only_sites)
            deleted = self._replies.let_go_before(*earlier) + self._database.execute(
                "DELETE FROM own_shares WHERE run = ? AND server_round < ?", *earlier
            )
            if deleted:
                self._erasures.note()
        # Until the run ends, the disk holds the pair secrets that open these shares, too.
        self._erasures.finish_with_the_next()

    def _is_decided(self, slot: Slot, set_digest: bytes) -> bool:
        """Return whether this set is the one of its round; False if none is yet."""
        standing = self.confirmed(slot)
        if standing is None:
            return False
        if standing != ConfirmedSet(attempt=slot.attempt, set_digest=set_digest):
            raise RoundConfirmed(
                f"this site confirmed another set of round {slot.server_round}, in attempt "
                f"{standing.attempt}: it confirms and opens no other one, ever"
            )
        return True

    def _require_last_attempt(self, slot: Slot) -> None:
        places = _ROUNDS if slot.purpose in _ROUNDS else (slot.purpose, slot.purpose)
        later = self._database.row(
            "SELECT max(attempt) FROM answers"
            " WHERE run = ? AND server_round = ? AND purpose IN (?, ?)",
            slot.run,
            slot.server_round,
            *places,
        )[0]
        if later is not None and later > slot.attempt:
            raise WrongAttempt(
                f"this site answered attempt {later} at round {slot.server_round}: attempt "
                f"{slot.attempt} was void, and no set of it is confirmed",
                needed=later,
                came=slot.attempt,
            )

    def _decide(
        self, slot: Slot, set_digest: bytes, only_sites: Mapping[int, Sequence[str]]
    ) -> None:
        for bucket, sites in only_sites.items():
            self.require_bucket_sites(slot.run, bucket, sites)
            self._database.execute(
                "INSERT OR IGNORE INTO bucket_sites VALUES (?, ?, ?)",
                slot.run,
                bucket,
                canonical.names(sorted(sites)),
            )
        self._database.execute(
            "INSERT INTO confirmed VALUES (?, ?, ?, ?, ?)", *_round(slot), slot.attempt, set_digest
        )


def keep_own_share(database: SiteDatabase, slot: Slot, share: bytes) -> None:
    """Keep a witness's own share of the mask of its upload in a slot, within `writing`.

    Raises:
        RunForgotten: The secrets of the run were deleted.
    """
    require_open_run(database, slot.run)
    database.execute(
        "INSERT INTO own_shares VALUES (?, ?, ?, ?, ?)",
        slot.run,
        slot.purpose,
        slot.server_round,
        slot.attempt,
        share,
    )


def require_undecided(database: SiteDatabase, slot: Slot) -> None:
    """Check, before anything is sealed for a slot, that no other attempt was confirmed.

    Raises:
        RoundConfirmed: One was: a second sum of this round would show the difference of the two.
    """
    standing = _confirmed(database, slot)
    if standing is not None and standing.attempt != slot.attempt:
        raise RoundConfirmed(
            f"this site confirmed a set of attempt {standing.attempt} at round "
            f"{slot.server_round}: it seals nothing in attempt {slot.attempt}"
        )


def _confirmed(database: SiteDatabase, slot: Slot) -> ConfirmedSet | None:
    row = database.row(
        "SELECT attempt, set_digest FROM confirmed"
        " WHERE run = ? AND place = ? AND server_round = ?",
        *_round(slot),
    )
    return ConfirmedSet(attempt=row[0], set_digest=row[1]) if row else None


def _round(slot: Slot) -> tuple[str, str, int]:
    # The counts of a round are in one set with its updates: a set of counts alone, beside it,
    # would be a second one.
    place = TRAINING if slot.purpose in _ROUNDS else slot.purpose
    return slot.run, place, slot.server_round
