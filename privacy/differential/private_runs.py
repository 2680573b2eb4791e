"""Private runs at a site: what was reserved for each, and which of their rounds were trained.

A campaign is a planned run whose whole cost was reserved before its first round. Each of its
rounds is trained once. If a round is asked again from the same state, the site answers with the
same bytes: they reveal nothing new and so cost nothing more.
"""

from dataclasses import dataclass
from pathlib import Path

from privacy.errors import ConsortiumError
from privacy.storage.reply_store import REPLY_TABLES, ReplyPlace, ReplyStore
from privacy.storage.sqlite import DatabaseForm, SiteStore

RUNS_KEPT = 2  # whose answers are kept


class CampaignsUnavailable(ConsortiumError, RuntimeError, code="campaigns-unavailable"):
    """The database cannot be read or written. Without it the site must not train."""


_FORM = DatabaseForm(
    file="campaigns.sqlite",
    tables=(
        "CREATE TABLE IF NOT EXISTS campaigns"
        " (id INTEGER PRIMARY KEY, run TEXT NOT NULL, part INTEGER NOT NULL,"
        " noise_multiplier REAL NOT NULL, UNIQUE (run, part)) STRICT",
        # Version 0.1.0 kept the answer in the row; it is still found there.
        "CREATE TABLE IF NOT EXISTS rounds"
        " (campaign INTEGER NOT NULL, server_round INTEGER NOT NULL, state TEXT NOT NULL,"
        " answer BLOB, PRIMARY KEY (campaign, server_round)) STRICT",
        *REPLY_TABLES,
    ),
    unavailable=CampaignsUnavailable,
    holds="the record of the site's campaigns",
)


class TrainedMeanwhile(ConsortiumError, RuntimeError, code="trained-meanwhile"):
    """Another process of the site trained this round from another state: discard this answer."""


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


class PrivateRuns(SiteStore):
    """The campaigns of one site.

    Guarantee: answers are persisted before they are sent, so no round of a campaign is released
    twice.
    """

    form = _FORM

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._replies = ReplyStore(self._database, directory / "kept")

    def kept_answer(self, asked: Round) -> bytes | None:
        """Return the answer this site gave to this round from this state, or None if not kept."""
        for part, answer in self._database.rows(
            "SELECT part, answer FROM rounds JOIN campaigns ON campaign = id"
            " WHERE run = ? AND server_round = ? AND state = ?",
            *(asked.run, asked.number, asked.state),
        ):
            kept = self._replies.recall(_place(asked, part)) if answer is None else bytes(answer)
            if kept is not None:
                return kept
        return None

    def last_campaign(self, run: str) -> Campaign | None:
        """Return the last campaign of a run, or None."""
        found = self._database.row(
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
        if found is None or self._trained_state(found, asked) is not None:
            return None
        return found

    def begin_campaign(self, run: str, *, part: int, noise_multiplier: float) -> Campaign:
        """Open a campaign whose whole cost was just reserved; return it if it is already open.

        Answers of runs before the last `RUNS_KEPT` are let go: a run that failed never ends. A
        round whose answer went is trained, and paid for, anew.
        """
        with self._replies.writing():
            self._database.execute(
                "INSERT OR IGNORE INTO campaigns (run, part, noise_multiplier) VALUES (?, ?, ?)",
                *(run, part, noise_multiplier),
            )
            number, noise = self._database.row(
                "SELECT id, noise_multiplier FROM campaigns WHERE run = ? AND part = ?",
                *(run, part),
            )
            self._let_go_runs_before_last()
        return Campaign(number=number, part=part, noise_multiplier=noise)

    def keep_answer(self, campaign: Campaign, asked: Round, answer: bytes) -> bytes:
        """Persist the answer of a round and return it; the answer of the round before is dropped.

        If another process persisted an answer first, that one is returned.

        Raises:
            TrainedMeanwhile: The other process trained from another state.
        """
        place = _place(asked, campaign.part)
        with self._replies.writing():
            state = self._trained_state(campaign, asked)
            if state is None:
                # Only the large bytes go. The row stays: it tells that the round was trained.
                self._database.execute(
                    "UPDATE rounds SET answer = NULL WHERE campaign = ?", campaign.number
                )
                self._replies.let_go_others(place)
                self._database.execute(
                    "INSERT INTO rounds VALUES (?, ?, ?, NULL)",
                    *(campaign.number, asked.number, asked.state),
                )
                return self._replies.keep(place, answer)
            kept = self.kept_answer(asked) if state == asked.state else None
        if kept is None:
            raise TrainedMeanwhile("this round was trained by another process of this site")
        return kept

    def _let_go_runs_before_last(self) -> None:
        kept = self._database.column(
            "SELECT run FROM campaigns GROUP BY run ORDER BY MAX(id) DESC LIMIT ?", RUNS_KEPT
        )
        self._replies.let_go_other_runs(*kept)
        self._database.execute(
            "UPDATE rounds SET answer = NULL WHERE answer IS NOT NULL AND campaign NOT IN"
            " (SELECT id FROM campaigns WHERE run = ? OR run = ?)",
            *(kept[0], kept[-1]),
        )

    def _trained_state(self, campaign: Campaign, asked: Round) -> str | None:
        """Return from which state this round was trained in a campaign, if it was."""
        found = self._database.row(
            "SELECT state FROM rounds WHERE campaign = ? AND server_round = ?",
            *(campaign.number, asked.number),
        )
        return found and str(found[0])


def _place(asked: Round, part: int) -> ReplyPlace:
    return ReplyPlace(run=asked.run, purpose=f"training {part}", server_round=asked.number)
