"""Answer memory: a site remembers its answers, so that it answers each question only once.

The replies are in a `ReplyStore`; the rows that refuse a second answer are beside them. Guarantee:
what a call stored survives the death of the process or of the machine at any moment. If two
processes answer at the same time, the first answer is stored and both processes get it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from privacy.errors import ConsortiumError
from privacy.protocol.envelope import TRAINING, Slot
from privacy.secrets.masked_runs.mask_memory import keep_own_share, require_undecided
from privacy.storage.reply_store import ReplyPlace, ReplyStore
from privacy.storage.sqlite import SiteDatabase

ANSWER_TABLES = (
    "CREATE TABLE IF NOT EXISTS answers"
    " (run TEXT, purpose TEXT, server_round INTEGER, attempt INTEGER, request BLOB NOT NULL,"
    " state BLOB NOT NULL, receipt BLOB NOT NULL,"
    " PRIMARY KEY (run, purpose, server_round, attempt)) STRICT",
)
QUESTION_TABLES = (
    "CREATE TABLE IF NOT EXISTS questions"
    " (run TEXT, server_round INTEGER, digest BLOB NOT NULL, PRIMARY KEY (run, server_round))"
    " STRICT",
)

_UPDATE = 0  # the attempt number under which a round's update is stored; attempts count from 1


class AlreadyAnswered(ConsortiumError, ValueError, code="already-answered"):
    """The same question was asked before with other content."""


class AnswerForgotten(ConsortiumError, LookupError, code="answer-forgotten"):
    """The question is older than the last answered one, and its answer was dropped."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A site's answer to one request.

    Args:
        slot: The slot that the answer fills.
        request: Digest of the request.
        state: Digest of the sealed state that the site trained from.
        receipt: The encoded receipt; empty if the answer has none.
        reply: The encoded reply, which is sent again byte for byte if asked again.
        own_share: In a masked run a witness's own share of the mask of this upload; else empty.
    """

    slot: Slot
    request: bytes
    state: bytes
    receipt: bytes
    reply: bytes = field(repr=False)
    own_share: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, kw_only=True)
class LastState:
    """The last answer of this site in a run.

    Args:
        server_round: The last round that it answered.
        attempt: The last attempt at that round.
        state: Digest of the sealed state that it trained from.
    """

    server_round: int
    attempt: int
    state: bytes


class AnswerMemory:
    """The answers of one site.

    Args:
        database: Database that holds `ANSWER_TABLES`, `QUESTION_TABLES` and `MASK_TABLES`.
        replies: The replies, in the same database.
    """

    def __init__(self, database: SiteDatabase, replies: ReplyStore) -> None:
        self._database, self._replies = database, replies

    def remember_question(self, run: str, server_round: int, digest: bytes) -> None:
        """Remember what this site was shown in a round, before it opens anything of it.

        Guarantee: in one round of a run only the first content is ever opened, whatever the
        attempt. So the site says of one sum whether it is right, and holds one state.

        Raises:
            AlreadyAnswered: Other content was shown in this round before.
        """
        with self._database.writing():
            self._database.execute(
                "INSERT OR IGNORE INTO questions VALUES (?, ?, ?)", run, server_round, digest
            )
            row = self._database.row(
                "SELECT digest FROM questions WHERE run = ? AND server_round = ?",
                run,
                server_round,
            )
            if row != (digest,):
                raise AlreadyAnswered(
                    f"round {server_round} was shown before with other content, which this site "
                    "opened or refused: nothing else of this round is opened"
                )

    def remember_round(
        self, slot: Slot, update: bytes, answers: Sequence[Answer]
    ) -> tuple[bytes, ...] | None:
        """Store a round's update and all answers made from it, in one commit.

        Guarantee: either everything is stored or nothing. The returned replies are the stored
        ones.

        Returns:
            A reply for each answer. None, and nothing is stored, if another update is stored for
            this round: the answers must then be made from that one.

        Raises:
            AlreadyAnswered, AnswerForgotten, RoundConfirmed: As in `remember_reply`.
        """
        with self._replies.writing():
            standing = self._stored_update(slot)
            if standing is not None and standing != update:
                return None
            replies = tuple(self._stored_reply(one) for one in answers)
            self._replies.keep(_update_place(slot), update)
        return replies

    def recall_update(self, slot: Slot) -> bytes | None:
        """Return the stored update of this round, or None if the site has not trained it.

        Raises:
            AnswerForgotten: This round or a later one was answered, and the update was dropped.
        """
        with self._database.writing():
            return self._stored_update(slot)

    def remember_reply(self, answer: Answer) -> bytes:
        """Store an answer; return the reply that is stored for its slot, which is the first one.

        Guarantee: a slot has only one reply, ever. For each run and purpose the last answer is
        kept in full. Of earlier answers, everything but the reply and the update is kept.

        Raises:
            AlreadyAnswered: The slot was asked before with another request, or another attempt
                at this round started from another state.
            AnswerForgotten: A later round or attempt was answered since.
            RoundConfirmed: A set of another attempt at this round was confirmed.
        """
        with self._replies.writing():
            return self._stored_reply(answer)

    def recall_reply(self, slot: Slot, request: bytes) -> bytes | None:
        """Return the reply that this site gave to a request, or None if it has not answered yet.

        Args:
            slot: The slot that is asked for.
            request: Digest of the request.

        Raises:
            AlreadyAnswered: The slot was asked before with another request.
            AnswerForgotten: A later round or attempt was answered since.
        """
        with self._database.writing():
            return self._find_reply(slot, request)

    def own_receipt(self, slot: Slot) -> bytes | None:
        """Return the encoded receipt that this site gave for a slot, or None."""
        row = self._answer_row(slot)
        return row[1] if row else None

    def own_receipts(self, slot: Slot) -> dict[int, bytes]:
        """Return the encoded receipts that this site gave in the round of a slot, by attempt."""
        rows = self._database.rows(
            "SELECT attempt, receipt FROM answers"
            " WHERE run = ? AND purpose = ? AND server_round = ? ORDER BY attempt",
            slot.run,
            slot.purpose,
            slot.server_round,
        )
        return {attempt: bytes(receipt) for attempt, receipt in rows}

    def last_state(self, run: str, *, purpose: str = TRAINING) -> LastState | None:
        """Return this site's last answer in a run, or None if it never answered."""
        row = self._database.row(
            "SELECT server_round, attempt, state FROM answers WHERE run = ? AND purpose = ?"
            " ORDER BY server_round DESC, attempt DESC LIMIT 1",
            run,
            purpose,
        )
        return LastState(server_round=row[0], attempt=row[1], state=row[2]) if row else None

    def finish_run(self, run: str) -> None:
        """Delete the replies and updates of a finished run; the rows that prevent replays stay."""
        with self._replies.writing():
            self._replies.let_go_run(run)

    def let_go_other_runs(self, *runs: str) -> None:
        """Delete the replies and updates of all runs but these; the rows stay here, too."""
        with self._replies.writing():
            self._replies.let_go_other_runs(*runs)

    def _stored_reply(self, answer: Answer) -> bytes:
        slot = answer.slot
        stored = self._find_reply(slot, answer.request)
        if stored is not None:
            return stored
        self._require_same_state(answer)
        require_undecided(self._database, slot)
        if answer.own_share:
            keep_own_share(self._database, slot, answer.own_share)
        self._replies.let_go_others(_update_place(slot))
        self._database.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
            *_place(slot),
            answer.request,
            answer.state,
            answer.receipt,
        )
        return self._replies.keep(slot, answer.reply)

    def _stored_update(self, slot: Slot) -> bytes | None:
        kept = self._replies.recall(_update_place(slot))
        last = self.last_state(slot.run, purpose=slot.purpose)
        if kept is None and last is not None and last.server_round >= slot.server_round:
            raise AnswerForgotten(
                f"round {last.server_round} was answered, and the update of round "
                f"{slot.server_round} was dropped"
            )
        return kept

    def _find_reply(self, slot: Slot, request: bytes) -> bytes | None:
        row = self._answer_row(slot)
        if row is not None and row[0] != request:
            raise AlreadyAnswered(
                f"attempt {slot.attempt} at round {slot.server_round} was answered before, to "
                "another request"
            )
        kept = self._replies.recall(slot)
        last = self.last_state(slot.run, purpose=slot.purpose)
        asked = (slot.server_round, slot.attempt)
        if kept is None and last is not None and (last.server_round, last.attempt) >= asked:
            raise AnswerForgotten(
                f"attempt {last.attempt} at round {last.server_round} was answered, and the "
                f"reply of attempt {slot.attempt} at round {slot.server_round} was dropped"
            )
        return kept

    def _answer_row(self, slot: Slot) -> tuple[bytes, bytes] | None:
        row: tuple[bytes, bytes] | None = self._database.row(
            "SELECT request, receipt FROM answers"
            " WHERE run = ? AND purpose = ? AND server_round = ? AND attempt = ?",
            *_place(slot),
        )
        return row

    def _require_same_state(self, answer: Answer) -> None:
        # All attempts at a round start from one state. Otherwise a coordinator could make a site
        # train twice in one round, and compare the two sums.
        last = self.last_state(answer.slot.run, purpose=answer.slot.purpose)
        if last is None or last.server_round != answer.slot.server_round:
            return
        if last.state != answer.state:
            raise AlreadyAnswered(
                f"attempt {last.attempt} at round {last.server_round} started from another state"
            )


def _update_place(slot: Slot) -> ReplyPlace:
    """Return where the update of a round is kept: one for all attempts at it."""
    return ReplyPlace(
        run=slot.run, purpose=slot.purpose, server_round=slot.server_round, attempt=_UPDATE
    )


def _place(slot: Slot) -> tuple[str, str, int, int]:
    return slot.run, slot.purpose, slot.server_round, slot.attempt
