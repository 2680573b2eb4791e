"""The last answer of a site, kept so that work already done is not done again.

A coordinator that died asks for the same round once more. What a site then computes anew would
cost time, and privacy where the training spends any; so it answers what it answered before.
"""

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consortium.site.directory import SiteDirectory
from privacy.protocol.envelope import TRAINING
from privacy.storage.reply_store import REPLY_TABLES, ReplyPlace, ReplyStore
from privacy.storage.site_process import SITE_PROCESS, Cache
from privacy.storage.sqlite import DatabaseForm, SiteStore
from privacy.wire.messages import Contribution, Position

# In the clear nothing but time is lost with an answer that the death of the machine takes along.
_FORM = DatabaseForm(
    file="answers.sqlite",
    tables=REPLY_TABLES,
    synchronous="NORMAL",
    holds="this site's last answer",
)
_MEMORY = "memory"
_MOST_RUNS = 64
_TAG_0_1_0 = b"consortium.kept-answer/1\n"
_DIGEST = hashlib.sha256().digest_size


class ReplyCache:
    """The answer to one question in the clear.

    Guarantee: a question is the same only if run, round, model and statistics are. An answer
    outlives the process from the moment it is returned; only the last one is kept. An answer that
    version 0.1.0 kept is found.

    Args:
        directory: The site's.
        stands: What the site is asked to train from.

    Raises:
        MemoryUnavailable: The database cannot be opened.
        MemoryDamaged: It was written by another version.
        ExposedSecret: The directory is open to others.
    """

    def __init__(self, directory: Path, stands: Position) -> None:
        self._stands = stands
        paths = SiteDirectory(directory)
        self._of_0_1_0 = paths.last_answer_0_1_0
        self._replies = _REPLIES.get(directory, lambda: _Replies(paths.answers)).replies

    def memory(self) -> NDArray[np.float32] | None:
        """Return what earlier rounds of the run left of their updates; None at its start."""
        kept = self._replies.recall(self._memory_place)
        return None if kept is None else np.frombuffer(kept, "<f4")

    def end_run(self) -> None:
        """Forget what the run left: no round comes any more."""
        with self._replies.writing():
            self._replies.let_go_run(self._memory_place.run)

    def recall(self) -> Contribution | None:
        """Return what was answered to the same question; None if it was not asked before."""
        kept = self._replies.recall(self._place)
        if kept is None:
            kept = self._recall_0_1_0()
        return None if kept is None else Contribution.decode(kept)

    def keep(self, sent: Contribution, left: NDArray[np.float32] | None = None) -> Contribution:
        """Keep an answer in place of the last one; return the one to give.

        If another process was faster, what it kept is returned.

        Args:
            sent: The answer.
            left: What it leaves of the run's updates for the next one; None if nothing is left out
                in this run. Answer and memory are kept in one commit: no update is lost or counted
                twice, wherever the process dies.
        """
        with self._replies.writing():
            standing = self._replies.recall(self._place)
            if standing is None:
                self._replies.let_go_other_runs(self._place.run, *self._runs_with_memory())
                if left is not None:
                    self._replies.let_go_run(self._memory_place.run)
                    self._replies.keep(self._memory_place, left.astype("<f4").tobytes())
            reply = standing or self._replies.keep(self._place, sent.encode())
        # Only once the new answer is kept: until then the old file may be the only one.
        self._of_0_1_0.unlink(missing_ok=True)
        return Contribution.decode(reply)

    def _recall_0_1_0(self) -> bytes | None:
        try:
            data = self._of_0_1_0.read_bytes()
        except FileNotFoundError:
            return None
        head = _TAG_0_1_0 + self._question_0_1_0
        body = data[len(head) : -_DIGEST]
        # Version 0.1.0 may have died while it wrote; half an answer is none.
        whole = hashlib.sha256(body).digest() == data[-_DIGEST:]
        return body if whole and data.startswith(head) else None

    @property
    def _place(self) -> ReplyPlace:
        # Each question is a run of its own: in the clear a round may be asked from another state.
        return ReplyPlace(
            run=self._question.hex(), purpose=TRAINING, server_round=self._stands.server_round
        )

    @property
    def _memory_place(self) -> ReplyPlace:
        named = hashlib.sha256(f"{self._stands.charter} {self._stands.run}\n".encode()).hexdigest()
        return ReplyPlace(run=named, purpose=_MEMORY, server_round=0)

    def _runs_with_memory(self) -> list[str]:
        runs = self._replies.runs(_MEMORY)
        # One that was given up leaves its memory for ever: after so many all start anew but this.
        return runs if len(runs) < _MOST_RUNS else [self._memory_place.run]

    @cached_property
    def _question(self) -> bytes:
        """Digest of the question."""
        # State and statistics are part of the question: an answer to another model is a wrong one.
        return hashlib.sha256(self._round + self._stands.digest + self._stands.score_bins).digest()

    @property
    def _question_0_1_0(self) -> bytes:
        """Digest of the question as version 0.1.0 took it."""
        digest = hashlib.sha256(self._round)
        digest.update(np.ascontiguousarray(self._stands.state, "<f4").data)
        digest.update(np.ascontiguousarray(self._stands.statistics, "<i8").data)
        return digest.digest()

    @property
    def _round(self) -> bytes:
        stands = self._stands
        return f"{stands.charter} {stands.run} {stands.server_round}\n".encode()


class _Replies(SiteStore):
    """The replies of a site in the clear."""

    form = _FORM

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.replies = ReplyStore(self._database, directory / "kept")


_REPLIES: Cache[Path, _Replies] = SITE_PROCESS.cache(
    "replies", most=1_024, close=lambda store: store.close()
)
