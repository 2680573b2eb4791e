"""What a site answered, kept so that the same question gets the same bytes again.

The one store of replies of a site. Its three users decide what makes a question the same, and
what may not be asked at all: `privacy.secrets.answer_memory` for encrypted runs,
`privacy.differential.private_runs` for private training, and `consortium.client.reply_cache` for
runs in the clear.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from privacy.storage.blob_files import KeptFiles
from privacy.storage.deferred_sync import deferral_of
from privacy.storage.sqlite import SiteDatabase

REPLY_TABLES = (
    "CREATE TABLE IF NOT EXISTS files"
    " (run TEXT, purpose TEXT, server_round INTEGER, attempt INTEGER, name TEXT NOT NULL,"
    " digest BLOB NOT NULL, PRIMARY KEY (run, purpose, server_round, attempt)) STRICT",
    "CREATE TABLE IF NOT EXISTS small"
    " (run TEXT, purpose TEXT, server_round INTEGER, attempt INTEGER, data BLOB NOT NULL,"
    " PRIMARY KEY (run, purpose, server_round, attempt)) STRICT",
    "CREATE TABLE IF NOT EXISTS settled (times INTEGER NOT NULL) STRICT",
    "INSERT INTO settled VALUES (0)",
)

_SMALL = 512 * 1024  # a file of its own costs more than it saves below this
_SMALL_AT = (
    "SELECT data FROM small WHERE run = ? AND purpose = ? AND server_round = ? AND attempt = ?"
)
_FILE_AT = (
    "SELECT name, digest FROM files"
    " WHERE run = ? AND purpose = ? AND server_round = ? AND attempt = ?"
)


class Place(Protocol):
    """What a reply is the answer to."""

    @property
    def run(self) -> str:
        """The run."""

    @property
    def purpose(self) -> str:
        """What is asked for in the run."""

    @property
    def server_round(self) -> int:
        """The round."""

    @property
    def attempt(self) -> int:
        """The attempt at that round."""


@dataclass(frozen=True, kw_only=True)
class ReplyPlace:
    """A `Place`, where the reply has no slot in the encrypted protocol.

    Args:
        run: The run.
        purpose: What is asked for in the run.
        server_round: The round.
        attempt: The attempt at that round.
    """

    run: str
    purpose: str
    server_round: int
    attempt: int = 1


class ReplyStore:
    """The replies of one site: small ones in its database, large ones in files beside it.

    Guarantee: what was kept is there after the process dies at any moment from the end of
    `writing` on, and after the machine does if the database is `synchronous="FULL"`. Of two
    processes at once the first one's reply stands, and both get that one. The bytes that are read
    are those that were written.

    Args:
        database: With `REPLY_TABLES` among its tables.
        directory: For the files; created with mode 0700 if it does not exist.

    Raises:
        ExposedSecret: Other users can access the directory.
    """

    def __init__(self, database: SiteDatabase, directory: Path) -> None:
        self._database, self._files = database, KeptFiles(directory)
        self._superseded: list[str] = []
        with self.writing():
            orphans = self._files.orphaned_files(known=database.column("SELECT name FROM files"))
            # A process that died in the middle of a commit leaves files that no visible row names.
            # They are removed only after `_settle` has made sure that no such row appears later.
            if orphans:
                self._settle()
            self._superseded += orphans

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep and let go in one commit; the files let go of are removed after it."""
        self._superseded = []
        with self._database.writing():
            yield
        # After the commit, and its sync: a file must outlive the row that names it.
        deferral = deferral_of(self._database.path)
        if deferral is None:
            self._files.drop(self._superseded)
        elif self._superseded:
            deferral.afterwards.append(partial(self._files.drop, self._superseded))

    def recall(self, place: Place) -> bytes | None:
        """Return the reply that stands at a place, or None.

        Raises:
            MemoryDamaged: It is not what was kept.
        """
        small = self._database.row(_SMALL_AT, *_key(place))
        if small:
            return bytes(small[0])
        row = self._database.row(_FILE_AT, *_key(place))
        return self._files.read(row[0], digest=row[1]) if row else None

    def keep(self, place: Place, reply: bytes) -> bytes:
        """Keep a reply, within `writing`; return the one that stands: the first at its place."""
        standing = self.recall(place)
        if standing is not None:
            return standing
        if len(reply) <= _SMALL:
            insert = "INSERT INTO small VALUES (?, ?, ?, ?, ?)"
            self._database.execute(insert, *_key(place), reply)
        else:
            insert = "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)"
            self._database.execute(insert, *_key(place), *self._files.keep(reply))
        return reply

    def runs(self, purpose: str) -> list[str]:
        """Return the runs with a reply to a purpose, sorted."""
        return self._database.column(
            "SELECT run FROM small WHERE purpose = ? UNION SELECT run FROM files WHERE purpose = ?",
            purpose,
            purpose,
        )

    def let_go_others(self, place: Place) -> None:
        """Let go of all other replies to the same purpose of the same run, within `writing`."""
        self._let_go(
            "run = ? AND purpose = ? AND (server_round != ? OR attempt != ?)", *_key(place)
        )

    def let_go_other_runs(self, *runs: str) -> None:
        """Let go of the replies of all runs but these, within `writing`."""
        self._let_go(f"run NOT IN ({', '.join('?' * len(runs))})", *runs)

    def let_go_before(self, run: str, server_round: int) -> int:
        """Let go of the replies to earlier rounds of a run, within `writing`; return how many."""
        return self._let_go("run = ? AND server_round < ?", run, server_round)

    def let_go_run(self, run: str) -> None:
        """Let go of the replies of a run, within `writing`."""
        self._let_go("run = ?", run)

    def _let_go(self, which: str, *values: str | int) -> int:
        small = self._database.execute(
            f"DELETE FROM small WHERE {which}",  # noqa: S608 -- ours
            *values,
        )
        files = self._database.column(
            f"DELETE FROM files WHERE {which} RETURNING name",  # noqa: S608 -- ours
            *values,
        )
        self._superseded += files
        return small + len(files)

    def _settle(self) -> None:
        """Make sure, at the commit, that no transaction invisible now becomes visible later.

        A process that is killed in the middle of its commit may have written a whole transaction
        to the write-ahead log without announcing it. No connection sees that transaction, until the
        last connection closes and the next one recovers the log. A write of our own overwrites it.
        """
        self._database.execute("UPDATE settled SET times = times + 1")


def _key(place: Place) -> tuple[str, str, int, int]:
    return place.run, place.purpose, place.server_round, place.attempt
