"""Pair memory: a site's pair keys and pair secrets, from their making to their deletion.

They lie in the site's memory, whose files have mode 0600. What is deleted is gone from the
database, from its free pages and from the write-ahead log.
"""

from dataclasses import dataclass

from privacy.errors import ConsortiumError
from privacy.protocol.masks.pair_messages import TwoPairSecrets
from privacy.secrets.keys import Secret
from privacy.storage.erasures import Erasures
from privacy.storage.sqlite import SiteDatabase

PAIR_TABLES = (
    # A key keeps its row when the private half is deleted: it has one run, ever.
    "CREATE TABLE IF NOT EXISTS pair_keys"
    " (offer BLOB PRIMARY KEY, charter TEXT NOT NULL, material BLOB NOT NULL, run TEXT UNIQUE)"
    " STRICT",
    "CREATE TABLE IF NOT EXISTS masked_runs"
    " (run TEXT PRIMARY KEY, charter TEXT NOT NULL, day INTEGER NOT NULL, ended INTEGER NOT NULL)"
    " STRICT",
    "CREATE TABLE IF NOT EXISTS pair_secrets"
    " (run TEXT, partner TEXT, ciphertext BLOB NOT NULL, secret BLOB NOT NULL,"
    " PRIMARY KEY (run, partner)) STRICT",
)
MOST_OPEN_RUNS = 3  # under one charter

_OPEN = "SELECT run FROM masked_runs WHERE NOT ended"


class PairKeyUnknown(ConsortiumError, LookupError, code="pair-key-unknown"):
    """A run has no pair key that this site made for its charter."""


class PairKeyUsed(ConsortiumError, ValueError, code="pair-key-used"):
    """A pair key belongs to another run, or a run has another pair key."""


