"""Private runs at a site: what was reserved for each, and which of their rounds were trained.

A campaign is a planned run whose whole cost was reserved before its first round. Each of its
rounds is trained once. If a round is asked again from the same state, the site answers with the
same bytes: they reveal nothing new and so cost nothing more.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privacy.errors import ConsortiumError
from privacy.storage.secret_files import make_private_directory
from privacy.storage.sqlite import open_sqlite

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS campaigns"
    " (id INTEGER PRIMARY KEY, run TEXT NOT NULL, part INTEGER NOT NULL,"
    " noise_multiplier REAL NOT NULL, UNIQUE (run, part)) STRICT",
    "CREATE TABLE IF NOT EXISTS rounds"
    " (campaign INTEGER NOT NULL, server_round INTEGER NOT NULL, state TEXT NOT NULL, answer BLOB,"
    " PRIMARY KEY (campaign, server_round)) STRICT",
)


class CampaignsUnavailable(ConsortiumError, RuntimeError):
    """The database cannot be read or written. Without it the site must not train."""

    code = "campaigns-unavailable"


class TrainedMeanwhile(ConsortiumError, RuntimeError):
    """Another process of the site trained this round from another state: discard this answer."""

    code = "trained-meanwhile"


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of a run that a site is asked to train.

    Args:
        run: Digest of everything that the run agreed on beforehand.
        number: Number of the round, from 1.
        state: Digest of the state that training starts from.
    """

    run: str
    number: int
    state: str


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A planned run whose cost was reserved.

    Args:
        number: Its key in the database.
        part: Number of this campaign among those of the same run, from 1.
        noise_multiplier: The same in all its rounds.
    """

    number: int
    part: int
    noise_multiplier: float


class PrivateRuns:
    """The campaigns of one site.

    Guarantee: answers are persisted before they are sent, so no round of a campaign is released
    twice.

    Args:
        directory: Created with mode 0700 if it does not exist.

    Raises:
        CampaignsUnavailable: The database cannot be opened.
        ExposedSecret: Other users can access the directory.
    """

    def __init__(self, directory: Path) -> None:
        make_private_directory(directory)
        with _unavailable_on_error():
            self._connection = open_sqlite(directory / "campaigns.sqlite", synchronous="FULL")
            for statement in _SCHEMA:
                self._connection.execute(statement)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def kept_answer(self, asked: Round) -> bytes | None:
        """Return the answer this site gave to this round from this state, or None if not kept."""
        found = self._row(
            "SELECT answer FROM rounds JOIN campaigns ON campaign = id"
            " WHERE run = ? AND server_round = ? AND state = ? AND answer IS NOT NULL",
            *(asked.run, asked.number, asked.state),
        )
        return None if found is None else bytes(found[0])

    def last_campaign(self, run: str) -> Campaign | None:
        """Return the last campaign of a run, or None."""
        found = self._row(
            "SELECT id, part, noise_multiplier FROM campaigns WHERE run = ?"
            " ORDER BY part DESC LIMIT 1",
            run,
        )
        if found is None:
            return None
        return Campaign(number=found[0], part=found[1], noise_multiplier=found[2])

    def campaign_with_room(self, asked: Round) -> Campaign | None:
        """Return the run's last campaign if it has not trained this round yet, else None."""
        found = self.last_campaign(asked.run)
        if found is None or self._trained_round(found.number, asked.number) is not None:
            return None
        return found

    def begin_campaign(self, run: str, *, part: int, noise_multiplier: float) -> Campaign:
        """Open a campaign whose whole cost was just reserved; return it if it is already open."""
        with self._writing():
            self._connection.execute(
                "INSERT OR IGNORE INTO campaigns (run, part, noise_multiplier) VALUES (?, ?, ?)",
                (run, part, noise_multiplier),
            )
            number, noise = self._connection.execute(
                "SELECT id, noise_multiplier FROM campaigns WHERE run = ? AND part = ?",
                (run, part),
            ).fetchone()
        return Campaign(number=number, part=part, noise_multiplier=noise)

    def keep_answer(self, campaign: Campaign, asked: Round, answer: bytes) -> bytes:
        """Persist the answer of a round and return it; the answer of the round before is dropped.

        If another process persisted an answer first, that one is returned.

        Raises:
            TrainedMeanwhile: The other process trained from another state.
        """
        with self._writing():
            kept = self._trained_round(campaign.number, asked.number)
            if kept is None:
                # Only the large bytes go. The row stays: it tells that the round was trained.
                self._connection.execute(
                    "UPDATE rounds SET answer = NULL WHERE campaign = ?", (campaign.number,)
                )
                self._connection.execute(
                    "INSERT INTO rounds VALUES (?, ?, ?, ?)",
                    (campaign.number, asked.number, asked.state, answer),
                )
                return answer
        if kept[0] != asked.state or kept[1] is None:
            raise TrainedMeanwhile("this round was trained by another process of this site")
        return bytes(kept[1])

    def _trained_round(self, campaign: int, number: int) -> Any:  # noqa: ANN401
        return self._row(
            "SELECT state, answer FROM rounds WHERE campaign = ? AND server_round = ?",
            *(campaign, number),
        )

    def _row(self, query: str, *values: str | int) -> Any:  # noqa: ANN401
        with _unavailable_on_error():
            return self._connection.execute(query, values).fetchone()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with _unavailable_on_error(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield


@contextmanager
def _unavailable_on_error() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise CampaignsUnavailable(f"the site's campaigns are not available: {error}") from error
