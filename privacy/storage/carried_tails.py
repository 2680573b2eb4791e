"""The ends of stores that are only appended to, carried in a database for one sync of them all.

A log and a ledger grow at their end, each in a file of its own, and each file would need a sync of
its own. Instead, what came to them is copied to a database that is synced anyway. If the machine
dies, each is completed from there before it is used again.
"""

from typing import Protocol

from privacy.storage.sqlite import SiteDatabase

TAIL_TABLES = (
    "CREATE TABLE IF NOT EXISTS tails"
    " (store TEXT, first INTEGER NOT NULL, after INTEGER, content BLOB NOT NULL,"
    " PRIMARY KEY (store, after)) STRICT",
)
_MOST_BYTES = 256 * 1024  # of one store; then it is synced itself, once in about a hundred answers


class AppendOnly(Protocol):
    """A store that only grows, and tells by a number how far it is."""

    @property
    def name(self) -> str:
        """Under which its end is carried."""

    def end(self) -> int:
        """Return how far it is."""

    def part(self, first: int, after: int) -> bytes:
        """Return what came to it between these two places."""

    def sync(self) -> None:
        """Sync all that it holds to the disk."""

    def complete(self, first: int, content: bytes) -> bool:
        """Append what it lacks of a part that began at this place, and sync all that it holds.

        Return whether it holds that part then; if it holds something else, it stays as it is.
        """


class CarriedTails:
    """The ends of stores, in a database.

    Guarantee: when `carry` returns, everything that the stores and the database held is on the
    disk, whoever wrote it. As a rule that is one sync. Within `deferred_syncs` of the database,
    it is on the disk no later than what is committed to the database next. After the death of the
    machine, `complete` puts back what the stores lost of it. A store that holds something else than
    what was carried is left as it is: that is no loss, and its own check tells it. From then on its
    end is carried anew.

    Args:
        database: Database that holds `TAIL_TABLES`, and syncs what it commits.
    """

    def __init__(self, database: SiteDatabase) -> None:
        self._database = database

    def carry(self, *stores: AppendOnly) -> None:
        """Copy what the stores hold beyond what is on the disk already, in one commit."""
        with self._database.writing():
            self._database.touch()  # a commit is synced only if it writes
            for store in stores:
                self._carry(store)

    def _carry(self, store: AppendOnly) -> None:
        carried, size = self._database.row(
            "SELECT max(after), sum(length(content)) FROM tails WHERE store = ?", store.name
        )
        end, insert = store.end(), "INSERT INTO tails VALUES (?, ?, ?, ?)"
        if carried is None or end < carried or size > _MOST_BYTES:
            store.sync()
            self._database.execute("DELETE FROM tails WHERE store = ?", store.name)
            self._database.execute(insert, store.name, end, end, b"")
        elif end > carried:
            part = store.part(carried, end)
            self._database.execute(insert, store.name, carried, end, part)

    def complete(self, *stores: AppendOnly) -> None:
        """Put back what stores lost with the machine."""
        for store in stores:
            with self._database.writing():  # nobody carries meanwhile
                self._complete(store)

    def _complete(self, store: AppendOnly) -> None:
        rows = self._database.rows(
            "SELECT first, content FROM tails WHERE store = ? ORDER BY after", store.name
        )
        if rows and not store.complete(rows[0][0], b"".join(content for _, content in rows)):
            # It was put back from a copy, say. What comes to it next continues the copy, and could
            # never be put back behind what was carried.
            self._database.execute("DELETE FROM tails WHERE store = ?", store.name)
