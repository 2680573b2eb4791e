"""Rate limits: how often a site was asked and how many bytes left it, in its own database.

The limits hold across restarts and across several processes at once. A commit survives the death
of a process. If the machine dies, the last moments may be lost here, but not in the audit log.
"""

from dataclasses import dataclass

from privacy.errors import ConsortiumError, number_of
from privacy.policy.document import Policy
from privacy.policy.violations import TooManyBytes, TooManyRounds, TooOften
from privacy.storage.sqlite import DatabaseForm, SiteStore

NO_ROUND = -1

_HOUR_S = 3_600
_DAY_S = 86_400
_KEPT_S = 30 * _DAY_S


class TrafficUnavailable(ConsortiumError, RuntimeError, code="traffic-unavailable"):
    """The database cannot be read or written. Without it the site must not answer."""


_FORM = DatabaseForm(
    file="traffic.sqlite",
    tables=(
        "CREATE TABLE IF NOT EXISTS messages"
        " (id INTEGER PRIMARY KEY, at REAL NOT NULL, run TEXT NOT NULL,"
        " server_round INTEGER NOT NULL, bytes INTEGER NOT NULL DEFAULT 0) STRICT",
        "CREATE TABLE IF NOT EXISTS known (text TEXT PRIMARY KEY) STRICT",
        "CREATE INDEX IF NOT EXISTS by_time ON messages (at)",
        "CREATE INDEX IF NOT EXISTS by_round ON messages (run, server_round)",
    ),
    synchronous="NORMAL",
    unavailable=TrafficUnavailable,
    holds="the site's record of its traffic",
)


@dataclass(frozen=True, kw_only=True)
class Coming:
    """An incoming question.

    Args:
        at: Time of arrival, in seconds since 1970.
        run: The run it belongs to.
        server_round: The round to train; `NO_ROUND` if the question trains nothing.
    """

    at: float
    run: str
    server_round: int = NO_ROUND


class RateLimits(SiteStore):
    """The rate limits of one site."""

    form = _FORM

    def admit(self, coming: Coming, policy: Policy) -> int:
        """Count a question, if the policy allows it; return its number in the database.

        Guarantee: two processes cannot both pass a limit that has room for one.

        Raises:
            TooOften: The limit of questions per hour, or of rounds per day, is reached.
            TooManyRounds: The limit of rounds per run is reached.
        """
        with self._database.writing():
            self._database.execute("DELETE FROM messages WHERE at < ?", coming.at - _KEPT_S)
            self._require_pace(coming, policy)
            (number,) = self._database.column(
                "INSERT INTO messages (at, run, server_round) VALUES (?, ?, ?) RETURNING id",
                *(coming.at, coming.run, coming.server_round),
            )
            return int(number)

    def require_questions(self, now: float, policy: Policy) -> None:
        """Check that one more question would be within the limit of an hour; count nothing.

        Raises:
            TooOften: It would not.
        """
        asked = self._count("SELECT COUNT(*) FROM messages WHERE at > ?", now - _HOUR_S)
        if asked >= policy.pace.messages_per_hour:
            raise TooOften(
                f"the policy allows {policy.pace.messages_per_hour} questions an hour",
                allowed=policy.pace.messages_per_hour,
            )

    def count_bytes(self, number: int, coming: Coming, size: int, policy: Policy) -> None:
        """Count the bytes of an answer, if the policy lets them leave.

        Raises:
            TooManyBytes: The limit of bytes per message, or per round, would be exceeded.
        """
        with self._database.writing():
            before = self._bytes_of(coming)
            largest, whole = policy.volume.per_message, policy.volume.per_round
            if size > largest or before + size > whole:
                raise TooManyBytes(
                    f"the policy allows {largest} bytes in a message and {whole} in a round",
                    per_message=largest,
                    per_round=whole,
                )
            self._database.execute("UPDATE messages SET bytes = ? WHERE id = ?", size, number)

    def is_new(self, text: str) -> bool:
        """Remember a text; return whether it was not remembered before."""
        if self._database.row("SELECT 1 FROM known WHERE text = ?", text) is not None:
            return False
        with self._database.writing():
            return self._database.execute("INSERT OR IGNORE INTO known VALUES (?)", text) == 1

    def rounds_today(self, now: float) -> int:
        """Return the number of rounds trained in the last 24 hours, over all runs."""
        return self._count(
            "SELECT COUNT(*) FROM (SELECT DISTINCT run, server_round FROM messages"
            " WHERE at > ? AND server_round >= 0)",
            now - _DAY_S,
        )

    def _require_pace(self, coming: Coming, policy: Policy) -> None:
        pace = policy.pace
        self.require_questions(coming.at, policy)
        # A round that is asked again, after a lost reply, is not a new round.
        if coming.server_round == NO_ROUND or self._was_asked(coming):
            return
        if self.rounds_today(coming.at) >= pace.rounds_per_day:
            raise TooOften(
                f"the policy allows {number_of(pace.rounds_per_day, 'round')} a day",
                allowed=pace.rounds_per_day,
            )
        rounds = self._count(
            "SELECT COUNT(DISTINCT server_round) FROM messages WHERE run = ? AND server_round >= 0",
            coming.run,
        )
        if rounds >= pace.rounds_per_run:
            raise TooManyRounds(
                f"the policy allows {number_of(pace.rounds_per_run, 'round')} in a run",
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
        """Return the bytes that left in this round so far; 0 if the question has no round."""
        if coming.server_round == NO_ROUND:
            return 0
        return self._count(
            "SELECT TOTAL(bytes) FROM messages WHERE run = ? AND server_round = ?",
            coming.run,
            coming.server_round,
        )

    def _count(self, query: str, *values: str | float) -> int:
        return int(self._database.row(query, *values)[0])
