"""What every message passes at a site, from the outside in."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

from flwr.app import Context, Message, RecordDict

from consortium.client.audit_trail import evidence_of
from consortium.client.policy_gate import gate_of, refusal_of
from consortium.client.sealed_session import RunPosition, Session, session_of
from consortium.client.sealed_uploads import Sent
from consortium.protocol.parameters import count_placement, require_agreed, update_placement
from consortium.run.logs import logging_to
from consortium.site.directory import SiteDirectory, site_directory
from consortium.site.site import Site, site_of
from privacy.errors import ConsortiumError
from privacy.protocol.envelope import EVALUATION, STATISTICS, TRAINING, WrongRound
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from privacy.wire.flower_records import REFUSAL, num_bytes, refusal_content

Next: TypeAlias = Callable[[Message, Context], Message]
Mod: TypeAlias = Callable[[Message, Context, Next], Message]

_LOG = logging.getLogger(__name__)
_LONGEST_KIND = 64


class SiteError(ConsortiumError, RuntimeError):
    """Something failed at the site that nobody foresaw; the site's log says what."""

    code = "site-error"


class UnknownQuestion(ConsortiumError, ValueError):
    """A message of a kind that no encrypted run has."""

    code = "unknown-question"


def gated(message: Message, context: Context, call_next: Next) -> Message:
    """Let in what the site's policy allows, and out what is on the list of what may leave.

    Guarantee: this is the outermost mod. What leaves is an answer whose records, keys, types
    and sizes are on the list for its kind, or a refusal with a known code; nothing of the
    message that the app behind made but its content leaves. What came and what leaves is in the
    site's audit log, on the disk, before anything leaves.
    """

    def passed() -> Message:
        site = site_of(context)
        evidence = evidence_of(site, str(message.metadata.run_id))
        evidence.received(message)

        def answered() -> Message:
            gate = gate_of(site)
            evidence.began(gate.policy, gate.traffic)
            passage = gate.admit(message)
            released = gate.release(passage, call_next(message, context))
            _LOG.info("answered %s: %d bytes", _kind(message), num_bytes(released))
            return Message(released, reply_to=message)

        content = _typed(message, context, answered).content
        if REFUSAL in content:
            content = refusal_of(site, content)
        left = evidence.answered(message.metadata.message_type, content)
        return Message(left, reply_to=message)

    return _typed(message, context, passed)


def typed_refusals(message: Message, context: Context, call_next: Next) -> Message:
    """Turn every exception at a site into a typed refusal.

    Guarantee: what leaves the site is a code and counts. Text and traceback, which may quote a
    record, go to `site.log` in the site's directory; Flower would send both to the coordinator.
    """
    return _typed(message, context, lambda: call_next(message, context))


def sealed(message: Message, context: Context, call_next: Next) -> Message:
    """Open what comes and seal what goes, if the run is encrypted.

    Guarantee: behind this mod the app handles the messages of `privacy.wire.messages` in either
    mode and cannot tell them apart; before it, an update or a count exists under encryption only:
    a message under another name for the same function (Flower's `train.default`) is refused.

    Raises:
        OutsideCharter: The charter does not allow such a run.
        UnknownQuestion: An encrypted run has no such message.
        ConsortiumError: As the session says.
    """
    site = site_of(context)
    require_agreed(site.run_config, site.charter)
    kind = message.metadata.message_type
    if site.run_config.aggregation == "clear" or kind in _WITHOUT_RECORDS:
        return call_next(message, context)
    if kind not in _SEALED:
        raise UnknownQuestion("an encrypted run has no message of this kind")
    request = read_round(site, message)
    exchange = _Exchange(message, context, call_next, session_of(site, request), request)
    return Message(_SEALED[kind](exchange).content(), reply_to=message)


