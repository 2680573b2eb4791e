"""Key set-up: the coordinator carries epochs, deliveries and openings that it cannot read."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from flwr.app import Message, RecordDict

from privacy.errors import ConsortiumError, abbreviated_names
from privacy.identity.public_identity import Agreement
from privacy.protocol.key_messages import Delivery, Opening
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import messages
from privacy.wire.mask_messages import masked_opening_request
from strategies.coordinator.messaging.events import Observer, SiteQuarantined
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.reply_validation import (
    Quarantine,
    ReplyRefused,
    SiteRefused,
    reply_content,
)
from strategies.coordinator.messaging.roster import Roster

T = TypeVar("T")

_CANNOT_OPEN = f"{SiteRefused.code}.cannot-open"


class NoOpener(ConsortiumError, RuntimeError, code="no-opener"):
    """No opener of the charter could make an epoch secret or open the run."""


class WrongDelivery(ReplyRefused, code="wrong-delivery"):
    """A member made deliveries that are not those of one secret for each other member."""


class UnusableKeys(ReplyRefused, code="unusable-keys"):
    """Other members could not open what a member made for them: a run's key, or an epoch secret."""


class WrongOpening(ReplyRefused, code="wrong-opening"):
    """A member opened another run than the one it was asked to open."""


FAILED_AS_OPENER = frozenset({WrongDelivery.code, UnusableKeys.code, WrongOpening.code})


