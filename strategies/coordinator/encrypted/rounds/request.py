"""Questions of an encrypted run: who is asked, what is added up, and the replies."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from flwr.app import Message, RecordDict

from privacy.errors import abbreviated_names
from privacy.protocol.envelope import (
    EVALUATION,
    NO_STATE,
    STATISTICS,
    TRAINING,
    Receipt,
    SealedState,
)
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from privacy.wire.hub_messages import HubPart, part_of
from strategies.coordinator.encrypted.parameters import (
    MembersMissing,
    NothingSent,
    RoundVoid,
    StateDisputed,
)
from strategies.coordinator.encrypted.rounds.ciphertext_sums import CiphertextSums, MajorityVote
from strategies.coordinator.hubs.parts import NO_HUBS, AgreedHubs, HubParts, check_part
from strategies.coordinator.messaging.events import (
    Observer,
    RoundStarted,
    SiteAnswered,
    SiteQuarantined,
)
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.reply_validation import Quarantine, SiteRefused, reply_content
from strategies.coordinator.messaging.roster import Roster

BOUND = f"{SiteRefused.code}.another-roster"


@dataclass
class SealedRequest:
    """A question, the sites that are asked, and their uploads, added up as they arrive.

    Guarantee: a reply that lacks what was asked, or whose receipt or upload is not exactly as
    agreed, excludes its site and changes no sum. In memory are kept: no upload, one sealed state
    (of the site that was asked for it), and each different released tally once.

    Args:
        request: The request.
        nodes: Flower's node id of each site, sorted by name.
        sums: The sums of the uploads that are asked for, by purpose.
        read: Parses the content of a reply, or of one that a hub brought, with the agreed bounds.
        observe: Receives the events.
        hubs: The hubs that the members agreed on.
    """

    request: SealedRound
    nodes: Mapping[str, int]
    sums: Mapping[str, CiphertextSums]
    read: Callable[[RecordDict], SealedReply]
    observe: Observer
    hubs: AgreedHubs = NO_HUBS
    replies: dict[str, SealedReply] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    traffic: tuple[int, int] = (0, 0)
    reporter: str = ""
    ballot: MajorityVote = field(default_factory=MajorityVote)
    left_out: dict[str, SiteQuarantined] = field(default_factory=dict)
    _parts: HubParts = field(default_factory=HubParts, repr=False)

    def messages(
        self, kind: str, exchange: Exchange, *, reporter: str | None = None
    ) -> Iterable[Message]:
        """Return the messages of the question; `reporter` also has to report its state."""
        self.traffic = (exchange.traffic.down, exchange.traffic.up)
        self.reporter = reporter or ""
        if self.sums:
            number = self.request.server_round
            self.observe(RoundStarted(server_round=number, cohort=tuple(self.nodes)))
        quiet, loud = self.request.content(), replace(self.request, report=True).content()
        group = str(self.request.server_round)
        return (
            exchange.message(kind, node, loud if site == reporter else quiet, group=group)
            for site, node in self.nodes.items()
        )

    def gather(self, replies: Iterable[Message]) -> None:
        """Process the replies as they arrive, without keeping their uploads."""
        sites = {node: site for site, node in self.nodes.items()}
        number = self.request.server_round
        for reply in replies:
            site = sites[reply.metadata.src_node_id]
            with Quarantine(self._leave_out, number, site):
                self._take_reply(site, reply)
                if self.sums:
                    self.observe(SiteAnswered(server_round=number, site=site))
            # Before the next reply is pulled: only one is ever in memory.
            del reply

    def _leave_out(self, event: SiteQuarantined) -> None:
        self.left_out[event.site] = event
        self.observe(event)

    def take(self, site: str, sent: SealedReply) -> None:
        """Check a reply with its uploads, and add them.

        Raises:
            ConsortiumError: Something of it is not as agreed; nothing is added.
        """
        self._take(site, sent)

    def _take_reply(self, site: str, reply: Message) -> None:
        part = part_of(reply.content) if reply.has_content() and self.sums else None
        if part is None:
            self._take(site, self.read(reply_content(reply)))
        else:
            self._parts.admit(part, self._take_part)
            self._note(site, self.read(reply_content(reply)))

    def _take_part(self, part: HubPart) -> None:
        """Check all that a hub brought of its members, and add its sums: all of it or nothing.

        Raises:
            ConsortiumError: Something of it is not as agreed.
        """
        sites = {node: site for site, node in self.nodes.items()}
        sent = {sites[node]: self.read(one) for node, one in part.contents.items()}
        receipts = {site: self._check_signed(site, one) for site, one in sent.items()}
        # All sums are checked before the first is added.
        for one in check_part(part, receipts, self.sums, self.hubs):
            self.sums[one.purpose].add_sum(one.summed, one.receipts, one.statement)

    def _check_signed(self, site: str, sent: SealedReply) -> dict[str, Receipt]:
        """Check what a reply holds besides its uploads; return its receipts by purpose."""
        signed = {
            TRAINING: sent.receipt,
            EVALUATION: sent.count_receipt,
            STATISTICS: sent.count_receipt,
        }
        return {
            purpose: sums.check_receipt(site, signed[purpose])
            for purpose, sums in self.sums.items()
        }

    def _take(self, site: str, sent: SealedReply) -> None:
        parts = {
            TRAINING: (sent.upload, sent.receipt),
            EVALUATION: (sent.count_upload, sent.count_receipt),
            STATISTICS: (sent.count_upload, sent.count_receipt),
        }
        if not all(all(parts[purpose]) for purpose in self.sums):
            raise NothingSent("an upload or its receipt is missing")
        checked = {
            purpose: sums.check(site, *parts[purpose]) for purpose, sums in self.sums.items()
        }
        # All parts are checked before the first is added: a reply counts whole or not at all.
        for purpose, receipt in checked.items():
            self.sums[purpose].add(parts[purpose][0], receipt)
        self._note(site, sent)

    def _note(self, site: str, sent: SealedReply) -> None:
        """Keep what is needed of a reply whose uploads are added."""
        state = sent.state if site == self.reporter else b""
        self.replies[site] = SealedReply(state=state, model=sent.model)
        self.ballot.cast(sent.released)


def bound_sites(question: SealedRequest) -> tuple[str, ...]:
    """Return who counted its records for another roster, or holds statistics that too few hold.

    Args:
        question: The question for the statistics, with its replies, if it did not come about.
    """
    refused = {one.site for one in question.left_out.values() if one.code == BOUND}
    return tuple(sorted({*refused, *question.sums[STATISTICS].withheld}))


def missing_members(names: Sequence[str]) -> MembersMissing:
    """Return the error that a charter's statistics lack members, and what `--without` follows."""
    missing = abbreviated_names(names)
    return MembersMissing(
        "the first run under a charter counts the training records of all its members, and these "
        f"are missing or were left out: {missing}. Bring them back, or run with `--without SITE` "
        "for each (of a scenario: `--set without=SITE,SITE`). Their counts are then not in the "
        "statistics of this charter, and they join exact counts only under its next revision",
        missing=len(names),
    )


