"""Key set-up: the coordinator carries epochs, deliveries and openings that it cannot read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from flwr.app import Message, RecordDict

from privacy.errors import ConsortiumError, abbreviated_names
from privacy.identity.public_identity import Agreement
from privacy.protocol.key_messages import Opening
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import messages
from strategies.coordinator.messaging.events import Observer
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.reply_validation import (
    Quarantine,
    ReplyRefused,
    reply_content,
)
from strategies.coordinator.messaging.roster import Roster

T = TypeVar("T")


class NoOpener(ConsortiumError, RuntimeError, code="no-opener"):
    """No opener of the charter could make an epoch secret or open the run."""


class WrongOpening(ReplyRefused, code="wrong-opening"):
    """A member opened another run than the one it was asked to open."""


@dataclass(frozen=True, kw_only=True)
class KeyExchange:
    """Carries the key messages between members.

    Args:
        exchange: The message exchange.
        agreement: Public identities, and the openers in order of succession.
        observe: Receives an event for each site that refused.
    """

    exchange: Exchange
    agreement: Agreement
    observe: Observer

    @property
    def charter(self) -> str:
        """Fingerprint of the charter, hexadecimal."""
        return self.agreement.charter.hex()

    def agree_on_epoch(self, roster: Roster) -> tuple[str, ...]:
        """Bring one epoch secret to all present sites; return the sites that hold it.

        If all of them already hold the same secret, it is kept: it changes only with the charter.

        Raises:
            NoOpener: A new secret was needed, and no opener could make it.
        """
        held = self._held_epochs(roster)
        if len(set(held.values())) == 1 and 0 not in {epoch for epoch, _ in held.values()}:
            return tuple(sorted(held))
        last = max((epoch for epoch, _ in held.values()), default=0)
        maker, deliveries = self._rotate_epoch(roster, last)
        agreed = [maker]
        others = [site for site in roster.sites if site in deliveries]

        def delivery_message(site: str) -> RecordDict:
            return sealed_messages.delivery(self.charter, deliveries[site])

        for site, reply in self._ask_all(roster, sealed_messages.DELIVER, others, delivery_message):
            if self._read_reply(site, reply, sealed_messages.read_held_epoch) is not None:
                agreed.append(site)
        return tuple(sorted(agreed))

    def open_run(
        self, roster: Roster, sites: Sequence[str], *, label: str, lineage: str
    ) -> tuple[Opening, bytes]:
        """Ask the openers, in order of succession, to open a run for these sites.

        Guarantee: the returned opening was signed by an opener for exactly these sites.

        Raises:
            NoOpener: No opener could.
        """
        wanted = (tuple(sorted(sites)), label, lineage)
        content = sealed_messages.opening_request(self.charter, label, wanted[0], lineage)
        for opener in self.agreement.openers:
            if opener in sites:
                reply = self._ask_one(roster, sealed_messages.OPEN, opener, content)
                encoded = self._read_reply(opener, reply, sealed_messages.read_opening)
                with Quarantine(self.observe, 0, opener):
                    if encoded is not None:
                        return self._check_opening(encoded, opener, wanted), encoded
        raise NoOpener(
            f"the run needs one of {abbreviated_names(self.agreement.openers)} to open it, and "
            "none did: bring one back, or name another in the charter"
        )

    def _check_opening(
        self, encoded: bytes, opener: str, wanted: tuple[tuple[str, ...], str, str]
    ) -> Opening:
        opening = Opening.decode(encoded)
        opening.verify(self.agreement.member(opener))
        said = opening.terms
        if (said.opener, said.charter) != (opener, self.agreement.charter) or wanted != (
            said.roster,
            said.label,
            said.lineage or "",
        ):
            raise WrongOpening(f"{opener} opened another run than the one it was asked to open")
        return opening

    def _held_epochs(self, roster: Roster) -> dict[str, tuple[int, bytes]]:
        content = messages.question(self.charter)
        held = {}
        for site, reply in self._ask_all(
            roster, sealed_messages.EPOCH, roster.sites, lambda _site: content
        ):
            said = self._read_reply(site, reply, sealed_messages.read_held_epoch)
            if said is not None:
                held[site] = said
        return held

    def _rotate_epoch(self, roster: Roster, last: int) -> tuple[str, dict[str, bytes]]:
        content = sealed_messages.rotation_request(self.charter, last)
        for maker in self.agreement.openers:
            if maker in roster.sites:
                reply = self._ask_one(roster, sealed_messages.ROTATE, maker, content)
                made = self._read_reply(maker, reply, sealed_messages.read_deliveries)
                if made is not None:
                    return maker, made
        raise NoOpener(
            f"an epoch secret needs one of {abbreviated_names(self.agreement.openers)} to make it, "
            "and none did: bring one back, or name another in the charter"
        )

    def _ask_one(self, roster: Roster, kind: str, site: str, content: RecordDict) -> Message:
        return next(iter(self._ask_all(roster, kind, [site], lambda _site: content)))[1]

    def _ask_all(
        self,
        roster: Roster,
        kind: str,
        sites: Sequence[str],
        content: Callable[[str], RecordDict],
    ) -> Iterator[tuple[str, Message]]:
        replies = self.exchange.replies(
            self.exchange.message(kind, roster.present[site].node, content(site), group="0")
            for site in sites
        )
        return zip(sites, replies, strict=True)

    def _read_reply(self, site: str, reply: Message, read: Callable[[RecordDict], T]) -> T | None:
        with Quarantine(self.observe, 0, site):
            return read(reply_content(reply))
        return None
