"""The state that a masked run reached at a site, from which it can go on without some members.

A run that sums one set of sites waits for who is missing. Who is gone for good is let go by the
next revision of the charter, which all who remain sign, and another run goes on from the state
that this one reached. docs/protocol.md, "Without a site that is gone".
"""

from dataclasses import dataclass
from typing import Annotated

from privacy.errors import ConsortiumError, number_of
from privacy.protocol.envelope import EVALUATION, TRAINING
from privacy.protocol.masks.groups import witnesses
from privacy.protocol.records import Record, blob, fixed_bytes, names, number
from privacy.secrets.answer_memory import AnswerMemory, LastState
from privacy.storage.reply_store import ReplyPlace, ReplyStore
from privacy.storage.sqlite import SiteDatabase

REACHED_TABLES = (
    "CREATE TABLE IF NOT EXISTS continued_runs"
    " (run TEXT PRIMARY KEY, charter TEXT NOT NULL, state BLOB NOT NULL) STRICT",
)

_PURPOSE = "reached"  # of no upload: beside the answers of a round, and let go with them
_MOST_BYTES = 2**40


class StateNotHeld(ConsortiumError, LookupError, code="state-not-held"):
    """This site did not reach the state from which a run is to go on, or holds it no more."""


class RunWentOn(ConsortiumError, ValueError, code="run-went-on"):
    """This site confirmed or opened a sum that was made from the state: the run is beyond it."""


class ContinuedElsewhere(ConsortiumError, PermissionError, code="continued-elsewhere"):
    """The run goes on under another charter already."""


class TooFewRemain(ConsortiumError, PermissionError, code="too-few-remain"):
    """Too few sites of a run remain to be sure that nobody went beyond the state."""


@dataclass(frozen=True, kw_only=True)
class ReachedState(Record, tag=b"consortium.reached-state/1\n"):
    """The state from which a site answered last in a run, and what must hold to go on from it.

    Args:
        state: Digest of its sealed form, which the site signed in its receipts.
        settings: Digest of all settings that make or weigh an update.
        roster: The sites of the run.
        needed: How many of their witnesses confirm a sum.
        content: The state.
    """

    state: Annotated[bytes, fixed_bytes("the digest of a state")]
    settings: Annotated[bytes, fixed_bytes("the digest of settings")]
    roster: Annotated[tuple[str, ...], names("the roster of a run")]
    needed: Annotated[int, number("confirmations", low=1)]
    content: Annotated[bytes, blob("a state", low=1, high=_MOST_BYTES)]

    def require_enough(self, remaining: tuple[str, ...]) -> None:
        """Check that enough sites of the run remain.

        Guarantee: among them is an honest one that knows of every sum that was made from this
        state and opened. For a sum opens with so many confirmations, and two sets of so many
        witnesses have an honest one in common.

        Args:
            remaining: The sites that go on.

        Raises:
            TooFewRemain: Fewer witnesses remain than confirm a sum, or not more than half of the
                sites.
        """
        there = {*remaining}
        confirming = len(there.intersection(witnesses(self.roster)))
        if confirming < self.needed or 2 * len(there.intersection(self.roster)) <= len(self.roster):
            raise TooFewRemain(
                f"{number_of(self.needed, 'site')} that confirm sums, and more than half of all, "
                f"must remain of the run that goes on; {confirming} do: bring others back",
                needed=self.needed,
                came=confirming,
            )


class ReachedStates:
    """The states of masked runs at one site, and which runs went on from them.

    Guarantee: what a call stored survives the death of the process or of the machine at any
    moment. If two processes decide at the same time, the first decision holds.

    Args:
        database: Database that holds `REACHED_TABLES`, the confirmations and the burned keys.
        replies: Where the states are kept, in the same database.
        answers: What the site answered.
    """

    def __init__(self, database: SiteDatabase, replies: ReplyStore, answers: AnswerMemory) -> None:
        self._database, self._replies, self._answers = database, replies, answers

    def keep(self, run: str, server_round: int, reached: ReachedState) -> None:
        """Keep the state from which a round of a run is answered; that of the last one is let go.

        Kept again, nothing changes.
        """
        place = _place(run, server_round)
        with self._replies.writing():
            if self._replies.recall(place) is None:
                self._replies.let_go_others(place)
                self._replies.keep(place, reached.encode())

    def held(self, run: str, state: bytes) -> ReachedState:
        """Return the state from which this site answered last in a run.

        Args:
            run: The run.
            state: Digest of the sealed state that is asked for.

        Raises:
            StateNotHeld: It is another one, or it is not kept.
        """
        last = self._last(run)
        if last is not None and last.state == state:
            kept = self._replies.recall(_place(run, last.server_round))
            if kept is not None:
                return ReachedState.decode(kept)
        raise StateNotHeld(
            f"this site holds no state {state.hex()} of run {run}: it answered last from another "
            "one, or took part in other runs since; the members decide whether they start anew"
        )

    def claim(self, run: str, charter: str, reached: ReachedState) -> None:
        """Remember, in one commit, that a run goes on under a charter, and end the run itself.

        Guarantee: a run goes on from one state and under one charter, hence for one roster, ever.
        From then on this site seals, confirms and opens nothing of the run itself. Claimed again
        for the same charter, nothing changes.

        Args:
            run: The run that goes on.
            charter: Fingerprint of the charter under which it does, hexadecimal.
            reached: The state, as `held` returned it.

        Raises:
            ContinuedElsewhere: It goes on under another charter, or from another state.
            RunWentOn: This site confirmed or opened a sum that was made from this state.
        """
        with self._replies.writing():
            before = self._database.row(
                "SELECT charter, state FROM continued_runs WHERE run = ?", run
            )
            if before == (charter, reached.state):
                return
            if before is not None:
                raise ContinuedElsewhere(
                    f"run {run} goes on under another charter already: its sites go on together, "
                    "so bring that run to its end"
                )
            place = self._require_last(run)
            # What else was kept of it is asked for by nobody any more.
            self._replies.let_go_run(run)
            self._replies.keep(place, reached.encode())
            self._database.execute(
                "INSERT INTO continued_runs VALUES (?, ?, ?)", run, charter, reached.state
            )
            self._database.execute("INSERT OR IGNORE INTO burned VALUES (?)", run)
            self._database.execute("UPDATE masked_runs SET ended = 1 WHERE run = ?", run)

    def continued(self) -> tuple[str, ...]:
        """Return the runs that went on as others, whose states are still kept."""
        return tuple(self._database.column("SELECT run FROM continued_runs ORDER BY rowid"))

    def _require_last(self, run: str) -> ReplyPlace:
        """Return where the last state of a run is kept, if no sum was made from it."""
        last = self._last(run)
        since = 0 if last is None else last.server_round
        beyond = self._database.row(
            "SELECT max(server_round) FROM confirmed WHERE run = ? AND place = ?", run, TRAINING
        )[0]
        # A second sum of updates from one state, over other sites, would show the difference.
        if beyond is not None and beyond >= since:
            raise RunWentOn(
                f"this site confirmed a sum of round {beyond} of run {run}, which was made from "
                "the state that it is to go on from: resume the run, which opens that sum first"
            )
        return _place(run, since)

    def _last(self, run: str) -> LastState | None:
        given = [self._answers.last_state(run, purpose=one) for one in (TRAINING, EVALUATION)]
        return max(filter(None, given), key=lambda one: one.server_round, default=None)


def _place(run: str, server_round: int) -> ReplyPlace:
    return ReplyPlace(run=run, purpose=_PURPOSE, server_round=server_round)
