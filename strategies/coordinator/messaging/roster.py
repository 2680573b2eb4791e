"""The roster: which Flower node belongs to which member of the consortium.

Flower's node ids are random and carry no identity. Each node is asked `query.hello` and answers
with its site's name, the charter that it signed and the layout of the vector that it would train.
If the charter holds keys, the answer is signed, together with the coordinator's challenge.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from flwr.app import Message, RecordDict

from privacy.errors import ConsortiumError
from privacy.identity.public_identity import BadSignature
from privacy.layout import Layout
from privacy.protocol.membership_proof import CHALLENGE_SIZE, Presence
from privacy.wire import messages
from privacy.wire.flower_records import MalformedRecord, refusing_site
from strategies.coordinator.messaging.cohort import Cohort
from strategies.coordinator.messaging.events import SiteQuarantined
from strategies.coordinator.messaging.exchange import GONE, Exchange
from strategies.coordinator.messaging.refusal_finality import SiteClaimed
from strategies.coordinator.messaging.reply_validation import (
    Quarantine,
    ReplyRefused,
    reply_content,
)

_PAUSE_S = 0.1

_Introduced: TypeAlias = Sequence[tuple[int, messages.Introduction]]


class WrongCharter(ReplyRefused, code="wrong-charter"):
    """The site signed another charter."""


class NotAMember(ReplyRefused, code="not-a-member"):
    """The site is not a member in the charter, or the run leaves it out."""


class NameTaken(ReplyRefused, code="name-taken"):
    """Another node already answers for this site."""


class NotTheSite(ReplyRefused, code="not-the-site"):
    """The node does not prove that it is the site whose name it claims."""


class NodeGone(ReplyRefused, code="node-gone"):
    """A member was there, and Flower lists its node no more when a round begins."""


class WrongLayout(ReplyRefused, code="wrong-layout"):
    """The site would train another vector than the others: another schema, model or base."""


class OtherLayout(ConsortiumError, ValueError, code="other-layout"):
    """The sites of a resumed run would train another vector than before."""


@dataclass(frozen=True, kw_only=True)
class Present:
    """A member that is present.

    Args:
        node: Flower's id of its node.
        num_examples: The number of training examples that it states.
        announcement: What it announces to the other members, if ledgers are compared.
    """

    node: int
    num_examples: int
    announcement: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Roster:
    """The members that are present.

    Args:
        layout: The layout that most of them would train.
        present: The present members, by name, sorted.
        asked: Ids of the nodes that need not be asked again, refused ones included.
        known: Names of all that were present at any time, and were not refused after that.
    """

    layout: Layout
    present: Mapping[str, Present]
    asked: frozenset[int]
    known: frozenset[str] = frozenset()

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the present members, sorted."""
        return tuple(self.present)

    def ask(
        self,
        exchange: Exchange,
        kind: str,
        sites: Sequence[str],
        content: Callable[[str], RecordDict],
    ) -> Iterator[tuple[str, Message]]:
        """Ask present members before the first round; yield each with its reply, in their order.

        Args:
            exchange: The message exchange.
            kind: Flower's message type, such as `query.commit`.
            sites: Names of the members.
            content: Returns the question to a member.
        """
        replies = exchange.replies(
            exchange.message(kind, self.present[site].node, content(site), group="0")
            for site in sites
        )
        return zip(sites, replies, strict=True)

    def require_layout(self, layout: Layout) -> None:
        """Check that the members would train the vector of a resumed run.

        Raises:
            OtherLayout: They would train another vector.
        """
        if self.layout.digest != layout.digest:
            raise OtherLayout(
                "the sites would train another vector than that of the interrupted run: bring "
                "back the schema, model and base they had, or start a new run"
            )