@dataclass(frozen=True, kw_only=True)
class _Delivered:
    """What became of one maker's deliveries: who holds the secret, and who could not open it."""

    epoch: int
    agreed: list[str]
    unopened: dict[str, SiteQuarantined] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class KeyExchange:
    """Carries the key messages between members.

    Args:
        exchange: The message exchange.
        agreement: Public identities, and the openers in order of succession.
        observe: Receives an event for each site that refused.
        asked_last: Openers that failed the others in an earlier run.
    """

    exchange: Exchange
    agreement: Agreement
    observe: Observer
    asked_last: Collection[str] = ()

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
        return self._deliver_in_succession(roster, last)

    def _deliver_in_succession(self, roster: Roster, last: int) -> tuple[str, ...]:
        """Let one maker after the other deliver, until nobody disputes what it made.

        A site that cannot open what is for it, or says so: which of the two lies is seen with the
        next maker. If the site disputes that one's as well, the site is named, else the maker.
        """
        disputed: dict[str, _Delivered] = {}
        for maker in self._succession(roster.sites):
            made = self._rotate_epoch(roster, maker, last)
            if made is None:
                last += 1  # it may go by what it made, and takes a newer one only
                continue
            done = self._deliver(roster, maker, made)
            before = {site for earlier in disputed.values() for site in earlier.unopened}
            if set(done.unopened) <= before:
                return self._settle(done, disputed)
            disputed[maker] = done
            last = done.epoch
        if not disputed:
            raise NoOpener(
                f"an epoch secret needs one of {abbreviated_names(self.agreement.openers)} to make "
                "it, and none did: bring one back, or name another in the charter"
            )
        # Of the last maker most must hold a secret: then it is the word of few against many.
        if len(done.agreed) > len(done.unopened):
            return self._settle(done, {name: disputed[name] for name in [*disputed][:-1]})
        for name in disputed:
            self._name(name)
        raise NoOpener(
            f"most sites could open nothing that {abbreviated_names([*disputed])} made for them: "
            "name another opener in the charter"
        )

    def _settle(self, done: _Delivered, earlier: Mapping[str, _Delivered]) -> tuple[str, ...]:
        """Name who disputed the last maker, and each earlier one whom others disputed."""
        for event in done.unopened.values():
            self.observe(event)
        for maker, delivered in earlier.items():
            if not set(delivered.unopened) <= set(done.unopened):
                self._name(maker)
        return tuple(sorted(done.agreed))

    def _deliver(self, roster: Roster, maker: str, made: Mapping[str, bytes]) -> _Delivered:
        epoch = max(Delivery.decode(one).terms.epoch for one in made.values())
        done = _Delivered(epoch=epoch, agreed=[maker])

        def delivery_message(site: str) -> RecordDict:
            return sealed_messages.delivery(self.charter, made[site])

        def leave_out(event: SiteQuarantined) -> None:
            if event.code == _CANNOT_OPEN:
                done.unopened[event.site] = event
            else:
                self.observe(event)

        others = [site for site in roster.sites if site in made]
        for site, reply in roster.ask(
            self.exchange, sealed_messages.DELIVER, others, delivery_message
        ):
            with Quarantine(leave_out, 0, site):
                sealed_messages.read_held_epoch(reply_content(reply))
                done.agreed.append(site)
        return done

    def _name(self, maker: str) -> None:
        self.observe(SiteQuarantined(server_round=0, site=maker, code=UnusableKeys.code))

    def _succession(self, sites: Collection[str]) -> tuple[str, ...]:
        there = [name for name in self.agreement.openers if name in sites]
        return tuple(sorted(there, key=lambda name: name in self.asked_last))

    def open_run(
        self,
        roster: Roster,
        sites: Sequence[str],
        *,
        label: str,
        lineage: str,
        passed_over: Collection[str] = (),
        listed: bytes = b"",
    ) -> tuple[Opening, bytes]:
        """Ask the openers, in order of succession, to open a run for these sites.

        Guarantee: the returned opening was signed by an opener for exactly these sites, which is
        none of `passed_over`.

        Args:
            roster: Who is present.
            sites: For whom the run is opened.
            label: Name of the run for people.
            lineage: Run id of the first opening; empty if this is the first.
            passed_over: Openers that are not asked.
            listed: In a masked run the list of the sites' pair keys.

        Raises:
            NoOpener: No opener could.
        """
        wanted = (tuple(sorted(sites)), label, lineage)
        content = self._opening_request(wanted, listed)
        for opener in self._succession(set(sites) - set(passed_over)):
            reply = self._ask_one(roster, sealed_messages.OPEN, opener, content)
            with Quarantine(self.observe, 0, opener):
                encoded = sealed_messages.read_opening(reply_content(reply))
                return self._check_opening(encoded, opener, wanted), encoded
        raise NoOpener(
            f"the run needs one of {abbreviated_names(self.agreement.openers)} to open it, and "
            "none did: bring one back, or name another in the charter"
        )

    def _opening_request(
        self, wanted: tuple[tuple[str, ...], str, str], listed: bytes
    ) -> RecordDict:
        sites, label, lineage = wanted
        if not listed:
            return sealed_messages.opening_request(self.charter, label, sites, lineage)
        return masked_opening_request(self.charter, label, sites, lineage, keys=listed)

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
        for site, reply in roster.ask(
            self.exchange, sealed_messages.EPOCH, roster.sites, lambda _site: content
        ):
            said = self._read_reply(site, reply, sealed_messages.read_held_epoch)
            if said is not None:
                held[site] = said
        return held

    def _rotate_epoch(self, roster: Roster, maker: str, last: int) -> dict[str, bytes] | None:
        """Return what a member made for the others; None if it is not right."""
        content = sealed_messages.rotation_request(self.charter, last)
        reply = self._ask_one(roster, sealed_messages.ROTATE, maker, content)
        with Quarantine(self.observe, 0, maker):
            made = sealed_messages.read_deliveries(reply_content(reply))
            self._check_deliveries(made, maker)
            return made
        return None

    def _check_deliveries(self, made: Mapping[str, bytes], maker: str) -> None:
        """Check all of a delivery that needs no key: so nobody else is blamed for it.

        Raises:
            WrongDelivery: One is missing, or for somebody else, or of another epoch.
            BadSignature: The maker did not sign it.
            MalformedEnvelope: It is none.
        """
        others = [one for one in self.agreement.members if one.name != maker]
        if set(made) != {one.name for one in others}:
            raise WrongDelivery(f"{maker} made no delivery for each of the other members")
        deliveries = [Delivery.decode(made[one.name]) for one in others]
        for delivery, recipient in zip(deliveries, others, strict=True):
            delivery.verify(self.agreement.member(maker))
            expected = replace(
                deliveries[0].terms,
                charter=self.agreement.charter,
                maker=maker,
                maker_fingerprint=self.agreement.member(maker).fingerprint,
                recipient=recipient.name,
                recipient_fingerprint=recipient.fingerprint,
            )
            if delivery.terms != expected:
                raise WrongDelivery(f"what {maker} made for {recipient.name} is not for it")

    def _ask_one(self, roster: Roster, kind: str, site: str, content: RecordDict) -> Message:
        return next(iter(roster.ask(self.exchange, kind, [site], lambda _site: content)))[1]

    def _read_reply(self, site: str, reply: Message, read: Callable[[RecordDict], T]) -> T | None:
        with Quarantine(self.observe, 0, site):
            return read(reply_content(reply))
        return None
