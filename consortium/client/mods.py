"""What every message passes at a site, from the outside in."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from flwr.app import Context, Message, RecordDict

from consortium.client.audit_trail import SiteAuditTrail, evidence_of
from consortium.client.greeting_proofs import proven_refusal
from consortium.client.mod_types import Next
from consortium.client.news import NothingNew
from consortium.client.policy_gate import gate_of, refusal_of
from consortium.client.site_modes import at_site
from consortium.run.logs import logging_to
from consortium.site.directory import SiteDirectory, site_directory
from consortium.site.site import Site, site_of, sites_read_once
from privacy.errors import ConsortiumError
from privacy.protocol.part_digests import digests_shared
from privacy.wire.flower_records import REFUSAL, num_bytes, refusal_content

_LOG = logging.getLogger(__name__)
_LONGEST_KIND = 64


class SiteError(ConsortiumError, RuntimeError, code="site-error"):
    """Something failed at the site that nobody foresaw; the site's log says what."""


def gate_messages(message: Message, context: Context, call_next: Next) -> Message:
    """Let in what the site's policy allows, and out what is on the list of what may leave.

    Guarantee: this is the outermost mod. What leaves is an answer whose records, keys, types
    and sizes are on the list for its kind, or a refusal with a known code; nothing of the
    message that the app behind made but its content leaves. What came and what leaves is in the
    site's audit log, on the disk, before anything leaves.
    """

    def pass_gate() -> Message:
        site = site_of(context)
        evidence = evidence_of(site, str(message.metadata.run_id))
        again = _refused_again(site, message, context, evidence)
        if again is not None:
            return again
        try:
            with at_site(site.run_config).durable_answer(site, message.metadata.message_type):
                return _noted_answer(message, context, call_next, evidence)
        except ConsortiumError as error:
            # What the answer promises is not on the disk, so it stays here. The log has it already,
            # and names what leaves in its place. If the log itself cannot, this raises again.
            _LOG.exception("kept back %s: %s", _kind(message), error.code)
            return _noted_refusal(error, message, context, evidence)

    # The log, the coordinator's signature and the memory of what was shown go by the same digests.
    with digests_shared(), sites_read_once(), _logging(context):
        # If the log cannot be written, only this last refusal leaves, and not the answer.
        return _answer_or_refusal(message, pass_gate)


def _noted_answer(
    message: Message, context: Context, call_next: Next, evidence: SiteAuditTrail
) -> Message:
    """Return the answer to a question, both of them in the log."""
    site = evidence.site
    # Noted before it is judged: a question that is refused is evidence as well.
    evidence.note_question(message)

    def answer() -> Message:
        gate = gate_of(site)
        evidence.began(gate.policy, gate.traffic)
        passage = gate.admit(message)
        released = gate.release(passage, call_next(message, context))
        _LOG.info("answered %s: %d bytes", _kind(message), num_bytes(released))
        return Message(released, reply_to=message)

    content = _answer_or_refusal(message, answer).content
    # Every refusal passes here, those of the gate itself and those of the app behind it.
    if REFUSAL in content:
        content = _signed_refusal(site, content, message, context)
    left = evidence.note_answer(message.metadata.message_type, content)
    return Message(left, reply_to=message)


def _noted_refusal(
    error: ConsortiumError, message: Message, context: Context, evidence: SiteAuditTrail
) -> Message:
    """Return a refusal that is in the log."""
    content = _signed_refusal(evidence.site, refusal_content(error), message, context)
    left = evidence.note_answer(message.metadata.message_type, content)
    return Message(left, reply_to=message)


def typed_refusals(message: Message, context: Context, call_next: Next) -> Message:
    """Turn every exception at a site into a typed refusal.

    Guarantee: what leaves the site is a code and counts. Text and traceback, which may quote a
    record, go to `site.log` in the site's directory; Flower would send both to the coordinator.
    """
    with _logging(context):
        return _answer_or_refusal(message, lambda: call_next(message, context))


def seal_messages(message: Message, context: Context, call_next: Next) -> Message:
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
    site.mode.require_agreed(site.run_config, site.charter)
    return at_site(site.run_config).answer(site, message, context, call_next)


def _signed_refusal(
    site: Site, content: RecordDict, message: Message, context: Context
) -> RecordDict:
    """Return a refusal with what may leave of it; that of a greeting is signed by the site."""
    return proven_refusal(
        refusal_of(site, content),
        message,
        context,
        directory=site.directory,
        name=site.config.name,
        charter=site.charter,
    )


def _refused_again(
    site: Site, message: Message, context: Context, evidence: SiteAuditTrail
) -> Message | None:
    """Return a refusal that was told before, and is only counted; None for any other question.

    What was counted in an hour is one entry of the audit log, once the hour is over.
    """
    try:
        gate = gate_of(site)
        ended = gate.refusals.ended(gate.clock())
        if ended is not None:
            evidence.note_refused_together(ended)
            _LOG.warning("%d more questions were refused at the door", ended.times)
        error = gate.refused_again(message)
    except ConsortiumError:
        return None  # it is refused for this below, and told
    if error is None:
        return None
    refused = _signed_refusal(site, refusal_content(error), message, context)
    return Message(refused, reply_to=message)


def _answer_or_refusal(message: Message, answer: Callable[[], Message]) -> Message:
    """Return the answer, or a typed refusal if it raised."""
    try:
        return answer()
    except NothingNew as error:
        _LOG.info("answered %s: nothing new", _kind(message))
        return Message(refusal_content(error), reply_to=message)
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
        # A site that is not set up has no log, and must refuse all the same.
        return nullcontext()


def _kind(message: Message) -> str:
    """Return the kind of a question as the log shows it: whatever a peer put there, one line."""
    return ascii(message.metadata.message_type)[1:-1][:_LONGEST_KIND]
