"""Erasures: what is deleted is gone from the disk, too, though the process dies in between."""

from collections.abc import Iterator
from contextlib import contextmanager

from privacy.storage.deferred_sync import deferral_of
from privacy.storage.sqlite import SiteDatabase

ERASURE_TABLES = (
    "CREATE TABLE IF NOT EXISTS erasures (number INTEGER PRIMARY KEY AUTOINCREMENT) STRICT",
)


class Erasures:
    """The deletions of secrets from a database of a site.

    Guarantee: what was deleted and noted in one commit is in no byte of the database and of its
    write-ahead log after `finish`; within `deferred_syncs`, when that is left. If the process dies
    before, or `finish_with_the_next` waits, it is gone once the database is opened again. Copies
    that the file system or the disk itself makes are beyond this.

    Args:
        database: Its form has `erases`, and `ERASURE_TABLES` among its tables.
    """

    def __init__(self, database: SiteDatabase) -> None:
        self._database = database
        self._empty_log()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock, commit at the end, then `finish`."""
        with self._database.writing():
            yield
        self.finish()

    def note(self) -> None:
        """Note, in the commit that deletes or overwrites something secret, that it does."""
        self._database.execute("INSERT INTO erasures DEFAULT VALUES")

    def finish(self) -> None:
        """Erase, after the commit, what was noted.

        Raises:
            ConsortiumError: As `SiteDatabase.empty_log`.
        """
        deferral = deferral_of(self._database.path)
        if deferral is None:
            self._empty_log()
        else:
            deferral.afterwards.append(self._empty_log)

    def finish_with_the_next(self) -> None:
        """Erase what was noted at once; within `deferred_syncs`, with whatever is erased next.

        To empty the log takes four syncs, and an answer takes one.
        """
        if deferral_of(self._database.path) is None:
            self._empty_log()

    def _empty_log(self) -> None:
        last = self._database.row("SELECT max(number) FROM erasures")[0]
        if last is not None:
            self._database.empty_log()
            # Not those that another process noted since: it has not emptied the log yet.
            self._database.execute("DELETE FROM erasures WHERE number <= ?", last)