def require_same_roster(question: SealedRequest, missing: Sequence[str]) -> None:
    """Check that no site lacks statistics because this run has another roster than was counted.

    Args:
        question: The question for the statistics, with its replies.
        missing: Members that were not asked, and that the run does not leave out by name.

    Raises:
        MembersMissing: Nobody has statistics, and some members are missing.
        RoundVoid: Some counted for another roster; another opening would not help.
    """
    added = question.sums[STATISTICS].added
    waiting = {site for site, label in added.items() if label.state == NO_STATE}
    bound = [site for site in bound_sites(question) if site not in waiting]
    withheld = question.sums[STATISTICS].withheld
    if withheld and not bound:
        # With all members there, every site counts: who signs that it holds none withholds them.
        raise missing_members(missing or sorted(waiting.intersection(withheld)))
    if bound:
        raise RoundVoid(
            "training records are counted once under a charter, for one roster. "
            f"{abbreviated_names(bound)} counted for another one, and not more than half of the "
            "sites of this run hold the same statistics of then: run with the sites of then, or "
            "let all who remain or join sign the charter's next revision",
            bound=len(bound),
        )


def require_one_start(question: SealedRequest, members: Sequence[str]) -> None:
    """Check that all members go on from one state that each of them reached itself.

    Args:
        question: The question for the start, with its replies.
        members: All members of the charter.

    Raises:
        RoundVoid: One is missing, refused, or signed another start.
    """
    counted = question.sums[STATISTICS]
    agreed = counted.agreed_state(floor=1)
    right = {site for site, one in counted.added.items() if one.state == agreed != NO_STATE}
    others = sorted({*members} - right)
    if others:
        why = {one.site: f" ({one.code})" for one in question.left_out.values()}
        named = abbreviated_names([f"{site}{why.get(site, '')}" for site in others])
        raise RoundVoid(
            "all who signed that a run goes on do so from the state that it reached; missing or "
            f"from elsewhere: {named}. Bring them back and try again, or let all who remain sign "
            "another revision",
            missing=len(others),
        )


