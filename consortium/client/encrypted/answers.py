"""What a site does in an encrypted run: it opens what comes, and seals what it answers."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from flwr.app import Context, Message, RecordDict

from consortium.charter.document import Charter
from consortium.client.comparison.witnesses import require_compared
from consortium.client.egress_schema import Parts, ReplyForm, Sizes
from consortium.client.encrypted.opening import make_run_opening, run_descriptor
from consortium.client.encrypted.session import RunPosition, Session, session_of
from consortium.client.encrypted.uploads import NOTHING_SENT, Sent
from consortium.client.encrypted_forms import LARGEST_ROUND, key_forms, sealed_forms
from consortium.client.mod_types import Next
from consortium.client.one_sync import one_sync
from consortium.config import RunConfig
from consortium.model.provisional import make_provisional_folder
from consortium.protocol.parameters import count_placement, update_placement
from consortium.protocol.round_counts import round_counts_placement
from consortium.site.key_ring import member_at
from consortium.site.site import Site
from privacy.errors import ConsortiumError
from privacy.layout import Tally
from privacy.policy.document import Releases
from privacy.policy.violations import NotReleased
from privacy.protocol.envelope import (
    EVALUATION,
    STATISTICS,
    TRAINING,
    WrongRound,
)
from privacy.protocol.key_messages import Opening
from privacy.secrets.roster_memory import CountedData
from privacy.wire import comparison_messages, draw_messages, messages
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from privacy.wire.flower_records import MalformedRecord


class UnknownQuestion(ConsortiumError, ValueError, code="unknown-question"):
    """A message of a kind that no encrypted run has."""


class EncryptedAtSite:
    """The site's half of an encrypted run."""

    # There is nothing to seal in these: keys travel signed or wrapped, and a release is of pooled
    # counts.
    without_records: ClassVar[frozenset[str]] = frozenset(
        {
            messages.HELLO,
            comparison_messages.ATTEST,
            comparison_messages.COMPARE,
            sealed_messages.EPOCH,
            sealed_messages.ROTATE,
            sealed_messages.DELIVER,
            draw_messages.COMMIT,
            draw_messages.REVEAL,
            draw_messages.DRAW,
            sealed_messages.OPEN,
            sealed_messages.RELEASE,
        }
    )
    # What is kept on the disk by one sync for each answer.
    synced_once: ClassVar[frozenset[str]] = frozenset(
        {messages.STATISTICS, messages.TRAIN, messages.EVALUATE}
    )

    def session(self, site: Site, request: SealedRound) -> Session:
        """Return the site's session in the run that a question belongs to.

        Raises:
            ConsortiumError: As `session_of`.
        """
        return session_of(site, request)

    def open_run(self, site: Site, content: RecordDict) -> bytes:
        """Open a run with a fresh key; return the encoded opening.

        Raises:
            ConsortiumError: The charter does not allow it.
        """
        return make_run_opening(
            site, sealed_messages.read_opening_request(content), run_descriptor(site)
        )

    def reply_forms(
        self, charter: Charter, config: RunConfig, sizes: Sizes
    ) -> Mapping[str, ReplyForm]:
        """Return what may leave, by kind of question: keys, ciphertexts, and pooled counts."""
        return {**key_forms(charter), **sealed_forms(charter, config, sizes)}

    def largest_bytes(self, charter: Charter, config: RunConfig, sizes: Sizes) -> int:
        """Return the bytes of the largest sealed answer."""
        return max(reply.most_bytes for reply in sealed_forms(charter, config, sizes).values())

    def require_releasable(self, site: Site, releases: Releases, kind: str, parts: Parts) -> None:
        """Check that pooled counts leave only if the site's policy releases them.

        Raises:
            NotReleased: It does not.
        """
        arrays, _ = parts
        if "tally" in arrays and not releases.pooled_figures:
            raise NotReleased("the policy does not release pooled figures")

    def answer(self, site: Site, message: Message, context: Context, call_next: Next) -> Message:
        """Open a question, ask the app behind, and seal what it answers.

        Raises:
            UnknownQuestion: An encrypted run has no such message.
            ConsortiumError: As the session says.
        """
        kind = message.metadata.message_type
        if kind in self.without_records:
            return call_next(message, context)
        # Flower routes `train.default` to the same function as `train`. Let through, it would be
        # answered in the clear.
        if kind not in _SEALED:
            raise UnknownQuestion("an encrypted run has no message of this kind")
        request = read_round(site, message)
        session = self.session(site, request)
        run, roster = session.terms.opened.run, session.terms.opened.roster
        # All openings of one start are one run here: its members compared their ledgers once.
        start = Opening.decode(request.opening).terms.lineage or run
        require_compared(site, start, roster=roster)
        exchange = _Exchange(message, context, call_next, session, request)
        return Message(_SEALED[kind](exchange).content(), reply_to=message)

    def durable_answer(self, site: Site, kind: str) -> AbstractContextManager[None]:
        """Return the block that syncs the disk once, where sums are opened and uploads sealed."""
        return one_sync(site) if kind in self.synced_once else nullcontext()

    def evaluates(self, server_round: int) -> bool:
        """Return whether a round trains from more than S(0), which everybody can compute."""
        return server_round > 1

    def given_statistics(self, site: Site) -> Tally | None:
        """Return what this site counted once under the charter that the statistics are of."""
        rosters = member_at(site.directory, site.config.name, site.charter).memory.rosters
        counted_under = site.charter.statistics_of or site.fingerprint
        counted = CountedData(charter=counted_under, data_set=site.config.data_set)
        held = rosters.own_statistics(counted)
        return None if held is None else site.task.statistics.layout.fitted(held)

    def model_folder(self, site: Site, run: str) -> Path:
        """Return a folder apart: most sites must sign the same final state before it is used."""
        return make_provisional_folder(site.directory, run)

    def reply_cache(self, site: Site, stands: messages.Position) -> None:
        """Return nothing: the session keeps what it sealed."""


