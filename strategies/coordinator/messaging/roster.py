"""The roster: which Flower node belongs to which member of the consortium.

Flower's node ids are random and carry no identity. Each node is asked `query.hello` and answers
with its site's name, the charter that it signed and the layout of the vector that it would train.
If the charter holds keys, the answer is signed, together with the coordinator's challenge.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from flwr.app import Message, RecordDict

from privacy.errors import ConsortiumError
from privacy.layout import Layout
from privacy.wire import messages
from strategies.coordinator.messaging.cohort import Cohort
from strategies.coordinator.messaging.events import SiteQuarantined
from strategies.coordinator.messaging.exchange import GONE, Exchange
from strategies.coordinator.messaging.introductions import Greeting, Refusing
from strategies.coordinator.messaging.refusal_finality import SiteClaimed
from strategies.coordinator.messaging.reply_validation import Quarantine, ReplyRefused

_PAUSE_S = 0.1

_Introduced: TypeAlias = Sequence[tuple[int, messages.Introduction]]


class NameTaken(ReplyRefused, code="name-taken"):
    """Another node already answers for this site."""


class NeverCame(ReplyRefused, code="never-came"):
    """Nothing came from a member before the run began."""


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
        left_out: Nodes of members that the run leaves out by name.
    """

    introduced: _Introduced
    settled: frozenset[int]
    gone: frozenset[int]
    left_out: frozenset[int]

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
            left_out=self.left_out | later.left_out,
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
        refused, observing = self._observing_refused()
        met = observing._meet_at_start()
        layouts = {(said.site, said.layout.digest): said.layout for _, said in met.introduced}
        self._require_quorum({site for site, _ in layouts}, refused)
        votes = Counter(digest for _, digest in layouts)
        # Sorted, so that a tie between layouts is broken alike in every run.
        most = max(sorted(votes), key=votes.__getitem__)
        layout = next(layout for (_, digest), layout in layouts.items() if digest == most)
        roster = Roster(layout=layout, present={}, asked=met.settled | met.gone)
        roster = observing._admit(roster, met.introduced, server_round=0)
        self._require_quorum({*roster.sites}, refused)
        return roster

    def _observing_refused(self) -> tuple[set[str], "Reception"]:
        """Return the names of the refused, which grow, and a reception that notes them there."""
        refused = set[str]()

        def observe(event: SiteQuarantined) -> None:
            refused.add(event.site)
            self.observe(event)

        return refused, replace(self, observe=observe)

    def _require_quorum(self, came: Collection[str], refused: Collection[str]) -> None:
        """Check that enough members came; if not, tell of the others that they never did."""
        if len(came) < self.cohort.quorum:
            for site in sorted({*self.cohort.members} - {*came} - {*refused}):
                self.observe(SiteQuarantined(server_round=0, site=site, code=NeverCame.code))
        self.cohort.require_quorum(sorted(came))

    def refresh_roster(self, roster: Roster, server_round: int) -> Roster:
        """Return the roster without members whose node is gone, and with new ones.

        Guarantee: while fewer members are present than the quorum, it waits for them, at most
        until the join deadline. Whoever was present before, and is gone, is left out by name.

        A member that restarted returns under its old node id or under a new one, perhaps before
        Flower notices that the old node is gone. Its new node is then refused, because the name is
        taken. So all refused nodes are asked again when a member has gone.
        """
        refused, asking = self._observing_refused()
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
        while self._others_may_come(met) and self.exchange.clock() < until:
            self.exchange.sleep(_PAUSE_S)
            there = frozenset(self.exchange.grid.get_node_ids())
            met = met.followed_by(self._meet(sorted(there - met.settled), server_round=0))
        return met

    def _others_may_come(self, met: _Met) -> bool:
        """Return whether members may come that are waited for: nobody waits for those left out."""
        if met.gone and len(met.names) < self.cohort.quorum:
            return True
        asked = len(met.settled) - len(met.left_out)
        return bool(met.left_out) and asked < len(self.cohort.members)

    def _await_nodes(self, until: float) -> list[int]:
        while True:
            nodes = sorted(self.exchange.grid.get_node_ids())
            if len(nodes) >= len(self.cohort.members) or self.exchange.clock() >= until:
                return nodes
            self.exchange.sleep(_PAUSE_S)

    def _meet(self, nodes: Sequence[int], *, server_round: int) -> _Met:
        greeting = Greeting(
            cohort=self.cohort, charter=self.charter, max_examples=self.max_examples
        )
        content, group = greeting.content(), str(server_round)
        asked = (
            self.exchange.message(messages.HELLO, node, content, group=group) for node in nodes
        )
        introduced, gone, left_out = [], set(), set()
        layouts: dict[str, Layout] = {}
        for reply in self.exchange.replies(asked):
            node, who = reply.metadata.src_node_id, greeting.refusing(reply)
            if who.name in self.cohort.left_out:
                left_out.add(node)
                continue
            with Quarantine(self._telling_of(who), server_round, who.name):
                said = greeting.read_introduction(reply)
                if said.site in self.cohort.left_out:
                    left_out.add(node)
                    continue
                layout = layouts.setdefault(said.layout.digest, said.layout)
                # Equal layouts share one object, and anchor and proof are dropped, so that memory
                # does not grow with long introductions.
                introduced.append((node, replace(said, layout=layout, anchor=b"", proof=b"")))
            if reply.has_error() and reply.error.code == GONE:
                gone.add(node)
            del reply
        return _Met(
            introduced=introduced,
            settled=frozenset(nodes) - gone,
            gone=frozenset(gone),
            left_out=frozenset(left_out),
        )

    def _telling_of(self, who: Refusing) -> Callable[[SiteQuarantined], None]:
        """Return what tells of a refusal: as claimed only, unless the site proved its name."""
        return self.observe if who.proven else self._observe_claim

    def _observe_claim(self, event: SiteQuarantined) -> None:
        self.observe(SiteClaimed(**vars(event)))

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
