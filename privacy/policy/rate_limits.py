"""How often a site was asked and how much left it, in a database of the site's own.

Rates hold over restarts and over several processes at once. A commit survives the death of a
process; the machine's death may forget the last moments, which the audit log does not.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from privacy.errors import ConsortiumError
from privacy.policy.document import Policy
from privacy.policy.violations import TooManyBytes, TooManyRounds, TooOften
from privacy.storage.secret_files import make_private_directory
from privacy.storage.sqlite import open_sqlite

NO_ROUND = -1

_HOUR_S = 3_600
_DAY_S = 86_400
_KEPT_S = 30 * _DAY_S
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS messages"
    " (id INTEGER PRIMARY KEY, at REAL NOT NULL, run TEXT NOT NULL, server_round INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL DEFAULT 0) STRICT",
    "CREATE TABLE IF NOT EXISTS known (text TEXT PRIMARY KEY) STRICT",
    "CREATE INDEX IF NOT EXISTS by_time ON messages (at)",
    "CREATE INDEX IF NOT EXISTS by_round ON messages (run, server_round)",
)


class TrafficUnavailable(ConsortiumError, RuntimeError):
    """The database cannot be read or written; without it the site must not answer."""

    code = "traffic-unavailable"


@dataclass(frozen=True, kw_only=True)
class Coming:
    """A question that came.

    Args:
        at: Seconds since 1970.
        run: The run it is of.
        server_round: The round that is trained; `NO_ROUND` where nothing is.
    """

    at: float
    run: str
    server_round: int = NO_ROUND


class RateLimits:
    """The traffic of one site.

    Args:
        directory: Made with mode 0700 if it is not there.

    Raises:
        TrafficUnavailable: It cannot be opened.
        ExposedSecret: The directory is open to others.
    """

    def __init__(self, directory: Path) -> None:
        make_private_directory(directory)
        with _unavailable_on_error():
            self._connection = open_sqlite(directory / "traffic.sqlite", synchronous="NORMAL")
            for statement in _SCHEMA:
                self._connection.execute(statement)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def admit(self, coming: Coming, policy: Policy) -> int:
        """Count a question and return its number here, if the policy has room for it.

        Guarantee: of two processes at once, both are counted before either is let in.

        Raises:
            TooOften: There were as many in the last hour, or rounds in the last day.
            TooManyRounds: The run has had as many rounds as the policy allows.
        """
        with self._writing():
            self._execute("DELETE FROM messages WHERE at < ?", coming.at - _KEPT_S)
            self._require_pace(coming, policy)
            return self._execute(
                "INSERT INTO messages (at, run, server_round) VALUES (?, ?, ?)",
                coming.at,
                coming.run,
                coming.server_round,
            )

    def count_bytes(self, number: int, coming: Coming, size: int, policy: Policy) -> None:
        """Count the bytes of an answer, if the policy has room for them.

        Raises:
            TooManyBytes: It has not, in a message or in the round.
        """
        with self._writing():
            before = self._bytes_of(coming)
            largest, whole = policy.volume.per_message, policy.volume.per_round
            if size > largest or before + size > whole:
                raise TooManyBytes(
                    f"the policy lets out {largest} bytes in a message and {whole} in a round",
                    per_message=largest,
                    per_round=whole,
                )
            self._execute("UPDATE messages SET bytes = ? WHERE id = ?", size, number)

    def is_new(self, text: str) -> bool:
        """Return whether something was never said here before; from now on it was."""
        with self._writing(), _unavailable_on_error():
            insert = "INSERT OR IGNORE INTO known VALUES (?)"
            return self._connection.execute(insert, (text,)).rowcount == 1

    def rounds_today(self, now: float) -> int:
        """Return how many rounds were trained in the last 24 hours, over all runs."""
        return self._count(
            "SELECT COUNT(*) FROM (SELECT DISTINCT run, server_round FROM messages"
            " WHERE at > ? AND server_round >= 0)",
            now - _DAY_S,
        )

    def _require_pace(self, coming: Coming, policy: Policy) -> None:
        pace = policy.pace
        hour = coming.at - _HOUR_S
        if (
            self._count("SELECT COUNT(*) FROM messages WHERE at > ?", hour)
            >= pace.messages_per_hour
        ):
            raise TooOften(
                f"the policy allows {pace.messages_per_hour} questions an hour",
                allowed=pace.messages_per_hour,
            )
        if coming.server_round == NO_ROUND or self._was_asked(coming):
            return
        if self.rounds_today(coming.at) >= pace.rounds_per_day:
            raise TooOften(
                f"the policy allows {pace.rounds_per_day} rounds a day",
                allowed=pace.rounds_per_day,
            )
        rounds = self._count(
            "SELECT COUNT(DISTINCT server_round) FROM messages WHERE run = ? AND server_round >= 0",
            coming.run,
        )
        if rounds >= pace.rounds_per_run:
            raise TooManyRounds(
                f"the policy allows {pace.rounds_per_run} rounds in a run",
                allowed=pace.rounds_per_run,
            )

    def _was_asked(self, coming: Coming) -> bool:
        found = self._count(
            "SELECT COUNT(*) FROM messages WHERE run = ? AND server_round = ?",
            coming.run,
            coming.server_round,
        )
        return found > 0

    def _bytes_of(self, coming: Coming) -> int:
        """Return the bytes that left in a round so far; what is of no round goes by itself."""
        if coming.server_round == NO_ROUND:
            return 0
        return self._count(
            "SELECT TOTAL(bytes) FROM messages WHERE run = ? AND server_round = ?",
            coming.run,
            coming.server_round,
        )

    def _count(self, query: str, *values: str | float) -> int:
        with _unavailable_on_error():
            return int(self._connection.execute(query, values).fetchone()[0])

    def _execute(self, statement: str, *values: str | float) -> int:
        with _unavailable_on_error():
            return int(self._connection.execute(statement, values).lastrowid or 0)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with _unavailable_on_error(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield


@contextmanager
def _unavailable_on_error() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise TrafficUnavailable(f"the record of the traffic is not available: {error}") from error