def read_round(site: Site, message: Message) -> SealedRound:
    """Return the request of an encrypted run, its parts within the bounds that were agreed.

    Raises:
        MalformedRecord: It is none.
        WrongRound: The run has no such round for such a question.
    """
    config, charter, task = site.run_config, site.charter, site.task
    largest = update_placement(config, charter, task.layout, LARGEST_ROUND)
    before = count_placement(config, charter, task.statistics.layout.size)
    counted = round_counts_placement(config, charter, task.evaluation.layout.size)
    # Sizes come from what was agreed, never from the message: no peer decides how much is read.
    request = SealedRound.read(
        message.content,
        sums_bytes=config.buckets * largest.sum_bytes,
        count_bytes=max(before.sum_bytes, counted.sum_bytes),
    )
    if bool(request.masks) != site.mode.masks_uploads:
        raise MalformedRecord("a question says who is asked if the run has masks, and only then")
    first, last = _rounds(message.metadata.message_type, config.num_server_rounds)
    if not first <= request.server_round <= last:
        raise WrongRound(
            f"this is asked in rounds {first} to {last} of the run, not in {request.server_round}",
            needed=first,
            came=request.server_round,
        )
    return request


def _rounds(kind: str, num_rounds: int) -> tuple[int, int]:
    """Return the first and last round in which a question may be put."""
    match kind:
        case messages.STATISTICS:
            return 0, 0
        case messages.TRAIN:
            return 1, num_rounds
        case messages.EVALUATE:
            return num_rounds + 1, num_rounds + 1
        case _:
            return num_rounds + 2, num_rounds + 2


