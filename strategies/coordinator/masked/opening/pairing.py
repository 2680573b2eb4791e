"""Pair secrets: the coordinator carries keys and ciphertexts that it can neither open nor forge."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from flwr.app import RecordDict

from privacy.identity.public_identity import Agreement
from privacy.protocol.key_messages import Opening
from privacy.protocol.masks.pair_messages import (
    ForeignPairSecret,
    PairCiphertext,
    PairKey,
    PairTerms,
    UnreadablePairSecret,
    WrongPairKeys,
    decode_ciphertexts,
    join_ciphertexts,
    key_list_digest,
)
from privacy.wire import mask_messages
from strategies.coordinator.messaging.events import Observer, SiteQuarantined
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.reply_validation import (
    Quarantine,
    ReplyRefused,
    SiteRefused,
    reply_content,
)
from strategies.coordinator.messaging.roster import Roster

_NOTHING = b""
_UNREADABLE = f"{SiteRefused.code}.{UnreadablePairSecret.code}"


class PairSecretDisputed(ReplyRefused, code="pair-secret-disputed"):
    """Another site says that it cannot open the secret that a site made for it."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """What came of bringing pair secrets to the sites of an opening.

    Args:
        left_out: Who was left out, and why.
    """

    left_out: dict[str, SiteQuarantined] = field(default_factory=dict)

    def leave_out(self, event: SiteQuarantined) -> None:
        """Note who is left out."""
        self.left_out[event.site] = event


@dataclass(frozen=True, kw_only=True)
class PairSetup:
    """Carries the messages from which pairs of sites come to share secrets.

    Args:
        exchange: The message exchange.
        agreement: Public identities of the members.
        suite: The agreed key exchange.
        observe: Receives an event for each site that is left out before the opening.
    """

    exchange: Exchange
    agreement: Agreement
    suite: str
    observe: Observer

    def collect_keys(self, roster: Roster, sites: Sequence[str]) -> dict[str, PairKey]:
        """Return the signed keys of these sites; who sends none that is right is left out."""
        content = mask_messages.pair_key_request(self.agreement.charter.hex())
        keys = {}
        for site, reply in roster.ask(
            self.exchange, mask_messages.PAIR_KEYS, sites, lambda _site: content
        ):
            with Quarantine(self.observe, 0, site):
                key = PairKey.decode(mask_messages.read_pair_key(reply_content(reply)))
                self._require_key(site, key)
                keys[site] = key
        return self._without_copies(keys)

    def carry_secrets(
        self, roster: Roster, opening: Opening, *, encoded: bytes, listed: bytes
    ) -> dict[str, SiteQuarantined]:
        """Bring each site of an opening its secrets with the others; return who was left out.

        What a site sends is checked before it is carried on. So who is named did it, and nobody is
        that refuses it.

        Args:
            roster: Who is present.
            opening: The run's opening.
            encoded: The same, encoded.
            listed: The list of the sites' keys, joined.
        """
        done = Paired()
        made = self._ask_ciphertexts(roster, opening, encoded, listed, done)
        if not done.left_out:
            self._deliver(roster, opening, encoded, made, done)
        return done.left_out

    def _require_key(self, site: str, key: PairKey) -> None:
        said = (key.charter, key.suite, key.site)
        if said != (self.agreement.charter, self.suite, site):
            raise WrongPairKeys(f"{site} sent a key of another site, charter or suite")
        key.verify(self.agreement.member(site))
        key.seal(
            _NOTHING, context=_NOTHING
        )  # or all others would refuse, and it would not be named

    def _without_copies(self, keys: dict[str, PairKey]) -> dict[str, PairKey]:
        """Return keys that one site each offers: of two who offer the same, one copied it."""
        offered = Counter(one.key for one in keys.values())
        for site, one in keys.items():
            if offered[one.key] > 1:
                event = SiteQuarantined(server_round=0, site=site, code=WrongPairKeys.code)
                self.observe(event)
        return {site: one for site, one in keys.items() if offered[one.key] == 1}

    def _ask_ciphertexts(
        self, roster: Roster, opening: Opening, encoded: bytes, listed: bytes, done: Paired
    ) -> list[PairCiphertext]:
        charter = self.agreement.charter.hex()
        content = mask_messages.pair_request(charter, opening=encoded, keys=listed)
        key_list, made = key_list_digest(listed), list[PairCiphertext]()
        for site, reply in roster.ask(
            self.exchange, mask_messages.PAIR, opening.terms.roster, lambda _site: content
        ):
            with Quarantine(done.leave_out, 0, site):
                sent = decode_ciphertexts(mask_messages.read_pair_ciphertexts(reply_content(reply)))
                self._require_ciphertexts(site, sent, opening, key_list)
                made += sent
        return made

    def _require_ciphertexts(
        self, site: str, sent: Sequence[PairCiphertext], opening: Opening, key_list: bytes
    ) -> None:
        """Check all of what a site made that needs no key: so nobody else is blamed for it."""
        for one in sent:
            if one.terms.recipient not in opening.terms.roster:
                raise ForeignPairSecret(f"{site} made a secret for a site that is not in the run")
            one.require(
                PairTerms(
                    charter=self.agreement.charter,
                    run=opening.run,
                    key_list=key_list,
                    sender=site,
                    recipient=one.terms.recipient,
                ),
                self.agreement.member(site),
            )

    def _deliver(
        self,
        roster: Roster,
        opening: Opening,
        encoded: bytes,
        made: Sequence[PairCiphertext],
        done: Paired,
    ) -> None:
        charter = self.agreement.charter.hex()

        def content(site: str) -> RecordDict:
            theirs = join_ciphertexts(one for one in made if one.terms.recipient == site)
            return mask_messages.pair_secrets(charter, opening=encoded, ciphertexts=theirs)

        for site, reply in roster.ask(
            self.exchange, mask_messages.PAIR_SECRETS, opening.terms.roster, content
        ):
            with Quarantine(done.leave_out, 0, site):
                reply_content(reply)
        self._leave_out_senders(opening, done)

    def _leave_out_senders(self, opening: Opening, done: Paired) -> None:
        """Leave out whose secret does not open, with who says so: nobody can tell who is right.

        So a member can keep one other out of a run only together with itself.
        """
        roster = opening.terms.roster
        for event in [*done.left_out.values()]:
            place = event.counts.get("sender", len(roster))
            if event.code == _UNREADABLE and 0 <= place < roster.index(event.site):
                site, code = roster[place], PairSecretDisputed.code
                done.leave_out(SiteQuarantined(server_round=0, site=site, code=code))