@dataclass(frozen=True, kw_only=True)
class _Met:
    """The result of asking nodes who they are.

    Args:
        introduced: The introductions, each with its node.
        settled: Nodes that need not be asked again.
        gone: Nodes that Flower considered offline.
    """

    introduced: _Introduced
    settled: frozenset[int]
    gone: frozenset[int]

    @property
    def names(self) -> set[str]:
        """Names of the members that introduced themselves."""
        return {said.site for _, said in self.introduced}

    def followed_by(self, later: "_Met") -> "_Met":
        """Return the combined result of two rounds of asking."""
        return _Met(
            introduced=[*self.introduced, *later.introduced],
            settled=self.settled | later.settled,
            gone=(self.gone - later.settled) | later.gone,
        )


@dataclass(frozen=True, kw_only=True)
class Reception:
    """Identifies the sites, at the start and whenever a node appears.

    Args:
        exchange: The message exchange.
        cohort: Members, quorum and deadlines.
        charter: Fingerprint of the charter that the run is bound to.
        max_examples: Most training examples that a site may claim.
        observe: Receives an event for each site that is refused.
    """

    exchange: Exchange
    cohort: Cohort
    charter: str
    max_examples: int
    observe: Callable[[SiteQuarantined], None]

    def await_members(self) -> Roster:
        """Wait for the members, ask who they are, and agree on a layout: the most common one.

        Guarantee: it returns once as many nodes as members are present, or at the join deadline.
        Nodes that Flower considers offline, as after a restart of the SuperLink, are asked again
        until then if the quorum needs them. A name has one vote, however many nodes claim it.

        Raises:
            QuorumNotReached: Too few members with the common layout; names the missing ones.
        """
        met = self._meet_at_start()
        layouts = {(said.site, said.layout.digest): said.layout for _, said in met.introduced}
        self.cohort.require_quorum([site for site, _ in layouts])
        votes = Counter(digest for _, digest in layouts)
        # Sorted, so that a tie between layouts is broken alike in every run.
        most = max(sorted(votes), key=votes.__getitem__)
        layout = next(layout for (_, digest), layout in layouts.items() if digest == most)
        roster = Roster(layout=layout, present={}, asked=met.settled | met.gone)
        roster = self._admit(roster, met.introduced, server_round=0)
        self.cohort.require_quorum(roster.sites)
        return roster

    def refresh_roster(self, roster: Roster, server_round: int) -> Roster:
        """Return the roster without members whose node is gone, and with new ones.

        Guarantee: while fewer members are present than the quorum, it waits for them, at most
        until the join deadline. Whoever was present before, and is gone, is left out by name.

        A member that restarted returns under its old node id or under a new one, perhaps before
        Flower notices that the old node is gone. Its new node is then refused, because the name is
        taken. So all refused nodes are asked again when a member has gone.
        """
        refused = set[str]()

        def observe(event: SiteQuarantined) -> None:
            refused.add(event.site)
            self.observe(event)

        asking = replace(self, observe=observe)
        until = self.exchange.clock() + self.cohort.join_deadline_s
        while True:
            roster = asking._refresh_once(roster, server_round)
            if len(roster.present) >= self.cohort.quorum or self.exchange.clock() >= until:
                break
            self.exchange.sleep(_PAUSE_S)
        # Who came back and was refused is not gone: that refusal is why it is left out.
        roster = replace(roster, known=roster.known - (refused - set(roster.present)))
        for site in sorted(roster.known - set(roster.present)):
            self.observe(SiteQuarantined(server_round=server_round, site=site, code=NodeGone.code))
        return roster

    def _refresh_once(self, roster: Roster, server_round: int) -> Roster:
        there = frozenset(self.exchange.grid.get_node_ids())
        stayed = {name: member for name, member in roster.present.items() if member.node in there}
        nobody_left = len(stayed) == len(roster.present)
        asked = roster.asked if nobody_left else {member.node for member in stayed.values()}
        met = self._meet(sorted(there - asked), server_round=server_round)
        roster = replace(roster, present=stayed, asked=there)
        return self._admit(roster, met.introduced, server_round=server_round)

    def _meet_at_start(self) -> _Met:
        until = self.exchange.clock() + self.cohort.join_deadline_s
        met = self._meet(self._await_nodes(until), server_round=0)
        while met.gone and len(met.names) < self.cohort.quorum and self.exchange.clock() < until:
            self.exchange.sleep(_PAUSE_S)
            there = frozenset(self.exchange.grid.get_node_ids())
            met = met.followed_by(self._meet(sorted(there - met.settled), server_round=0))
        return met

    def _await_nodes(self, until: float) -> list[int]:
        while True:
            nodes = sorted(self.exchange.grid.get_node_ids())
            if len(nodes) >= len(self.cohort.members) or self.exchange.clock() >= until:
                return nodes
            self.exchange.sleep(_PAUSE_S)

    def _meet(self, nodes: Sequence[int], *, server_round: int) -> _Met:
        challenge = secrets.token_bytes(CHALLENGE_SIZE)
        # One challenge for all nodes of a call is enough: a proof names its own node.
        content = messages.greeting(self.charter, challenge)
        group = str(server_round)
        asked = (
            self.exchange.message(messages.HELLO, node, content, group=group) for node in nodes
        )
        introduced, gone = [], set()
        layouts: dict[str, Layout] = {}
        for reply in self.exchange.replies(asked):
            node = reply.metadata.src_node_id
            with Quarantine(self._observe_claim, server_round, self._answering_name(reply)):
                said = self._read_introduction(reply, challenge)
                layout = layouts.setdefault(said.layout.digest, said.layout)
                # Equal layouts share one object, and anchor and proof are dropped, so that memory
                # does not grow with long introductions.
                introduced.append((node, replace(said, layout=layout, anchor=b"", proof=b"")))
            if reply.has_error() and reply.error.code == GONE:
                gone.add(node)
            del reply
        return _Met(introduced=introduced, settled=frozenset(nodes) - gone, gone=frozenset(gone))

    def _observe_claim(self, event: SiteQuarantined) -> None:
        self.observe(SiteClaimed(**vars(event)))

    def _answering_name(self, reply: Message) -> str:
        """Return the name under which a node answered, if it is a member's, or else the node id."""
        node = f"node {reply.metadata.src_node_id}"
        try:
            said = "" if reply.has_error() else refusing_site(reply.content)
        except MalformedRecord:
            return node
        return said if said in self.cohort.members else node

    def _read_introduction(self, reply: Message, challenge: bytes) -> messages.Introduction:
        said = messages.read_introduction(reply_content(reply), max_examples=self.max_examples)
        if said.site not in self.cohort.members:
            raise NotAMember("the site is not a member in the charter, or the run leaves it out")
        if said.charter != self.charter:
            raise WrongCharter("the site signed another charter")
        self._require_proof(said, reply, challenge)
        return said

    def _require_proof(self, said: messages.Introduction, reply: Message, challenge: bytes) -> None:
        identity = self.cohort.identities.get(said.site)
        if identity is None:
            return
        presence = Presence(
            charter=bytes.fromhex(said.charter),
            run=reply.metadata.run_id,
            node=reply.metadata.src_node_id,
            challenge=challenge,
            site=said.site,
            layout=bytes.fromhex(said.layout.digest),
            num_examples=said.num_examples,
        )
        try:
            identity.verify(presence.encode(), said.proof)
        except BadSignature as error:
            raise NotTheSite(f"the node does not prove that it is {said.site}") from error

    def _admit(self, roster: Roster, introduced: _Introduced, *, server_round: int) -> Roster:
        present = dict(roster.present)
        for node, said in introduced:
            with Quarantine(self.observe, server_round, said.site):
                if said.layout.digest != roster.layout.digest:
                    raise WrongLayout(
                        f"the site would train another vector than the others: its start is "
                        f"{said.layout.start[:300]!r}, theirs is {roster.layout.start[:300]!r}"
                    )
                if said.site in present:
                    raise NameTaken("another node already answers for this site")
                present[said.site] = Present(
                    node=node, num_examples=said.num_examples, announcement=said.announcement
                )
        return replace(
            roster, present=dict(sorted(present.items())), known=roster.known | set(present)
        )
