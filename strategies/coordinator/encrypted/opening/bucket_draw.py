"""The draw of buckets: the coordinator carries commitments and shares, and can alter neither."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flwr.app import Message, RecordDict

from privacy.identity.public_identity import Agreement
from privacy.protocol.bucket_draw import BucketCommitment, Commitments, Draw
from privacy.wire import draw_messages
from strategies.coordinator.messaging.events import Observer, SiteQuarantined
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.reply_validation import (
    Quarantine,
    ReplyRefused,
    reply_content,
)
from strategies.coordinator.messaging.roster import Roster


class TwoCommitments(ReplyRefused, code="two-commitments"):
    """A site signed two commitments for one draw."""


@dataclass(frozen=True, kw_only=True)
class _Committed:
    """What a site answered: its own commitment, or those of all that it is bound to."""

    by_site: Mapping[str, BucketCommitment]
    drawn: bool


@dataclass(frozen=True, kw_only=True)
class BucketDraw:
    """Carries the messages by which sites draw their buckets.

    Args:
        exchange: The message exchange.
        agreement: Public identities of the members.
        observe: Receives an event for each site that is left out.
    """

    exchange: Exchange
    agreement: Agreement
    observe: Observer

    def carry(self, roster: Roster, sites: Sequence[str]) -> tuple[str, ...]:
        """Let these sites draw together; return them, sorted, if all hold the draw then.

        Else return those that did their part: they can draw without the others, which are named.
        What a site sends is checked before it is carried on. So who is named did it, and nobody
        is that refuses it.
        """
        draw = Draw(charter=self.agreement.charter, roster=tuple(sorted(sites)))
        committed = self._ask_commitments(roster, draw)
        there = self._exclude_double_signers(committed)
        # Who revealed its share before answers the same again: a site that missed the end of an
        # earlier draw comes to hold it.
        if there != draw.roster or all(one.drawn for one in committed.values()):
            return there
        own = {site: one.by_site[site] for site, one in committed.items()}
        shares = self._ask_shares(roster, Commitments(draw=draw, by_site=own))
        if len(shares) < len(draw.roster):
            return tuple(shares)
        return self._ask_holders(roster, shares)

    def _ask_commitments(self, roster: Roster, draw: Draw) -> dict[str, _Committed]:
        content = draw_messages.commitment_request(self._charter, draw.roster)
        committed = {}
        for site, reply in self._ask(roster, draw_messages.COMMIT, draw.roster, content):
            with Quarantine(self.observe, 0, site):
                said, drawn = draw_messages.read_commitment_answer(reply_content(reply))
                by_site = self._read_commitments(draw, site, said)
                committed[site] = _Committed(by_site=by_site, drawn=drawn)
        return committed

    def _read_commitments(
        self, draw: Draw, site: str, said: Mapping[str, bytes]
    ) -> Mapping[str, BucketCommitment]:
        if set(said) == {site}:
            return {site: draw.read_commitment(site, said[site], self.agreement)}
        return Commitments.read(draw, said, self.agreement).by_site

    def _exclude_double_signers(self, committed: Mapping[str, _Committed]) -> tuple[str, ...]:
        """Name who signed two commitments; return the other sites.

        A site that wants another share than it committed to before signs a second commitment. The
        others, who are bound to the first one, show that.
        """
        one_each = []
        for site in committed:
            signed = (said.by_site.get(site) for said in committed.values())
            if len({one.committed for one in signed if one}) == 1:
                one_each.append(site)
            else:
                event = SiteQuarantined(server_round=0, site=site, code=TwoCommitments.code)
                self.observe(event)
        return tuple(one_each)

    def _ask_shares(self, roster: Roster, commitments: Commitments) -> dict[str, bytes]:
        made = {site: one.encode() for site, one in commitments.by_site.items()}
        content = draw_messages.commitments(self._charter, made)
        shares = {}
        for site, reply in self._ask(roster, draw_messages.REVEAL, tuple(made), content):
            with Quarantine(self.observe, 0, site):
                share = draw_messages.read_revealed_share(reply_content(reply))
                commitments.require_share(site, share)
                shares[site] = share
        return shares

    def _ask_holders(self, roster: Roster, shares: Mapping[str, bytes]) -> tuple[str, ...]:
        content = draw_messages.shares(self._charter, shares)
        holders = []
        for site, reply in self._ask(roster, draw_messages.DRAW, tuple(shares), content):
            with Quarantine(self.observe, 0, site):
                reply_content(reply)
                holders.append(site)
        return tuple(holders)

    @property
    def _charter(self) -> str:
        return self.agreement.charter.hex()

    def _ask(
        self, roster: Roster, kind: str, sites: Sequence[str], content: RecordDict
    ) -> Iterator[tuple[str, Message]]:
        return roster.ask(self.exchange, kind, sites, lambda _site: content)
