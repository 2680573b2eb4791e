"""What a site must remember of its answers so as not to answer twice.

Rows and small bytes in SQLite, large bytes in files beside it. Guarantee: what a call reported
as kept is there after the process, or the machine, dies at any moment; of two processes at once
the first one's answer stands, and both get that one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from privacy.errors import ConsortiumError
from privacy.protocol.envelope import TRAINING, Slot
from privacy.storage.blob_files import KeptFiles
from privacy.storage.sqlite import SiteDatabase

_SMALL = 256 * 1024  # a file of its own costs more than it saves below this
_UPDATE = 0  # the place of a round's update among its attempts, which count from 1


class AlreadyAnswered(ConsortiumError, ValueError):
    """The same question was asked before with other content."""

    code = "already-answered"


class AnswerForgotten(ConsortiumError, LookupError):
    """The question is older than the last one answered, and its answer is not kept."""

    code = "answer-forgotten"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a site said to one request.

    Args:
        slot: The one place the answer fills.
        request: Digest of the request.
        state: Digest of the sealed state the site trained from.
        receipt: The encoded receipt; empty where none is given.
        reply: The encoded reply, sent again byte for byte when asked again.
    """

    slot: Slot
    request: bytes
    state: bytes
    receipt: bytes
    reply: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class LastState:
    """Where this site last stood in a run.

    Args:
        server_round: The last round it answered.
        attempt: The last attempt of it.
        state: Digest of the sealed state it trained from.
    """

    server_round: int
    attempt: int
    state: bytes


