"""The bus of a run whose members stand behind hubs: to the run, it is one to the members.

All messages for the members of a hub go to it together, and their answers come back together. So
what leads a run asks its members by their own names, as it does without hubs.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from flwr.app import Error, Message
from flwr.serverapp import Grid

from consortium.charter.document import Charter
from consortium.coordinator.audit_trail import WrappedGrid
from privacy.canonical import MalformedEnvelope
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import BadSignature
from privacy.protocol.hub_sums import HubPresence, require_hub_signature
from privacy.protocol.membership_proof import CHALLENGE_SIZE
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.hub_messages import (
    HUB_CARRY,
    HUB_END,
    HUB_HELLO,
    Brought,
    HubAnswer,
    HubHello,
    HubIsHere,
    HubPart,
    Passed,
    Relayed,
    run_name,
)
from strategies.coordinator.messaging.exchange import HUB_AWAY

_PAUSE_S = 0.1
_LONGEST_GREETING_S = 20.0
_LONGEST_FAREWELL_S = 10.0
_NO_ID = ""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Present:
    """A hub that proved to be there: the node of the hub, and those of its members."""

    node: int
    members: tuple[int, ...]


@dataclass
class _Bundle:
    """Messages for members of one hub, and what came of them.

    Args:
        hub: The hub's name.
        messages: The messages by their ids.
        sent: The id under which Flower has the bundle; None before it is sent.
        answers: The answers by the ids of the messages; None before they are there.
    """

    hub: str
    messages: dict[str, Message] = field(default_factory=dict)
    sent: str | None = None
    answers: dict[str, Message] | None = None


class HubGrid(WrappedGrid):
    """Flower's Grid to hubs, as a Grid to the members behind them.

    Guarantee: a node speaks for a hub only if it signed so. What a member answers is passed on as
    the hub brought it, and only what the hub added itself is marked so; the strategy checks both. A
    member whose hub is not there, or does not answer, is answered for by the error `HUB_AWAY`.

    Args:
        grid: Flower's bus to the hubs.
        charter: Names the hubs, their members and their keys.
        config: Digest of the run config, which hubs must have too.
        name: The run's name, by which a hub's operator finds it.
        clock: Returns seconds from a fixed point.
        sleep: Waits between two looks.
    """

    def __init__(
        self,
        grid: Grid,
        charter: Charter,
        config: str,
        *,
        name: str = "run",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(grid)
        self._charter, self._config, self._name = charter, config, run_name(name)
        self._hubs = {hub.name: hub for hub in charter.hubs}
        self._clock, self._sleep = clock, sleep
        self._present: dict[str, _Present] = {}
        self._strangers: set[int] = set()
        self._sites: dict[int, str] = {}
        self._layouts: dict[int, bytes] = {}
        self._bundles: dict[str, _Bundle] = {}  # by the ids of their messages
        self._unsent: dict[tuple[str, str, str], _Bundle] = {}
        self._awaited: set[str] = set()  # hubs that have not answered what they were asked last
        self._numbered = 0
        self._sessions: dict[str, str] = {}
        self._begun_anew: set[str] = set()  # hubs whose members are to be greeted once more

    @property
    def away(self) -> frozenset[str]:
        """The members whose hub is not there, or has not answered."""
        gone = set(self._hubs) - set(self._present)
        return frozenset(name for hub in gone | self._awaited for name in self._hubs[hub].members)

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes of the members whose hubs are there.

        Those behind a hub that began anew are left out once: so they count as gone, and as new the
        next time. Whoever comes anew is greeted, and tells the key of the digests in its log.
        """
        there = set(self._grid.get_node_ids())
        self._present = {name: one for name, one in self._present.items() if one.node in there}
        self._strangers &= there
        whole = {
            one.node
            for name, one in self._present.items()
            if len(one.members) >= len(self._hubs[name].members)
        }
        self._greet(sorted(there - whole - self._strangers))
        anew, self._begun_anew = self._begun_anew, set()
        there_now = [one for name, one in self._present.items() if name not in anew]
        return [node for one in there_now for node in one.members]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Take messages; a bundle for each hub leaves when answers are looked for."""
        hubs = {node: name for name, one in self._present.items() for node in one.members}
        ids = []
        for message in messages:
            self._numbered += 1
            known = f"through-a-hub-{self._numbered}"
            facts = message.metadata
            hub = hubs.get(facts.dst_node_id, "")
            kind = (hub, facts.message_type, facts.group_id)
            bundle = self._unsent.setdefault(kind, _Bundle(hub)) if hub else _Bundle(hub)
            bundle.messages[known] = message
            if not hub:
                bundle.answers = _absent(bundle)
            self._bundles[known] = bundle
            ids.append(known)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the answers that have come."""
        self._send_bundles()
        return [reply for one in message_ids for reply in self._answer_to(one)]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Push messages; return all replies that come in time."""
        waiting = list(self.push_messages(messages))
        until = None if timeout is None else self._clock() + timeout
        replies: list[Message] = []
        while waiting:
            for one in [*waiting]:
                came = list(self.pull_messages([one]))
                if came:
                    waiting.remove(one)
                    replies += came
            if not waiting or (until is not None and self._clock() >= until):
                break
            self._sleep(_PAUSE_S)
        return replies

    def dismiss_hubs(self) -> None:
        """Tell the hubs that the run has ended; one that hears nothing of it notices by itself."""
        known = {"charter": self._charter.fingerprint, "config": self._config}
        told = [
            Message(
                HubHello(name=self._name, challenge=bytes(CHALLENGE_SIZE), **known).content(),
                one.node,
                HUB_END,
                ttl=60.0,
            )
            for one in self._present.values()
        ]
        waiting = {sent for sent in self._grid.push_messages(told) if sent}
        until = self._clock() + _LONGEST_FAREWELL_S
        while waiting and self._clock() < until:
            waiting -= {sent for sent in waiting if [*self._grid.pull_messages([sent])]}
            if waiting:
                self._sleep(_PAUSE_S)

    def _greet(self, nodes: Sequence[int]) -> None:
        """Ask nodes which hubs they are."""
        challenge = secrets.token_bytes(CHALLENGE_SIZE)
        hello = HubHello(
            name=self._name,
            charter=self._charter.fingerprint,
            config=self._config,
            challenge=challenge,
        )
        asked = [Message(hello.content(), node, HUB_HELLO, ttl=600.0) for node in nodes]
        waiting = dict(zip(self._grid.push_messages(asked), nodes, strict=True))
        waiting.pop(_NO_ID, None)
        until = self._clock() + _LONGEST_GREETING_S
        while waiting:
            for sent, node in [*waiting.items()]:
                for reply in self._grid.pull_messages([sent]):
                    del waiting[sent]
                    self._meet(node, reply, challenge)
            if not waiting or self._clock() >= until:
                return
            self._sleep(_PAUSE_S)

    def _meet(self, node: int, reply: Message, challenge: bytes) -> None:
        if not reply.has_content():
            return
        named = "no hub of the charter"
        try:
            said = HubIsHere.read(reply.content)
            hub = self._hubs[said.hub]
            named = f"the hub {hub.name}"
            presence = HubPresence.at(
                charter=self._charter.fingerprint,
                run=reply.metadata.run_id,
                node=node,
                challenge=challenge,
                hub=said.hub,
            )
            require_hub_signature(bytes.fromhex(hub.signing), presence.encode(), said.proof)
        except (wire.MalformedRecord, MalformedEnvelope, BadSignature, LookupError) as error:
            self._strangers.add(node)
            why = error.code if isinstance(error, ConsortiumError) else "unknown-hub"
            _LOG.warning(
                "node %d proved to be none of the charter's hubs (it named %s: %s) and is asked no "
                "more: at a hub, repeat `consortium coordinator install`, which checks its keys",
                node,
                named,
                why,
            )
            return
        if self._sessions.setdefault(said.hub, said.session) != said.session:
            self._sessions[said.hub] = said.session
            self._begun_anew.add(said.hub)
        self._note_members(said.hub, node, said.nodes)

    def _note_members(self, hub: str, node: int, members: Sequence[int]) -> None:
        """Note which nodes stand behind a hub: none that another hub has named."""
        others = {n for name, one in self._present.items() if name != hub for n in one.members}
        own = tuple(dict.fromkeys(n for n in members if n not in others))
        most = 2 * len(self._hubs[hub].members)  # a node that has just left may still be listed
        self._present[hub] = _Present(node=node, members=own[:most])

    def _send_bundles(self) -> None:
        bundles, self._unsent = [*self._unsent.values()], {}
        for bundle in bundles:
            self._forget_unanswered(bundle.hub)
            node = self._present[bundle.hub].node if bundle.hub in self._present else None
            sent = _NO_ID
            if node is not None:
                content = self._passed(bundle).content()
                first = next(iter(bundle.messages.values())).metadata
                message = Message(content, node, HUB_CARRY, ttl=first.ttl, group_id=first.group_id)
                sent = next(iter(self._grid.push_messages([message])))
            bundle.sent = sent or None
            self._awaited.add(bundle.hub)
            if not sent:
                bundle.answers = _absent(bundle)

    def _forget_unanswered(self, hub: str) -> None:
        """Forget what a hub did not answer in time: whoever asked it asks again, or goes on."""
        for known, one in [*self._bundles.items()]:
            if one.hub == hub and one.sent is not None:
                del self._bundles[known]

    def _passed(self, bundle: _Bundle) -> Passed:
        asked = [*bundle.messages.values()]
        contents = {id(message.content): message.content for message in asked}
        places = {one: at for at, one in enumerate(contents)}
        nodes = tuple(message.metadata.dst_node_id for message in asked)
        layouts = {self._layouts.get(node, b"") for node in nodes}
        kind = asked[0].metadata.message_type
        return Passed(
            name=self._name,
            charter=self._charter.fingerprint,
            config=self._config,
            kind=kind,
            group=asked[0].metadata.group_id,
            nodes=nodes,
            sites=tuple(self._sites.get(node, "") for node in nodes),
            contents=tuple(contents.values()),
            asked=tuple(places[id(message.content)] for message in asked),
            layout=layouts.pop() if len(layouts) == 1 and kind != messages.HELLO else b"",
        )

    def _answer_to(self, known: str) -> Iterator[Message]:
        bundle = self._bundles.get(known)
        if bundle is None:
            return
        if bundle.answers is None and bundle.sent is not None:
            for reply in self._grid.pull_messages([bundle.sent]):
                bundle.answers = self._opened(bundle, reply)
        if bundle.answers is not None:
            del self._bundles[known]
            bundle.messages.pop(known)
            yield bundle.answers.pop(known)

    def _opened(self, bundle: _Bundle, reply: Message) -> dict[str, Message]:
        """Return the answers in what a hub brought; of a hub that failed, that it is away."""
        bundle.sent = None
        if not reply.has_content():
            self._present.pop(bundle.hub, None)  # it is greeted again, and begins anew if it must
            return _absent(bundle)
        try:
            answer = HubAnswer.read(reply.content, asked=len(bundle.messages))
        except ConsortiumError:
            return _absent(bundle)
        asked = [*bundle.messages.values()]
        self._awaited.discard(bundle.hub)
        self._note_members(bundle.hub, reply.metadata.src_node_id, answer.nodes)
        nodes = [message.metadata.dst_node_id for message in asked]
        summed = {
            node: one.content for node, one in zip(nodes, answer.brought, strict=True) if one.summed
        }
        part = HubPart(hub=bundle.hub, contents=summed, sums=answer.sums)
        first = next(iter(summed), None)
        for message, one in zip(asked, answer.brought, strict=True):
            if message.metadata.message_type == messages.HELLO:
                self._note_introduction(bundle.hub, message.metadata.dst_node_id, one)
        return {
            known: _reply(message, one, part, carries=message.metadata.dst_node_id == first)
            for (known, message), one in zip(bundle.messages.items(), answer.brought, strict=True)
        }

    def _note_introduction(self, hub: str, node: int, one: Brought) -> None:
        """Note which site a node says that it is, and what it would train: for the hub to add."""
        try:
            said = messages.read_introduction(one.content, max_examples=2**62)
        except ConsortiumError:
            return
        if said.site in self._hubs[hub].members:
            self._sites[node] = said.site
            described = messages.layout_bytes(said.layout)
            same = next((known for known in self._layouts.values() if known == described), None)
            self._layouts[node] = same or described


def _reply(message: Message, one: Brought, part: HubPart, *, carries: bool) -> Message:
    if one.error is not None:
        return Message(Error(one.error, "through a hub"), reply_to=message)
    content = Relayed(one, part if one.summed else None, carries=part.num_bytes if carries else 0)
    return Message(content, reply_to=message)


def _absent(bundle: _Bundle) -> dict[str, Message]:
    return {
        known: Message(Error(HUB_AWAY, "the hub is away"), reply_to=message)
        for known, message in bundle.messages.items()
    }
