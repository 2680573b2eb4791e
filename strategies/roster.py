"""Who is there: Flower's nodes mapped to the members of the consortium.

Flower's node ids are random and say nothing; each node is asked `query.hello` and answers with
its site's name, the charter it signed and the layout of the vector it would train.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flwr.app import Message

from privacy import messages
from privacy.errors import ConsortiumError
from privacy.layout import Layout
from strategies.cohort import Cohort
from strategies.events import SiteQuarantined
from strategies.exchange import Exchange
from strategies.replies import ReplyRefused, answered

_PAUSE_S = 0.1


class WrongCharter(ReplyRefused):
    """The site signed another charter."""


class NotAMember(ReplyRefused):
    """The site is not named in the charter."""


class NameTaken(ReplyRefused):
    """Another node already answers for this site."""


class WrongLayout(ReplyRefused):
    """The site would train another vector: another schema, model or base than the others."""


@dataclass(frozen=True, kw_only=True)
class Present:
    """A member that is there.

    Args:
        node: Flower's id of its node.
        num_examples: The training examples it says it has.
    """

    node: int
    num_examples: int


@dataclass(frozen=True, kw_only=True)
class Roster:
    """The members that are present.

    Args:
        layout: The layout that most of them would train.
        present: Each of them by name, sorted.
        nodes: All node ids that have been asked, refused ones too.
        refused: Whom the last look turned away; a node where no name is known.
    """

    layout: Layout
    present: Mapping[str, Present]
    nodes: frozenset[int]
    refused: tuple[SiteQuarantined, ...] = field(default=())

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the present members, sorted."""
        return tuple(self.present)

    def admit(self, introduced: "Introduced", nodes: list[int]) -> "Roster":
        """Return the roster with the introduced sites in it whose name and layout fit."""
        present = dict(self.present)
        refused = list(introduced.refused)
        for node, said in introduced.sites:
            if said.site in present:
                refused.append(_turned_away(said.site, NameTaken("")))
            elif said.layout.digest != self.layout.digest:
                refused.append(_turned_away(said.site, WrongLayout("")))
            else:
                present[said.site] = Present(node=node, num_examples=said.num_examples)
        return replace(
            self,
            present=dict(sorted(present.items())),
            nodes=self.nodes | frozenset(nodes),
            refused=tuple(refused),
        )


@dataclass(frozen=True)
class Introduced:
    """Answers to hello: sites by node, and those that were refused."""

    sites: tuple[tuple[int, messages.Introduction], ...]
    refused: tuple[SiteQuarantined, ...]


@dataclass(frozen=True, kw_only=True)
class Reception:
    """Meets the sites, at the start and whenever a node appears.

    Args:
        exchange: The message bus.
        cohort: Members, quorum and deadlines.
        charter: Fingerprint of the charter the run is bound to.
        max_examples: Most training examples a site may claim.
    """

    exchange: Exchange
    cohort: Cohort
    charter: str
    max_examples: int

    def join(self) -> Roster:
        """Wait for the members, ask who they are, and agree on a layout: the most common one.

        Guarantee: returns once as many nodes as members are there, or at the join deadline.

        Raises:
            QuorumNotReached: Too few members fit; names who is missing.
        """
        nodes = self._awaited()
        introduced = self._ask(nodes)
        self.cohort.require_quorum([said.site for _, said in introduced.sites])
        votes = Counter(said.layout.digest for _, said in introduced.sites)
        most = max(sorted(votes), key=votes.__getitem__)
        layout = next(said.layout for _, said in introduced.sites if said.layout.digest == most)
        roster = Roster(layout=layout, present={}, nodes=frozenset()).admit(introduced, nodes)
        self.cohort.require_quorum(roster.sites)
        return roster

    def welcome(self, roster: Roster) -> Roster:
        """Return the roster without nodes that have gone and with members that came.

        A member that restarted comes back under a new node id.
        """
        there = set(self.exchange.grid.get_node_ids())
        stayed = {name: member for name, member in roster.present.items() if member.node in there}
        roster = replace(roster, present=stayed, refused=())
        new = sorted(there - roster.nodes)
        return roster.admit(self._ask(new), new) if new else roster

    def _awaited(self) -> list[int]:
        until = self.exchange.clock() + self.cohort.join_deadline_s
        while True:
            nodes = sorted(self.exchange.grid.get_node_ids())
            if len(nodes) >= len(self.cohort.members) or self.exchange.clock() >= until:
                return nodes
            self.exchange.sleep(_PAUSE_S)

    def _ask(self, nodes: list[int]) -> Introduced:
        content = messages.question(self.charter)
        asked = [self.exchange.message(messages.HELLO, node, content, group="0") for node in nodes]
        sites: list[tuple[int, messages.Introduction]] = []
        refused: list[SiteQuarantined] = []
        for reply in self.exchange.replies(asked):
            node = reply.metadata.src_node_id
            try:
                sites.append((node, self._read(reply)))
            except ConsortiumError as error:
                refused.append(_turned_away(f"node {node}", error))
        return Introduced(tuple(sites), tuple(refused))

    def _read(self, reply: Message) -> messages.Introduction:
        said = messages.read_introduction(answered(reply), max_examples=self.max_examples)
        if said.site not in self.cohort.members:
            raise NotAMember("the site is not named in the charter")
        if said.charter != self.charter:
            raise WrongCharter("the site signed another charter")
        return said


def _turned_away(site: str, error: ConsortiumError) -> SiteQuarantined:
    return SiteQuarantined(server_round=0, site=site, code=error.code, counts=error.counts)