def too_few_old_statistics(question: SealedRequest) -> RoundVoid:
    """Return the error that too few sites hold the statistics that the charter lets stand.

    Args:
        question: The question for the statistics, with its replies.
    """
    return _too_few_holders(
        question,
        "under this charter the statistics of an earlier revision stand, and not more than half of "
        "the sites of this run hold the same",
        "Run with more of the sites of then, or let all sign a revision that counts anew "
        "(`consortium charter revise` without --keep-statistics)",
    )


def too_few_confirmed_models(question: SealedRequest) -> RoundVoid:
    """Return the error that too few sites hold the model that a run evaluates.

    Args:
        question: The question for the start, with its replies.
    """
    return _too_few_holders(
        question,
        "a model is evaluated if more than half of the sites hold it as the confirmed model of "
        "their last run",
        "Evaluate the last run before another one trains",
    )


def _too_few_holders(question: SealedRequest, rule: str, advice: str) -> RoundVoid:
    """Return the error that too few sites signed a state that they hold of earlier runs."""
    signed = question.sums[STATISTICS].added
    holders = sorted(site for site, one in signed.items() if one.state != NO_STATE)
    named = abbreviated_names(holders) or "none"
    return RoundVoid(f"{rule}: {named} of {len(question.nodes)} do. {advice}", holders=len(holders))


def nodes_of(roster: Roster, sites: Sequence[str]) -> dict[str, int]:
    """Return the node of each of these sites that is present, sorted by name."""
    present = roster.present
    return {site: present[site].node for site in sorted(sites) if site in present}


def finish_counts(
    question: SealedRequest, purpose: str, *, num_sites: int, floor: int
) -> tuple[bytes, bytes]:
    """Return receipts and sum of tallies; empty unless every site of the run is in it.

    Args:
        question: The question, with its replies.
        purpose: Statistics or evaluation.
        num_sites: Sites of the run.
        floor: Fewest sites in a sum.
    """
    # Sums over two subsets would reveal the tally of the sites in which they differ.
    counted = question.sums[purpose]
    if len(counted.added) < num_sites or counted.withheld:
        return b"", b""
    return counted.finish_sums(floor=floor)


def collect_state(
    question: SealedRequest, exchange: Exchange, *, purpose: str, floor: int
) -> bytes:
    """Return the sealed state that most sites signed, from the first site that sends it.

    Guarantee: a site that signed another state, or sends another than it signed, is reported and
    changes nothing.

    Args:
        question: The question of a training round, or for the statistics, with its replies.
        exchange: The message exchange; a site may be asked again for its state.
        purpose: Whose receipts sign the state: updates or statistics.
        floor: Fewest sites in a sum.

    Raises:
        RoundVoid: No site sent it.
    """
    added = question.sums[purpose].added
    agreed = question.sums[purpose].agreed_state(floor=floor)
    server_round = question.request.server_round
    honest = [site for site, one in sorted(added.items()) if one.state == agreed]
    # Who counts its statistics holds none of an earlier run, and rightly signs no state.
    right = {agreed, NO_STATE} if purpose == STATISTICS else {agreed}
    for site in sorted(site for site, one in added.items() if one.state not in right):
        question.observe(
            SiteQuarantined(server_round=server_round, site=site, code=StateDisputed.code)
        )
    for site in honest:
        sent = question.replies[site].state or _ask_for_state(question, exchange, site, purpose)
        with Quarantine(question.observe, server_round, site):
            if sent and SealedState.decode(sent).digest == agreed:
                return sent
            raise StateDisputed("the state that it sent is not the one that it signed")
    raise RoundVoid(
        f"no site sent the state that most of them signed in round {server_round}",
        came=len(added),
    )


def _ask_for_state(question: SealedRequest, exchange: Exchange, site: str, purpose: str) -> bytes:
    request = replace(question.request, report=True)
    group = str(request.server_round)
    kind = messages.STATISTICS if purpose == STATISTICS else messages.TRAIN
    message = exchange.message(kind, question.nodes[site], request.content(), group=group)
    state = b""
    for reply in exchange.replies([message]):
        with Quarantine(question.observe, request.server_round, site):
            state = question.read(reply_content(reply)).state
    return state
