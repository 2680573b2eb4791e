"""A hub: it carries the questions of a run to its members, and adds what they seal.

It runs the code that the coordinator of the run would, on its members' answers alone: what it
cannot add it passes on as it came, and the coordinator deals with it.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from consortium.audit.journal import content_digest
from consortium.charter.document import Charter
from consortium.charter.hubs import Hub
from consortium.config import RunConfig
from consortium.coordinator.assembly import sealed_terms
from consortium.modes.registry import mode_of
from privacy.errors import ConsortiumError
from privacy.layout import Layout
from privacy.protocol.envelope import EVALUATION, STATISTICS
from privacy.protocol.hub_sums import HubPresence, HubSum
from privacy.protocol.part_digests import digests_shared
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedRound
from privacy.wire.hub_messages import (
    HUB_CARRY,
    HUB_END,
    HUB_HELLO,
    Brought,
    HubAnswer,
    HubHello,
    HubIsHere,
    Passed,
    SignedSum,
)
from strategies.coordinator.encrypted.parameters import SealedTerms
from strategies.coordinator.encrypted.rounds.ciphertext_sums import Keep, UploadForm
from strategies.coordinator.encrypted.rounds.questions import Questions
from strategies.coordinator.encrypted.rounds.request import SealedRequest
from strategies.coordinator.masked.parameters import MaskedTerms
from strategies.coordinator.masked.rounds.request import MaskedQuestions
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.reply_validation import reply_content
from strategies.coordinator.messaging.roster import Roster

_SHARE = 0.8  # of the time that the coordinator waits: the rest is for the way to it
_ASK_FOR_UPLOADS = (messages.STATISTICS, messages.TRAIN, messages.EVALUATE)
_ANY_SIZE = 2**62  # the question came whole, and nothing of its size is read here


class OtherAgreement(ConsortiumError, ValueError, code="other-agreement"):
    """A hub was asked under another charter, or with another run config, than it has."""


class NotForAHub(ConsortiumError, ValueError, code="not-for-a-hub"):
    """A hub was asked what only members answer."""


@dataclass(frozen=True, kw_only=True)
class RegionalHub:
    """One hub of a run.

    Guarantee: it holds one upload at a time, and of each sum one ciphertext for each that an upload
    has. It adds only what passes every check that the coordinator of a run makes, and keeps the
    uploads for an auditor.

    Args:
        hub: Its name and its members, as the charter has them.
        grid: Flower's bus to its members.
        charter: What all members agreed on.
        config: The run config.
        sign: Signs with the hub's key.
        keep: Keeps a file.
        note_dim: Told how many numbers the vector has that the members train, before they answer.
        session: Tells this run of the hub from one that died.
    """

    hub: Hub
    grid: Grid
    charter: Charter
    config: RunConfig
    sign: Callable[[bytes], bytes] = field(repr=False)
    keep: Keep = field(repr=False)
    note_dim: Callable[[int], None] = lambda _dim: None
    session: str = field(default_factory=lambda: secrets.token_hex(16))

    def answer(self, asked: Message, *, run: int, node: int) -> RecordDict:
        """Return the answer to a message of the coordinator of a run.

        Args:
            asked: The message.
            run: Flower's number of that coordinator's run.
            node: Flower's id of the hub's node there.

        Raises:
            OtherAgreement: It is of another charter or run config.
            NotForAHub: It is for members.
            MalformedRecord: It does not have the agreed form.
        """
        match asked.metadata.message_type:
            case kind if kind == HUB_HELLO:
                return self._greeted(HubHello.read(asked.content), run=run, node=node)
            case kind if kind == HUB_CARRY:
                passed = Passed.read(asked.content)
                self._require_agreed(passed.charter, passed.config)
                with digests_shared():
                    return self._carried(passed).content()
            case kind if kind == HUB_END:
                ended = HubHello.read(asked.content)
                self._require_agreed(ended.charter, ended.config)
                return RecordDict()
        raise NotForAHub("a hub passes on questions to its members, and answers none itself")

    def _greeted(self, hello: HubHello, *, run: int, node: int) -> RecordDict:
        self._require_agreed(hello.charter, hello.config)
        presence = HubPresence.at(
            charter=hello.charter,
            run=run,
            node=node,
            challenge=hello.challenge,
            hub=self.hub.name,
        )
        proof = self.sign(presence.encode())
        here = HubIsHere(hub=self.hub.name, session=self.session, nodes=self._nodes(), proof=proof)
        return here.content()

    def _require_agreed(self, charter: str, config: str) -> None:
        if (charter, config) != (self.charter.fingerprint, self.config.digest):
            raise OtherAgreement(
                f"the hub {self.hub.name} has another charter or run config than the coordinator "
                "of the run: give both the same"
            )

    def _nodes(self) -> tuple[int, ...]:
        return tuple(self.grid.get_node_ids())

    def _carried(self, passed: Passed) -> HubAnswer:
        exchange = Exchange(grid=self.grid, deadline_s=_SHARE * self.config.deadline_s)
        if passed.layout:
            self.note_dim(_layout(passed).dim)
        summing = self._summing(passed)
        asked = (
            exchange.message(passed.kind, node, passed.contents[at], group=passed.group)
            for node, at in zip(passed.nodes, passed.asked, strict=True)
        )
        brought = []
        for site, reply in zip(passed.sites, exchange.replies(asked), strict=True):
            brought.append(_brought(passed.kind, site, reply, summing))
            del reply  # before the next is pulled: one upload is in memory
        sums = tuple(self._signed_sums(summing)) if summing else ()
        return HubAnswer(nodes=self._nodes(), brought=tuple(brought), sums=sums)

    def _signed_sums(self, summing: SealedRequest) -> Iterable[SignedSum]:
        charter = bytes.fromhex(self.charter.fingerprint)
        for sums in summing.sums.values():
            for receipts, summed in sums.finish_parts():
                statement = HubSum.sign(
                    receipts, summed, charter=charter, hub=self.hub.name, sign=self.sign
                )
                yield SignedSum(statement=statement.encode(), summed=summed)

    def _summing(self, passed: Passed) -> SealedRequest | None:
        """Return the question whose uploads are added here; None where nothing is sealed."""
        sealed = mode_of(self.config).keeps_signed_sums and passed.kind in _ASK_FOR_UPLOADS
        if not passed.layout or not sealed:
            return None
        terms = sealed_terms(self.config, self.charter)
        layout = _layout(passed)
        request = SealedRound.read(passed.contents[0], sums_bytes=_ANY_SIZE, count_bytes=_ANY_SIZE)
        forms = _forms(passed.kind, terms, layout, request.server_round)
        roster = Roster(layout=layout, present={}, asked=frozenset())
        kind = MaskedQuestions if isinstance(terms, MaskedTerms) else Questions
        questions = kind(terms=terms, roster=roster, keep=self.keep, observe=lambda _event: None)  # type: ignore[arg-type]
        return questions.put(request, (), forms)


def _layout(passed: Passed) -> Layout:
    return Layout.from_description(json.loads(passed.layout))


def _forms(
    kind: str, terms: SealedTerms, layout: Layout, server_round: int
) -> Mapping[str, UploadForm]:
    """Return the forms of the uploads that a question asks for."""
    if kind == messages.STATISTICS:
        return {STATISTICS: terms.statistics_form(layout)}
    if kind == messages.TRAIN:
        return terms.training_forms(layout, server_round)
    return {EVALUATION: terms.evaluation_form(layout)}


def _brought(kind: str, site: str, reply: Message, summing: SealedRequest | None) -> Brought:
    """Return an answer as it is passed on: without its uploads, if these could be added."""
    if not reply.has_content():
        return Brought(error=reply.error.code)
    content = reply.content
    whole = Brought(
        content=content,
        run=reply.metadata.run_id,
        digest=content_digest(kind, content),
        num_bytes=wire.num_bytes(content),
    )
    if summing is None:
        return whole
    try:
        sent = summing.read(reply_content(reply))
        summing.take(site, sent)
    except ConsortiumError:
        return whole  # the coordinator refuses it, as it would without a hub
    light = replace(sent, upload=b"", count_upload=b"")
    return replace(whole, content=light.content(), summed=True)
