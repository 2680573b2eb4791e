"""Erasures: what is deleted is gone from the disk, too, though the process dies in between."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from privacy.storage.deferred_sync import deferral_of
from privacy.storage.sqlite import SiteDatabase

_LOG = logging.getLogger(__name__)

ERASURE_TABLES = (
    "CREATE TABLE IF NOT EXISTS erasures (number INTEGER PRIMARY KEY AUTOINCREMENT) STRICT",
)


class Erasures:
    """The deletions of secrets from a database of a site.

    Guarantee: what was deleted and noted in one commit is in no byte of the database and of its
    write-ahead log after `finish`; within `deferred_syncs`, when that is left. If the process dies
    before, `finish_with_the_next` waits, or another process reads for longer than a minute, it
    `is_due`: gone with the next `finish`, or once the database is opened again. The deletion itself
    stands from its commit on, so nothing that was done is ever reported as refused. Copies that
    the file system or the disk itself makes are beyond this.

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

    @property
    def is_due(self) -> bool:
        """Whether something that was deleted may still be in the write-ahead log."""
        return self._database.row("SELECT 1 FROM erasures LIMIT 1") is not None

    def note(self) -> None:
        """Note, in the commit that deletes or overwrites something secret, that it does."""
        self._database.execute("INSERT INTO erasures DEFAULT VALUES")

    def finish(self) -> None:
        """Erase, after the commit, what was noted, or leave it due."""
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
        if last is None:
            return
        if not self._database.empty_log():
            _LOG.warning(
                "another process reads %s: what was deleted stays in its log until the next "
                "deletion, or until it is opened again",
                self._database.path,
            )
            return
        # Not those that another process noted since: it has not emptied the log yet.
        self._database.execute("DELETE FROM erasures WHERE number <= ?", last)
