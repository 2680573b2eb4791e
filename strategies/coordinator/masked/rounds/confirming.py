"""The exchange in which the witnesses of a run confirm one set, before its sums can be read."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flwr.app import Message

from privacy.errors import abbreviated_names, number_of
from privacy.identity.public_identity import PublicIdentity
from privacy.protocol.key_messages import Opening
from privacy.protocol.masks.confirmations import (
    AnotherSetConfirmed,
    Confirmation,
    check_confirmation,
    join_confirmations,
)
from privacy.protocol.masks.mask_part import MaskPart
from privacy.protocol.masks.signed_set import SignedSet
from privacy.protocol.masks.sum_set import NOTHING
from privacy.wire import mask_messages
from privacy.wire.encrypted_messages import SealedRound
from privacy.wire.mask_messages import ConfirmationRequest, SetToConfirm
from strategies.coordinator.encrypted.rounds.request import nodes_of
from strategies.coordinator.masked.parameters import BRING_BACK, ConfirmationsMissing, MaskedTerms
from strategies.coordinator.masked.rounds.chosen_set import ChosenSet
from strategies.coordinator.messaging.events import SiteQuarantined
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.refusal_finality import is_final
from strategies.coordinator.messaging.reply_validation import Quarantine, reply_content
from strategies.coordinator.messaging.roster import Reception, Roster


@dataclass(frozen=True, kw_only=True)
class ShownParts:
    """What a set and the next question hold alike.

    Args:
        charter: Fingerprint of the charter, hexadecimal.
        opening: The run's opening, encoded.
        receipts: Receipts of the updates.
        count_receipts: Receipts of the counts.
    """

    charter: str
    opening: bytes
    receipts: bytes = field(repr=False)
    count_receipts: bytes = field(repr=False)

    @classmethod
    def of(cls, request: SealedRound) -> "ShownParts":
        """Return those of the question that will show the sums."""
        return cls(
            charter=request.charter,
            opening=request.opening,
            receipts=request.receipts,
            count_receipts=request.count_receipts,
        )


@dataclass
class Confirming:
    """Asks witnesses to confirm one set until enough have.

    Guarantee: a confirmation that is held was signed by a witness of the run, for this set.

    Args:
        chosen: The set, which is kept on disk.
        shown: What else it hashes.
        terms: The agreed parameters.
        held: The confirmations that came, by witness.
        refused: Who did not confirm when it was last asked, with the code of the reason.
        num_exchanges: How many times witnesses were asked.
        not_awaited: Who was asked and not waited for: enough others had confirmed.
    """

    chosen: ChosenSet
    shown: ShownParts
    terms: MaskedTerms
    held: dict[str, Confirmation] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    num_exchanges: int = 0
    not_awaited: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        opening = Opening.decode(self.shown.opening)
        roster = opening.terms.roster
        self.witnesses = self.terms.witnesses(roster)
        self.needed = self.terms.confirmations_needed(len(self.witnesses))
        # Members in league may confirm with shares that do not join to a mask, as the sites alone
        # can find. With these, the others still join to it.
        self.ample = self.terms.ample_confirmations(len(self.witnesses))
        members = self.terms.agreement.roster(roster)
        self._identities: Mapping[str, PublicIdentity] = {
            name: members[name] for name in self.witnesses
        }

    @property
    def is_complete(self) -> bool:
        """Whether enough witnesses confirmed, and enough of them can open each share."""
        return self._confirmed_by(self.needed)

    @property
    def is_ample(self) -> bool:
        """Whether nobody else need be waited for, even if those in league spoil their shares."""
        return self._confirmed_by(self.ample)

    @property
    def missing(self) -> tuple[str, ...]:
        """The witnesses that have not confirmed, sorted."""
        return tuple(site for site in self.witnesses if site not in self.held)

    @property
    def blamed(self) -> tuple[str, ...]:
        """The sites whose shares more witnesses cannot open than may be in league, sorted."""
        said = Counter(site for one in self.held.values() for site in one.unreadable)
        return tuple(sorted(site for site, n in said.items() if n > self.terms.max_colluders))

    def mask_part(self, asked: Sequence[str]) -> MaskPart:
        """Return what the next question says of the set, to those who are asked together."""
        return MaskPart(
            asked=tuple(asked),
            cohort=self.chosen.cohort,
            terms=self.chosen.terms,
            count_terms=self.chosen.count_terms,
            confirmations=self.confirmations,
        )

    @property
    def confirmations(self) -> bytes:
        """The confirmations that are held, joined, in order of the witnesses."""
        return join_confirmations([self.held[site] for site in sorted(self.held)])

    def gather(self, reception: Reception, roster: Roster, first: Collection[str]) -> Roster:
        """Ask until enough witnesses confirmed, or nobody is left who may; return who is present.

        Args:
            reception: Tells who is present, and knows how long to wait.
            roster: Who was present.
            first: Whom to ask first; the others only if these are too few.
        """
        self.ask(reception.exchange, roster, first)
        for _ in range(self.terms.attempts):
            awaited = [one for one in self.missing if not is_final(self.refused.get(one, ""))]
            if self.is_complete or not awaited:
                break
            self.ask(reception.exchange, roster, awaited)
            if not self.is_complete:
                roster = reception.refresh_roster(roster, self.chosen.sum_set.slot.server_round)
        return roster

    def ask(self, exchange: Exchange, roster: Roster, sites: Collection[str]) -> None:
        """Ask those of these sites that are present, and take what is right of their answers.

        As soon as `is_ample`, the next question need not wait for those who are slower.
        """
        nodes = nodes_of(roster, [site for site in self.missing if site in sites])
        if not nodes:
            return
        self.num_exchanges += 1
        number = self.chosen.sum_set.slot.server_round
        asked, answered = tuple(nodes), set[str]()
        messages = self._messages(exchange, nodes)
        for place, reply in exchange.first_replies(messages, enough=lambda: self.is_ample):
            answered.add(asked[place])
            with Quarantine(self._note_refusal, number, asked[place]):
                self._take(asked[place], reply)
        self.not_awaited = tuple(site for site in asked if site not in answered)

    def require_complete(self) -> None:
        """Check that the set is confirmed.

        Raises:
            ConfirmationsMissing: It is not; names who is missing.
        """
        if self.is_complete:
            return
        slot = self.chosen.sum_set.slot
        blamed = abbreviated_names(self.blamed)
        raise ConfirmationsMissing(
            f"the sums of round {slot.server_round} ({slot.purpose}) need "
            f"{number_of(self.needed, 'confirmation')}, {len(self.held)} came; missing: "
            f"{abbreviated_names(self.missing) or 'none'}"
            + (f"; shares that could not be opened are of {blamed}" if blamed else "")
            + f". The set is kept, and nothing else opens in this round. {BRING_BACK}",
            needed=self.needed,
            came=len(self.held),
        )

    def _messages(self, exchange: Exchange, nodes: Mapping[str, int]) -> Iterator[Message]:
        request, group = self._request(), str(self.chosen.sum_set.slot.server_round)
        for site, node in nodes.items():
            entries = self.chosen.entries(self.witnesses.index(site))
            content = request.for_witness(*entries).content()
            yield exchange.message(mask_messages.CONFIRM, node, content, group=group)

    def _request(self) -> ConfirmationRequest:
        said, slot = self.chosen.sum_set, self.chosen.sum_set.slot
        signed = SignedSet(charter=bytes.fromhex(self.shown.charter), set_digest=said.digest)
        return ConfirmationRequest(
            charter=self.shown.charter,
            purpose=slot.purpose,
            server_round=slot.server_round,
            attempt=slot.attempt,
            opening=self.shown.opening,
            shown=SetToConfirm(
                cohort=self.chosen.cohort,
                receipts=self.shown.receipts,
                terms=self.chosen.terms,
                sums=said.sums,
                count_receipts=self.shown.count_receipts,
                count_terms=self.chosen.count_terms,
                count_sum=b"" if said.count_sum == NOTHING else said.count_sum,
                signature=signed.sign(self.terms.sign) if self.terms.sign else b"",
            ),
        )

    def _take(self, site: str, reply: Message) -> None:
        one = Confirmation.decode(mask_messages.read_confirmation(reply_content(reply)))
        if one.witness != site:
            raise AnotherSetConfirmed(f"{site} sent a confirmation of {one.witness}")
        digest = self.chosen.sum_set.digest
        check_confirmation(one, set_digest=digest, witnesses=self._identities)
        self.held[site] = one
        self.refused.pop(site, None)

    def _note_refusal(self, event: SiteQuarantined) -> None:
        self.refused[event.site] = event.code

    def _confirmed_by(self, witnesses: int) -> bool:
        """Return whether so many confirmed, and so many of them can open each share."""
        return len(self.held) >= witnesses and all(
            self._readable(site) >= witnesses for site in self.chosen.sites
        )

    def _readable(self, site: str) -> int:
        return sum(site not in one.unreadable for one in self.held.values())
