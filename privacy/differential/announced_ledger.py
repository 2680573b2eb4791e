"""A ledger that knows when an older copy of it was put back: by what other members hold of it.

Before each run that costs privacy a site announces itself under the next number, and the other
members sign what they held of it before (`privacy.protocol.announcements`). What this ledger keeps
of that lies in the same file as its entries, so that both are always of one moment.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from privacy.differential.ledger import Ledger
from privacy.differential.ledger_entries import Committed, Content, Released, Used, event_size
from privacy.errors import ConsortiumError, abbreviated_names, number_of

FRESH_S = 3_600.0  # how long an announcement may be answered, and then used
KEPT = 512  # announcements of each other member


class LedgerRestored(ConsortiumError, PermissionError, code="ledger-restored"):
    """Other members hold announcements of this site that it does not know: it was put back."""


class LedgerNotCompared(ConsortiumError, PermissionError, code="ledger-not-compared"):
    """Too few members said what they hold of this site before this run."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """An announcement of this site that it does not know, as another member showed it.

    Args:
        number: Its number.
        digest: Its digest.
        encoded: The announcement.
        charter: Fingerprint of the charter under which it was shown.
        roster: For which sites the member that showed it counts exactly.
    """

    number: int
    digest: bytes
    encoded: bytes = field(repr=False)
    charter: str
    roster: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Held:
    """An announcement of another member, which a site holds.

    Args:
        member: Who announced it.
        number: Its number.
        digest: Its digest.
        encoded: The announcement.
    """

    member: str
    number: int
    digest: bytes
    encoded: bytes = field(repr=False)


class AnnouncedLedger(Ledger):
    """The ledger of one site, with what it announced and what it holds of others.

    Guarantee: a number is announced until the other members have answered it, and only then the
    next one. So whoever answered a number that this ledger does not hold answered a later state.
    """

    form = replace(
        Ledger.form,
        later_tables=(
            "CREATE TABLE IF NOT EXISTS announced"
            " (number INTEGER, digest BLOB, made REAL NOT NULL, passed REAL, witnesses TEXT,"
            " run TEXT, PRIMARY KEY (number, digest)) STRICT",
            "CREATE TABLE IF NOT EXISTS announced_settings"
            " (digest BLOB PRIMARY KEY, settings TEXT NOT NULL) STRICT",
            "CREATE TABLE IF NOT EXISTS held"
            " (member TEXT, number INTEGER, digest BLOB, encoded BLOB NOT NULL,"
            " PRIMARY KEY (member, number, digest)) STRICT",
            "CREATE TABLE IF NOT EXISTS lost"
            " (number INTEGER, digest BLOB, encoded BLOB NOT NULL, charter TEXT NOT NULL,"
            " roster TEXT NOT NULL, PRIMARY KEY (number, digest, charter, roster)) STRICT",
        ),
    )

    def next_number(self) -> int:
        """Return the number under which this site announces its next run."""
        row = self._database.row("SELECT MAX(number) FROM announced WHERE passed IS NOT NULL")
        return (row[0] or 0) + 1

    def note_announced(self, number: int, digest: bytes, *, settings: str, at: float) -> None:
        """Remember an announcement of this site, before anybody is told.

        Args:
            number: Its number.
            digest: Its digest.
            settings: Digest of the run config that it plans.
            at: When it was made, in seconds since 1970.
        """
        with self._database.writing():
            self._database.execute(
                "INSERT INTO announced VALUES (?, ?, ?, NULL, NULL, NULL)", number, digest, at
            )
            self._database.execute("INSERT INTO announced_settings VALUES (?, ?)", digest, settings)

    def is_fresh(self, digest: bytes, *, at: float) -> bool:
        """Return whether answers to an announcement of this site are believed now."""
        row = self._database.row("SELECT made FROM announced WHERE digest = ?", digest)
        return row is not None and at - FRESH_S <= row[0] <= at

    def knows(self, number: int, digest: bytes) -> bool:
        """Return whether this site made an announcement, as far as this ledger knows."""
        found = self._database.row(
            "SELECT 1 FROM announced WHERE number = ? AND digest = ?", number, digest
        )
        return found is not None

    def note_passed(self, digest: bytes, witnesses: Collection[str], *, at: float) -> None:
        """Remember that these members answered an announcement, and showed nothing unknown."""
        with self._database.writing():
            before = self._witnesses(digest)
            self._database.execute(
                "UPDATE announced SET passed = COALESCE(passed, ?), witnesses = ? WHERE digest = ?",
                at,
                json.dumps(sorted({*before, *witnesses})),
                digest,
            )

    def require_compared(
        self, run: str, *, settings: str, others: Sequence[str], needed: int, at: float
    ) -> None:
        """Check that enough other members answered before a run, and know nothing that this lacks.

        One comparison serves one run, from its first question to its end, with the settings that
        were announced: what the others hold is the plan of what is done.

        Args:
            run: The run.
            settings: Digest of its config.
            others: The members whose answers count.
            needed: How many of them must have answered.
            at: The time, in seconds since 1970.

        Raises:
            LedgerRestored: A member holds what this ledger does not know.
            LedgerNotCompared: Too few answered.
        """
        self.require_nothing_lost()
        with self._database.writing():
            found = self._database.row(
                "SELECT digest FROM announced NATURAL JOIN announced_settings WHERE settings = ?"
                " AND (run = ? OR (run IS NULL AND passed >= ?))"
                " ORDER BY run IS NULL, number DESC LIMIT 1",
                *(settings, run, at - FRESH_S),
            )
            if found is not None:
                self._database.execute(
                    "UPDATE announced SET run = ? WHERE digest = ?", run, found[0]
                )
            answered = set(others) & (self._witnesses(found[0]) if found else set())
        if len(answered) < needed:
            raise LedgerNotCompared(
                f"{number_of(needed, 'other member')} must say what they hold of this site before "
                f"such a run, and {len(answered)} did; missing are "
                f"{abbreviated_names(sorted(set(others) - answered)) or 'none'}. Start the run "
                "again with them",
                needed=needed,
                came=len(answered),
            )

    def require_nothing_lost(self) -> None:
        """Check that no member showed an announcement that this ledger does not know.

        Raises:
            LedgerRestored: One did.
        """
        numbers = sorted({one.number for one in self.lost()})
        if numbers:
            raise LedgerRestored(
                f"other members hold {len(numbers)} announcements of this site that its ledger "
                f"does not know, numbers {numbers[0]} to {numbers[-1]}: it was put back from an "
                "older copy, and shows less than was spent. Enter what is missing with "
                "`consortium site ledger SITE --enter-gap`",
                runs=len(numbers),
            )

    def note_lost(self, shown: Sequence[Lost]) -> None:
        """Remember announcements of this site that it does not know."""
        if not shown:
            return
        with self._database.writing():
            for one in shown:
                self._database.execute(
                    "INSERT OR IGNORE INTO lost VALUES (?, ?, ?, ?, ?)",
                    *(one.number, one.digest, one.encoded, one.charter, json.dumps(one.roster)),
                )

    def lost(self) -> tuple[Lost, ...]:
        """Return the announcements of this site that it does not know, by number."""
        rows = self._database.rows(
            "SELECT number, digest, encoded, charter, roster FROM lost ORDER BY number, digest"
        )
        return tuple(
            Lost(
                number=row[0],
                digest=row[1],
                encoded=row[2],
                charter=row[3],
                roster=tuple(json.loads(row[4])),
            )
            for row in rows
        )

    def enter_lost(self, entries: Sequence[Content], settled: Sequence[Lost]) -> None:
        """Enter what runs that this ledger does not know may have cost, whatever the budget says.

        Guarantee: entries are made and announcements settled together or not at all. A
        reservation is entered with all its steps done, so nothing more can be trained with it.
        """
        with self._database.writing():
            for entry in entries:
                number = self._append(entry)
                if not isinstance(entry, Released | Used | Committed):
                    done = event_size(entry.event)
                    self._append(Committed(reservation=number, steps=done, at=entry.at))
            for one in settled:
                # As passed long ago: no later run may use it.
                self._database.execute(
                    "INSERT OR REPLACE INTO announced VALUES (?, ?, 0, 0, '[]', NULL)",
                    *(one.number, one.digest),
                )
                self._database.execute("DELETE FROM lost WHERE digest = ?", one.digest)

    def held(self, member: str, since: int) -> tuple[bytes, ...]:
        """Return what this site holds of another one: from a number on, and the last before it."""
        rows = self._database.column(
            "SELECT encoded FROM held WHERE member = ? AND (number >= ? OR number ="
            " (SELECT MAX(number) FROM held WHERE member = ? AND number < ?))"
            " ORDER BY number, rowid",
            *(member, since, member, since),
        )
        return tuple(rows)

    def hold(self, announced: Sequence[Held]) -> None:
        """Hold announcements of other members, for as long as there is room for them."""
        with self._database.writing():
            for one in announced:
                new = self._database.execute(
                    "INSERT OR IGNORE INTO held VALUES (?, ?, ?, ?)",
                    *(one.member, one.number, one.digest, one.encoded),
                )
                if new:
                    self._make_room(one.member)

    def _make_room(self, member: str) -> None:
        # The lowest numbers go: a later one tells of the same loss.
        self._database.execute(
            "DELETE FROM held WHERE member = ? AND rowid NOT IN (SELECT rowid FROM held"
            " WHERE member = ? ORDER BY number DESC, rowid DESC LIMIT ?)",
            *(member, member, KEPT),
        )

    def _witnesses(self, digest: bytes) -> set[str]:
        row = self._database.row("SELECT witnesses FROM announced WHERE digest = ?", digest)
        return set(json.loads(row[0])) if row and row[0] else set()
