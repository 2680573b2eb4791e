"""The comparison of ledgers before a run: the coordinator carries what members say of each other.

It can forge nothing, because members sign; and a site that is not shown what all others hold of it
answers nothing that costs privacy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from flwr.app import RecordDict

from privacy.identity.public_identity import Agreement
from privacy.protocol.announcements import Announcement, Attestation, verify_announcement
from privacy.wire import comparison_messages
from strategies.coordinator.messaging.events import Observer
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.reply_validation import (
    Quarantine,
    ReplyRefused,
    reply_content,
)
from strategies.coordinator.messaging.roster import Roster


class NotAttested(ReplyRefused, code="not-attested"):
    """The site did not say, signed, what it holds of every other site."""


@dataclass(frozen=True, kw_only=True)
class LedgerComparison:
    """Carries announcements and attestations between the present members.

    Args:
        exchange: The message exchange.
        agreement: Public identities of the members.
        observe: Receives an event for each site that is left out.
    """

    exchange: Exchange
    agreement: Agreement
    observe: Observer

    def carry(self, roster: Roster) -> tuple[str, ...]:
        """Let all present sites compare; return those that can take part in the run, sorted.

        A site is left out that announces nothing, does not say what it holds of every other one,
        or knows less of itself than the others do. What a site that is left out says of others is
        shown to them all the same.
        """
        announced = self._announced(roster)
        digests = {site: Announcement.decode(one).digest for site, one in announced.items()}
        attested: dict[str, dict[str, bytes]] = {}
        content = comparison_messages.announcements(self._charter, announced)
        ask = partial(roster.ask, self.exchange)
        for site, reply in ask(comparison_messages.ATTEST, tuple(announced), lambda _site: content):
            with Quarantine(self.observe, 0, site):
                said = comparison_messages.read_attestations(reply_content(reply))
                self._require_all(site, said, digests)
                attested[site] = said

        def comparison(subject: str) -> RecordDict:
            shown = {site: said[subject] for site, said in attested.items() if site != subject}
            return comparison_messages.comparison(self._charter, shown)

        compared = []
        for site, reply in ask(comparison_messages.COMPARE, tuple(announced), comparison):
            with Quarantine(self.observe, 0, site):
                reply_content(reply)
                if site in attested:
                    compared.append(site)
        return tuple(compared)

    @property
    def _charter(self) -> str:
        return self.agreement.charter.hex()

    def _announced(self, roster: Roster) -> dict[str, bytes]:
        """Return the announcements that their sites signed; name the other sites."""
        announced = {}
        for site, present in roster.present.items():
            with Quarantine(self.observe, 0, site):
                # Checked here: a site refuses all at once if one is not right.
                verify_announcement(self.agreement.member(site), present.announcement)
                announced[site] = present.announcement
        return announced

    def _require_all(
        self, witness: str, said: Mapping[str, bytes], digests: Mapping[str, bytes]
    ) -> None:
        """Check all of what a site says that needs no ledger: so nobody else is blamed for it.

        Args:
            witness: The site.
            said: Its encoded attestations by member.
            digests: Those of the announcements, by member.

        Raises:
            NotAttested: Something is missing, or answers something else.
            BadSignature: The site did not sign it.
            MalformedEnvelope: It is none.
        """
        if set(said) != set(digests) - {witness}:
            raise NotAttested(f"{witness} does not say what it holds of each other site")
        for subject, encoded in said.items():
            one = Attestation.decode(encoded)
            one.verify(self.agreement.member(witness))
            expected = (self.agreement.charter, subject, digests[subject])
            if (one.charter, one.subject, one.answers) != expected:
                raise NotAttested(f"what {witness} says is no answer to {subject}")