def read_round(site: Site, message: Message) -> SealedRound:
    """Return the request of an encrypted run, its parts within the bounds that were agreed.

    Raises:
        MalformedRecord: It is none.
        WrongRound: The run has no such round for such a question.
    """
    config, charter, task = site.run_config, site.charter, site.task
    sizes = (task.statistics.layout.size, task.evaluation.layout.size)
    request = SealedRound.read(
        message.content,
        sums_bytes=config.buckets * update_placement(config, charter, task.layout).sum_bytes,
        count_bytes=max(count_placement(config, charter, size).sum_bytes for size in sizes),
    )
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
                    run=self.session.opened.run,
                    server_round=self.request.server_round,
                    state=standing.state.model.vector,
                    statistics=standing.state.statistics,
                )
            )
        )

    def statistics(self) -> SealedReply:
        """Count once per run, and seal the counts."""
        sent = self.session.answers.recall(self.request, STATISTICS)
        if sent is None:
            site = self.session.site
            counted = messages.read_counts(
                self.ask(messages.question(self.request.charter)),
                tally_size=site.task.statistics.layout.size,
            )
            sent = self.session.answers.counted(self.request, STATISTICS, counted.tally)
        return SealedReply(count_upload=sent.upload, count_receipt=sent.receipt)

    def train(self) -> SealedReply:
        """Train once per round, and seal what it gave; asked again, answer the same bytes."""
        update = self.session.answers.recall(self.request, TRAINING)
        counts = self.session.answers.recall(self.request, EVALUATION)
        standing = self.session.standing(self.request)
        released = self.session.released(self.request)
        if update is None or counts is None:
            update, counts = self._trained(standing)
        return SealedReply(
            upload=update.upload,
            receipt=update.receipt,
            count_upload=counts.upload,
            count_receipt=counts.receipt,
            state=standing.sealed.encode() if self.request.report else b"",
            released=released,
        )

    def evaluate(self) -> SealedReply:
        """Evaluate the final state, and seal the counts."""
        counts = self.session.answers.recall(self.request, EVALUATION)
        standing = self.session.standing(self.request)
        released = self.session.released(self.request)
        if counts is None:
            site = self.session.site
            counted = messages.read_counts(
                self.ask_at(standing), tally_size=site.task.evaluation.layout.size
            )
            counts = self.session.answers.counted(
                self.request, EVALUATION, counted.tally, standing.sealed.digest
            )
        return SealedReply(
            count_upload=counts.upload,
            count_receipt=counts.receipt,
            state=standing.sealed.encode() if self.request.report else b"",
            released=released,
            model=bytes.fromhex(
                self.session.site.task.layout.digest_of(standing.state.model.vector)
            ),
        )

    def _trained(self, standing: RunPosition) -> tuple[Sent, Sent]:
        """Return the sealed update and counts."""
        answers = self.session.answers
        given = answers.contribution(self.request) or self._contribution(standing)
        scales = self.session.step.scales(standing.state)
        return answers.trained(self.request, standing.sealed.digest, scales, given)

    def _contribution(self, standing: RunPosition) -> messages.Contribution:
        site = self.session.site
        return messages.read_contribution(
            self.ask_at(standing),
            dim=site.task.layout.dim,
            tally_size=site.task.evaluation.layout.size,
            max_examples=site.charter.floors.max_examples,
        )


_WITHOUT_RECORDS = frozenset(
    {
        messages.HELLO,
        sealed_messages.EPOCH,
        sealed_messages.ROTATE,
        sealed_messages.DELIVER,
        sealed_messages.OPEN,
        sealed_messages.RELEASE,  # of what was pooled before
    }
)
_SEALED: dict[str, Callable[[_Exchange], SealedReply]] = {
    messages.STATISTICS: _Exchange.statistics,
    messages.TRAIN: _Exchange.train,
    messages.EVALUATE: _Exchange.evaluate,
}


def _typed(message: Message, context: Context, answer: Callable[[], Message]) -> Message:
    """Return the answer, or a typed refusal if it raised."""
    with _logging(context):
        try:
            return answer()
        except ConsortiumError as error:
            _LOG.exception("refused %s: %s", _kind(message), error.code)
            return Message(refusal_content(error), reply_to=message)
        except Exception:  # noqa: BLE001 -- the last door: nothing unforeseen may leave either
            _LOG.exception("refused %s: it failed", _kind(message))
            return Message(refusal_content(SiteError("see the site's log")), reply_to=message)


def _logging(context: Context) -> AbstractContextManager[None]:
    """Log to the site's file, if it is known which site this is."""
    try:
        return logging_to(SiteDirectory(site_directory(context)).log)
    except (ConsortiumError, OSError):
        return nullcontext()


def _kind(message: Message) -> str:
    """Return the kind of a question as the log shows it: whatever a peer put there, one line."""
    return ascii(message.metadata.message_type)[1:-1][:_LONGEST_KIND]