class AnswerMemory:
    """What one site answered, in a database and a directory of its own.

    Args:
        database: Its tables.
        files: For what is large.
    """

    def __init__(self, database: SiteDatabase, files: KeptFiles) -> None:
        self._database = database
        self._files = files
        with database.writing():
            orphans = files.orphaned_files(known=database.column("SELECT name FROM files"))
            if orphans:
                database.settle()
        files.drop(orphans)

    def remember_round(
        self, slot: Slot, update: bytes, answers: Sequence[Answer]
    ) -> tuple[bytes, ...] | None:
        """Keep what training gave in a round and all answers made of it, in one commit.

        Guarantee: all of it is kept or none; the replies returned are those that stand.

        Returns:
            A reply for each answer; None, and nothing kept, if another update stands for this
            round: the answers must be made of that one.

        Raises:
            AlreadyAnswered, AnswerForgotten: As in `remember_reply`.
        """
        superseded: list[str] = []
        with self._database.writing():
            standing = self._stored_update(slot)
            if standing is not None and standing != update:
                return None
            replies = tuple(self._stored_reply(one, superseded) for one in answers)
            if standing is None:
                self._keep_bytes(slot, _UPDATE, update)
        self._files.drop(superseded)
        return replies

    def recall_update(self, slot: Slot) -> bytes | None:
        """Return what training gave in this round, or None if it has not been done.

        Raises:
            AnswerForgotten: This round or a later one was answered, and the update let go.
        """
        with self._database.writing():
            return self._stored_update(slot)

    def remember_reply(self, answer: Answer) -> bytes:
        """Keep an answer, and return the reply that stands: the first that was kept for its slot.

        Guarantee: one slot has one reply, ever. Of each run and purpose the last answer is kept
        in full, of earlier ones all but the reply and the update.

        Raises:
            AlreadyAnswered: The slot was asked before with another request, or another attempt
                at this round started from another state.
            AnswerForgotten: A later round or attempt was answered since.
        """
        superseded: list[str] = []
        with self._database.writing():
            reply = self._stored_reply(answer, superseded)
        self._files.drop(superseded)
        return reply

    def recall_reply(self, slot: Slot, request: bytes) -> bytes | None:
        """Return the reply this site gave to a request, or None if it has not answered yet.

        Args:
            slot: What is asked for.
            request: Digest of the request.

        Raises:
            AlreadyAnswered: The slot was asked before with another request.
            AnswerForgotten: A later round or attempt was answered since.
        """
        with self._database.writing():
            return self._find_reply(slot, request)

    def own_receipt(self, slot: Slot) -> bytes | None:
        """Return the encoded receipt this site gave for a slot, or None if it gave none."""
        row = self._answer_row(slot)
        return row[1] if row else None

    def last_state(self, run: str, *, purpose: str = TRAINING) -> LastState | None:
        """Return where this site last stood in a run, or None if it never answered in it."""
        row = self._database.row(
            "SELECT server_round, attempt, state FROM answers WHERE run = ? AND purpose = ?"
            " ORDER BY server_round DESC, attempt DESC LIMIT 1",
            run,
            purpose,
        )
        return LastState(server_round=row[0], attempt=row[1], state=row[2]) if row else None

    def finish_run(self, run: str) -> None:
        """Let go of the large bytes of a run that is over; what protects the site stays."""
        with self._database.writing():
            self._database.execute("DELETE FROM small WHERE run = ?", run)
            names = self._database.column("DELETE FROM files WHERE run = ? RETURNING name", run)
        self._files.drop(names)

    def _stored_reply(self, answer: Answer, superseded: list[str]) -> bytes:
        slot = answer.slot
        standing = self._find_reply(slot, answer.request)
        if standing is not None:
            return standing
        self._require_same_state(answer)
        superseded += self._delete_superseded(slot)
        self._database.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
            *_place(slot),
            answer.request,
            answer.state,
            answer.receipt,
        )
        self._keep_bytes(slot, slot.attempt, answer.reply)
        return answer.reply

    def _stored_update(self, slot: Slot) -> bytes | None:
        kept = self._kept_bytes(slot, _UPDATE)
        last = self.last_state(slot.run, purpose=slot.purpose)
        if kept is None and last is not None and last.server_round >= slot.server_round:
            raise AnswerForgotten(
                f"round {last.server_round} was answered, no update is kept for round "
                f"{slot.server_round}"
            )
        return kept

    def _find_reply(self, slot: Slot, request: bytes) -> bytes | None:
        row = self._answer_row(slot)
        if row is not None and row[0] != request:
            raise AlreadyAnswered(
                f"attempt {slot.attempt} at round {slot.server_round} was answered to another "
                "request"
            )
        kept = self._kept_bytes(slot, slot.attempt)
        last = self.last_state(slot.run, purpose=slot.purpose)
        asked = (slot.server_round, slot.attempt)
        if kept is None and last is not None and (last.server_round, last.attempt) >= asked:
            raise AnswerForgotten(
                f"attempt {last.attempt} at round {last.server_round} was answered, no reply is "
                f"kept for attempt {slot.attempt} at round {slot.server_round}"
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
        last = self.last_state(answer.slot.run, purpose=answer.slot.purpose)
        if last is None or last.server_round != answer.slot.server_round:
            return
        if last.state != answer.state:
            raise AlreadyAnswered(
                f"attempt {last.attempt} at round {last.server_round} started from another state"
            )

    def _keep_bytes(self, slot: Slot, attempt: int, data: bytes) -> None:
        place = (slot.run, slot.purpose, slot.server_round, attempt)
        if len(data) <= _SMALL:
            self._database.execute("INSERT INTO small VALUES (?, ?, ?, ?, ?)", *place, data)
            return
        name, digest = self._files.keep(data)
        self._database.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", *place, name, digest)

    def _kept_bytes(self, slot: Slot, attempt: int) -> bytes | None:
        place = (slot.run, slot.purpose, slot.server_round, attempt)
        small = self._database.row(
            "SELECT data FROM small"
            " WHERE run = ? AND purpose = ? AND server_round = ? AND attempt = ?",
            *place,
        )
        if small:
            return bytes(small[0])
        row = self._database.row(
            "SELECT name, digest FROM files"
            " WHERE run = ? AND purpose = ? AND server_round = ? AND attempt = ?",
            *place,
        )
        return self._files.read(row[0], digest=row[1]) if row else None

    def _delete_superseded(self, slot: Slot) -> list[str]:
        place = (slot.run, slot.purpose, slot.server_round, _UPDATE)
        self._database.execute(
            "DELETE FROM small WHERE run = ? AND purpose = ?"
            " AND (server_round < ? OR attempt != ?)",
            *place,
        )
        return self._database.column(
            "DELETE FROM files WHERE run = ? AND purpose = ?"
            " AND (server_round < ? OR attempt != ?) RETURNING name",
            *place,
        )


def _place(slot: Slot) -> tuple[str, str, int, int]:
    return slot.run, slot.purpose, slot.server_round, slot.attempt
