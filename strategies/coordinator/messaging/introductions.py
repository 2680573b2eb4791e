"""Who a node says that it is, and whether it proves it: the answers to the greeting.

Guarantee: if the charter gives a member keys, no node is taken for that member without its
signature, neither when it introduces itself nor when it refuses to. So no node can put a reason
for another site's absence into the record.
"""

import secrets
from dataclasses import dataclass, field

from flwr.app import Message, RecordDict

from privacy.identity.public_identity import BadSignature
from privacy.protocol.membership_proof import CHALLENGE_SIZE, Declined, Presence
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.hub_messages import run_of
from strategies.coordinator.messaging.cohort import Cohort
from strategies.coordinator.messaging.reply_validation import ReplyRefused, reply_content


class WrongCharter(ReplyRefused, code="wrong-charter"):
    """The site signed another charter."""


class NotAMember(ReplyRefused, code="not-a-member"):
    """The site is not a member in the charter."""


class NotTheSite(ReplyRefused, code="not-the-site"):
    """The node does not prove that it is the site whose name it claims."""


@dataclass(frozen=True, kw_only=True)
class Refusing:
    """Who refuses to introduce itself.

    Args:
        name: A member's name, or that of the node if no member is named, or none proven to be it.
        proven: Whether the member signed the refusal.
    """

    name: str
    proven: bool = False


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """The question who a node is, with a challenge that nobody has seen before.

    One challenge for all nodes that are asked together is enough: a proof names its own node.

    Args:
        cohort: Who may take part, and the keys of those who must prove it.
        charter: Fingerprint of the charter that the run is bound to.
        max_examples: Most training examples that a site may claim.
    """

    cohort: Cohort
    charter: str
    max_examples: int
    challenge: bytes = field(default_factory=lambda: secrets.token_bytes(CHALLENGE_SIZE))

    def content(self) -> RecordDict:
        """Return the content of the question."""
        return messages.greeting(self.charter, self.challenge)

    def read_introduction(self, reply: Message) -> messages.Introduction:
        """Return what a node says of itself; of a member with keys, only what it proves.

        A member that the run leaves out by name is read like any other.

        Raises:
            ReplyRefused: It is silent, failed or refused, is no member, or does not prove it.
            MalformedRecord: The answer does not have the agreed form.
        """
        said = messages.read_introduction(reply_content(reply), max_examples=self.max_examples)
        if said.site not in self.cohort.members and said.site not in self.cohort.left_out:
            raise NotAMember("the site is not a member in the charter")
        if said.charter != self.charter:
            raise WrongCharter("the site signed another charter")
        presence = Presence(
            charter=bytes.fromhex(said.charter),
            run=run_of(reply.content, reply.metadata.run_id),
            node=reply.metadata.src_node_id,
            challenge=self.challenge,
            site=said.site,
            layout=bytes.fromhex(said.layout.digest),
            num_examples=said.num_examples,
        )
        if not self._signed(said.site, presence, said.proof):
            raise NotTheSite(f"the node does not prove that it is {said.site}")
        return said

    def refusing(self, reply: Message) -> Refusing:
        """Return in whose name a node refuses to introduce itself; that of the node if in none."""
        node = Refusing(name=f"node {reply.metadata.src_node_id}")
        try:
            refusal = None if reply.has_error() else wire.stated_refusal(reply.content)
        except wire.MalformedRecord:
            return node
        if refusal is None:
            return node
        site, (code, counts) = wire.refusing_site(reply.content), refusal
        if site not in self.cohort.members and site not in self.cohort.left_out:
            return node
        if site not in self.cohort.identities:
            return Refusing(name=site)
        declined = Declined(
            charter=bytes.fromhex(self.charter),
            run=run_of(reply.content, reply.metadata.run_id),
            node=reply.metadata.src_node_id,
            challenge=self.challenge,
            site=site,
            code=code,
            counts=counts,
        )
        proof = wire.refusal_proof(reply.content)
        return Refusing(name=site, proven=True) if self._signed(site, declined, proof) else node

    def _signed(self, site: str, statement: Presence | Declined, proof: bytes) -> bool:
        """Return whether a member signed a statement; True of one to whom no key is given."""
        identity = self.cohort.identities.get(site)
        if identity is None:
            return True
        try:
            identity.verify(statement.encode(), proof)
        except BadSignature:
            return False
        return True