class _Exchange:
    """One message of an encrypted run on its way through the app."""

    def __init__(
        self,
        message: Message,
        context: Context,
        call_next: Next,
        session: Session,
        request: SealedRound,
    ) -> None:
        self.message = message
        self.context = context
        self.call_next = call_next
        self.session = session
        self.request = request

    def ask(self, content: RecordDict) -> RecordDict:
        """Return the app's answer to a message in the clear."""
        self.message.content = content
        return self.call_next(self.message, self.context).content

    def ask_at(self, standing: RunPosition) -> RecordDict:
        """Return the app's answer, given where the run stands."""
        return self.ask(
            messages.position(
                messages.Position(
                    charter=self.request.charter,
                    run=self.session.terms.opened.run,
                    server_round=self.request.server_round,
                    state=standing.state.model.vector,
                    statistics=standing.state.statistics,
                    score_bins=standing.state.score_bins,
                )
            )
        )

    def statistics(self) -> SealedReply:
        """Count once per run, and seal the counts."""
        exact, answers = self.session.exact, self.session.answers
        sent, state = answers.recall(self.request, STATISTICS), b""
        if exact.counts_statistics():
            sent = sent or answers.seal_counts(self.request, STATISTICS, self._statistics())
        elif (carried := self.session.carried_start()) is not None:
            start = self.session.sealed_start(carried)
            sent = sent or answers.seal_counts(self.request, STATISTICS, None, start.digest)
            state = start.encode() if self.request.report else b""
        else:
            sent = sent or answers.seal_counts(self.request, STATISTICS, None)
        return replace(_counts_reply(sent), state=state)

    def _statistics(self) -> Tally:
        exact = self.session.exact
        exact.note_sealed_statistics()
        kept = exact.statistics() if exact.of_statistics else None
        if kept is not None:
            return kept
        counted = messages.read_counts(
            self.ask(messages.question(self.request.charter)),
            tally_size=self.session.terms.site.task.statistics.layout.size,
        )
        return exact.keep_statistics(counted.tally) if exact.of_statistics else counted.tally

    def train(self) -> SealedReply:
        """Train once per round, and seal what it gave; asked again, answer the same bytes."""
        # The memory is asked first: another question for the same place is refused before anything
        # is opened.
        update = self.session.answers.recall(self.request, TRAINING)
        counts: Sent | None = NOTHING_SENT
        if self._asks_for_counts:
            counts = self.session.answers.recall(self.request, EVALUATION)
        # All checks run for a kept answer, too: state and released counts come from them.
        standing = self.session.standing(self.request)
        released = self.session.released_tally(self.request, standing.evaluated)
        self.session.keep_reached(self.request.server_round, standing)
        if update is None or counts is None:
            update, counts = self._sealed_training(standing)
        return replace(
            _counts_reply(counts),
            upload=update.upload,
            receipt=update.receipt,
            terms=update.terms,
            bundle=update.bundle,
            # One site is asked for the state: those of the other honest sites have the same bytes.
            state=standing.sealed.encode() if self.request.report else b"",
            released=released,
        )

    def evaluate(self) -> SealedReply:
        """Evaluate the final state, and seal the counts."""
        counts = self.session.answers.recall(self.request, EVALUATION)
        standing = self.session.standing(self.request)
        released = self.session.released_tally(self.request, standing.evaluated)
        self.session.keep_reached(self.request.server_round, standing)
        if counts is None:
            tally = self.session.exact.evaluation(lambda: self._evaluation(standing))
            joined = None if tally is None else self.session.terms.joined_counts(tally)
            counts = self.session.answers.seal_counts(
                self.request, EVALUATION, joined, standing.sealed.digest
            )
        return replace(
            _counts_reply(counts),
            state=standing.sealed.encode() if self.request.report else b"",
            released=released,
            # The coordinator learns which model the sites hold, and nothing else of it.
            model=bytes.fromhex(
                self.session.terms.site.task.layout.digest_of(standing.state.model.vector)
            ),
        )

    def _evaluation(self, standing: RunPosition) -> Tally:
        size = self.session.terms.site.task.evaluation.layout.size
        return messages.read_counts(self.ask_at(standing), tally_size=size).tally

    def _sealed_training(self, standing: RunPosition) -> tuple[Sent, Sent]:
        """Return the sealed update and counts."""
        answers, exact = self.session.answers, self.session.exact
        if self.session.terms.contribution.exact:
            exact.require_roster()
        else:
            answers.require_start()
        # A later attempt seals what was trained in the first one: a second training would show a
        # second sum, and with private training cost a second time.
        given = answers.contribution(self.request) or self._contribution(standing)
        scales = self.session.terms.step.scales(standing.state)
        return answers.seal_training(
            self.request,
            standing.sealed.digest,
            scales,
            given,
            evaluated=self._asks_for_counts and exact.claim_evaluation(),
        )

    @property
    def _asks_for_counts(self) -> bool:
        return self.session.terms.asks_for_counts(self.request.server_round)

    def _contribution(self, standing: RunPosition) -> messages.Contribution:
        site = self.session.terms.site
        return messages.read_contribution(
            self.ask_at(standing),
            dim=site.task.layout.dim,
            tally_size=site.task.evaluation.layout.size if self._asks_for_counts else 0,
            max_examples=site.charter.floors.max_examples,
            summed_size=self.session.terms.contribution.tally_size,
        )


def _counts_reply(counts: Sent) -> SealedReply:
    """Return a reply that brings a sealed tally."""
    return SealedReply(
        count_upload=counts.upload,
        count_receipt=counts.receipt,
        count_terms=counts.terms,
        count_bundle=counts.bundle,
    )


_SEALED: dict[str, Callable[[_Exchange], SealedReply]] = {
    messages.STATISTICS: _Exchange.statistics,
    messages.TRAIN: _Exchange.train,
    messages.EVALUATE: _Exchange.evaluate,
}