class RunForgotten(ConsortiumError, LookupError, code="run-forgotten"):
    """This site holds no pair secrets of a run any more, so it takes no further part in it."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False, slots=True)
class KeptPairKey(Secret):
    """A pair key as a site keeps it.

    Args:
        offer: The signed public key, as it is sent.
        material: The private key; empty once it is deleted.
    """

    offer: bytes
    material: bytes

    # A frozen dataclass with slots would define its own `__getstate__`.
    __getstate__ = Secret.__getstate__


@dataclass(frozen=True, kw_only=True, repr=False, eq=False, slots=True)
class KeptPairSecret(Secret):
    """A pair secret as a site keeps it.

    Args:
        ciphertext: The signed ciphertext that it came from, as it was sent.
        secret: k_ij.
    """

    ciphertext: bytes
    secret: bytes

    __getstate__ = Secret.__getstate__


class PairMemory:
    """The pair keys and pair secrets of one site.

    Guarantee: what a call stored survives the death of the process or of the machine at any
    moment. If two processes decide at the same time, the first decision holds. What was deleted is
    gone as `Erasures` says.

    Args:
        database: Database that holds `PAIR_TABLES`, the shares of `MaskMemory`, the burned keys and
            the openings.
        erasures: Of this database.
    """

    def __init__(self, database: SiteDatabase, erasures: Erasures) -> None:
        self._database, self._erasures = database, erasures

    @property
    def erasure_is_due(self) -> bool:
        """Whether a secret that was deleted may still be in the log: another process reads it."""
        return self._erasures.is_due

    def unused_key(self, charter: str) -> KeptPairKey | None:
        """Return the pair key that no run under a charter has taken yet, or None."""
        row = self._database.row(
            "SELECT offer, material FROM pair_keys WHERE charter = ? AND run IS NULL", charter
        )
        return KeptPairKey(offer=row[0], material=row[1]) if row else None

    def keep_unused_key(self, charter: str, key: KeptPairKey) -> KeptPairKey:
        """Keep a new pair key, unless there is an unused one; return the one that stands."""
        with self._database.writing():
            standing = self.unused_key(charter)
            if standing is not None:
                return standing
            self._database.execute(
                "INSERT INTO pair_keys VALUES (?, ?, ?, NULL)", key.offer, charter, key.material
            )
        return key

    def run_to_burn(self, charter: str, run: str) -> str:
        """Return which run is burned when this one begins; empty if none is.

        An open run is parked or under way. There are at most `MOST_OPEN_RUNS` of them under a
        charter. The coordinator is told which is the oldest before it begins one more.
        """
        known = self._database.row("SELECT run FROM masked_runs WHERE run = ?", run)
        given_up = self._openings_before(run)
        under_way = [one for one in self.open_runs(charter) if one not in given_up]
        return "" if known or len(under_way) < MOST_OPEN_RUNS else under_way[0]

    def begin_run(self, charter: str, run: str, *, offer: bytes, day: int) -> KeptPairKey:
        """Give a run its pair key, for ever: a key has one run, and a run has one key.

        Earlier openings of the same lineage are forgotten: a run is opened once more where nothing
        came of them. So is the oldest open run if this one would be too many. Begun again with the
        same key, nothing changes.

        Args:
            charter: Fingerprint of the charter, hexadecimal.
            run: The run id.
            offer: The signed public key in this site's name, from the run's list.
            day: Today, as `date.toordinal`.

        Raises:
            PairKeyUnknown: This site did not make that key under this charter.
            PairKeyUsed: The key has another run, or the run another key.
            RunForgotten: The secrets of this run were deleted.
        """
        with self._erasures.writing():
            self._require_offered(charter, run, offer)
            if self._database.row("SELECT run FROM masked_runs WHERE run = ?", run):
                require_open_run(self._database, run)
            else:
                burned = self.run_to_burn(charter, run)
                for over in (*self._openings_before(run), *([burned] if burned else [])):
                    self._forget(over)
                self._database.execute("UPDATE pair_keys SET run = ? WHERE offer = ?", run, offer)
                self._database.execute(
                    "INSERT INTO masked_runs VALUES (?, ?, ?, 0)", run, charter, day
                )
        return self.run_key(run)

    def run_key(self, run: str) -> KeptPairKey:
        """Return the pair key of a run.

        Raises:
            PairKeyUnknown: It has none at this site.
        """
        row = self._database.row("SELECT offer, material FROM pair_keys WHERE run = ?", run)
        if row is None:
            raise PairKeyUnknown(f"run {run} was not begun at this site: no pair key is its own")
        return KeptPairKey(offer=row[0], material=row[1])

    def drop_private_key(self, run: str) -> None:
        """Delete the private key of a run, once every pair secret that came for it is kept."""
        with self._erasures.writing():
            self._drop_private_key(run)

    def keep_made_secret(self, run: str, recipient: str, made: KeptPairSecret) -> KeptPairSecret:
        """Keep a pair secret that this site made; return the one that stands: the first.

        Raises:
            RunForgotten: The secrets of this run were deleted.
        """
        with self._database.writing():
            return self._stored_secret(run, recipient, made)

    def keep_received_secret(self, run: str, sender: str, received: KeptPairSecret) -> None:
        """Keep a pair secret that another member made; kept again, nothing changes.

        Raises:
            TwoPairSecrets: The sender signed another one before.
            RunForgotten: The secrets of this run were deleted.
        """
        with self._database.writing():
            standing = self._stored_secret(run, sender, received)
        if standing.ciphertext != received.ciphertext:
            raise TwoPairSecrets(
                f"{sender} signed two different pair secrets for this site in run {run}: both are "
                "proof against it, and the members decide whether they run without it"
            )

    def pair_secrets(self, run: str) -> dict[str, KeptPairSecret]:
        """Return the pair secrets of a run by the name of the other site.

        Raises:
            RunForgotten: They were deleted.
        """
        require_open_run(self._database, run)
        rows = self._database.rows(
            "SELECT partner, ciphertext, secret FROM pair_secrets WHERE run = ? ORDER BY partner",
            run,
        )
        return {
            partner: KeptPairSecret(ciphertext=ciphertext, secret=secret)
            for partner, ciphertext, secret in rows
        }

    def open_runs(self, charter: str = "") -> tuple[str, ...]:
        """Return the runs whose secrets are kept, the oldest first; of all charters if empty."""
        found = self._database.column(
            f"{_OPEN} AND (charter = ? OR ? = '') ORDER BY rowid", charter, charter
        )
        return tuple(found)

    def release_run(self, run: str) -> None:
        """Delete every secret of a run that came to its end; what it confirmed stays."""
        with self._erasures.writing():
            self._delete(run)

    def forget_run(self, run: str) -> bool:
        """Burn a run and delete its secrets; return whether it stood open."""
        with self._erasures.writing():
            stood_open = run in self.open_runs()
            self._forget(run)
        return stood_open

    def forget_runs_before(self, day: int) -> tuple[str, ...]:
        """Burn the open runs that began before a day (`date.toordinal`); return which they were."""
        with self._erasures.writing():
            old = tuple(self._database.column(f"{_OPEN} AND day < ? ORDER BY rowid", day))
            for run in old:
                self._forget(run)
        return old

    def forget_open_runs(self) -> tuple[str, ...]:
        """Burn every open run, and delete every unused key; return which runs they were.

        This is for a memory that was put back from an older copy: it does not know what it
        confirmed since, nor which run took its unused key.
        """
        with self._erasures.writing():
            runs = self.open_runs()
            for run in runs:
                self._forget(run)
            self._database.execute("DELETE FROM pair_keys WHERE run IS NULL")
            self._erasures.note()
        return runs

    def _openings_before(self, run: str) -> list[str]:
        """Return the other runs of the lineage of this one whose secrets are kept."""
        return self._database.column(
            "SELECT run FROM masked_runs JOIN openings USING (run) WHERE NOT ended AND run <> ?"
            " AND lineage = (SELECT lineage FROM openings WHERE run = ?)",
            run,
            run,
        )

    def _require_offered(self, charter: str, run: str, offer: bytes) -> None:
        made = self._database.row("SELECT charter, run FROM pair_keys WHERE offer = ?", offer)
        if made is None or made[0] != charter:
            raise PairKeyUnknown(
                f"the pair key in this site's name in run {run} is none that it made under this "
                "charter: start the run anew, and it is asked for its key"
            )
        taken = self._database.row("SELECT offer FROM pair_keys WHERE run = ?", run)
        if made[1] not in {None, run} or taken not in {None, (offer,)}:
            raise PairKeyUsed(
                f"a pair key has one run and a run one key: that of run {run} is taken; start the "
                "run anew, and this site is asked for another key"
            )

    def _stored_secret(self, run: str, partner: str, pair: KeptPairSecret) -> KeptPairSecret:
        require_open_run(self._database, run)
        self._database.execute(
            "INSERT OR IGNORE INTO pair_secrets VALUES (?, ?, ?, ?)",
            run,
            partner,
            pair.ciphertext,
            pair.secret,
        )
        ciphertext, secret = self._database.row(
            "SELECT ciphertext, secret FROM pair_secrets WHERE run = ? AND partner = ?",
            run,
            partner,
        )
        return KeptPairSecret(ciphertext=ciphertext, secret=secret)

    def _forget(self, run: str) -> None:
        self._database.execute("INSERT OR IGNORE INTO burned VALUES (?)", run)
        self._delete(run)

    def _delete(self, run: str) -> None:
        self._database.execute("UPDATE masked_runs SET ended = 1 WHERE run = ?", run)
        self._database.execute("DELETE FROM pair_secrets WHERE run = ?", run)
        self._database.execute("DELETE FROM own_shares WHERE run = ?", run)
        self._drop_private_key(run)

    def _drop_private_key(self, run: str) -> None:
        self._database.execute("UPDATE pair_keys SET material = x'' WHERE run = ?", run)
        self._erasures.note()


def require_open_run(database: SiteDatabase, run: str) -> None:
    """Check that a site's database still holds the pair secrets of a run.

    Raises:
        RunForgotten: It does not.
    """
    if not database.row(f"{_OPEN} AND run = ?", run):
        raise RunForgotten(
            f"this site holds no pair secrets of run {run}: it came to its end, was forgotten, or "
            "was never begun here; start a new run"
        )
