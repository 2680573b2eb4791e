"""The site's side of a masked run: what it confirms, and what it opens only once it is confirmed.

docs/protocol.md, "Masks". A set of uploads with its sums is agreed upon by a quorum of witnesses
before any of its masks can be taken off. So there is one sum for each bucket of a round, the same
for all sites, and nothing else of any site.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from weakref import ReferenceType, ref

from consortium.client.audit_trail import note_asked_to_confirm, note_left_out
from consortium.client.encrypted.opening import run_descriptor
from consortium.client.encrypted.session import RunPosition, Session
from consortium.client.masked.confirming import signed_confirmation
from consortium.client.masked.continuing import (
    continued_start,
    keep_reached,
    require_continued_start,
)
from consortium.client.masked.pairing import key_list_of
from consortium.client.masked.run_masks import RunMasks
from consortium.client.masked.sealing import MaskedAnswers
from consortium.client.masked.shown_sets import (
    SeenSet,
    set_in_question,
    set_to_confirm,
)
from consortium.protocol.run_state import RunState
from consortium.site.key_ring import KeyRing
from consortium.site.site import Site
from privacy.canonical import MalformedEnvelope
from privacy.errors import abbreviated_names
from privacy.protocol.envelope import STATISTICS, Receipt
from privacy.protocol.grouping import WITHHELD
from privacy.protocol.key_messages import Opening
from privacy.protocol.masks.confirmations import (
    Confirmation,
    NotAWitness,
    check_confirmations,
    decode_confirmations,
)
from privacy.protocol.masks.mask_terms import MaskTerms
from privacy.protocol.masks.pair_messages import masked_descriptor
from privacy.protocol.masks.signed_set import SignedSet
from privacy.secrets.keys import CannotOpen
from privacy.secrets.masks.mask_streams import MaskPlace, Masks
from privacy.secrets.masks.share_bundles import join_own_masks, open_shares
from privacy.wire.encrypted_messages import SealedRound
from privacy.wire.mask_messages import ConfirmationRequest

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ConfirmedSums:
    """What takes the masks off the sums that a question shows: a quorum confirmed their set.

    Args:
        request: The question; when it is gone, so is this.
        cohort: V of the set.
        terms: The mask terms of each upload, by purpose and site.
        shares: The witnesses' shares of its own mask, by the same.
    """

    request: ReferenceType[SealedRound]
    cohort: tuple[str, ...]
    terms: Mapping[tuple[str, str], MaskTerms]
    shares: Mapping[tuple[str, str], Mapping[str, int]] = field(repr=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskedSession(Session):
    """One masked run at one site, from a message's opening on."""

    # Of the question under way: it shows updates and counts, which are opened one after the other.
    _confirmed: list[ConfirmedSums] = field(default_factory=list, init=False, repr=False)

    @staticmethod
    def descriptor(site: Site, member: KeyRing, opening: Opening) -> bytes:
        """Return the digest of the run descriptor with the list of pair keys in it.

        Raises:
            PairSecretsMissing: This site was not shown that list (`query.pair`).
        """
        return masked_descriptor(run_descriptor(site), key_list_of(member, opening.run))

    @cached_property
    def masks(self) -> RunMasks:
        """The masks of the run."""
        return RunMasks(terms=self.terms)

    @cached_property
    def answers(self) -> MaskedAnswers:
        """What this site says."""
        return MaskedAnswers(terms=self.terms)

    def confirm(self, asked: ConfirmationRequest) -> Confirmation:
        """Confirm a set, and no other one of its round, ever.

        Guarantee: that is on the disk before the confirmation leaves, or within `deferred_syncs`
        when that is left. Asked again for the same set, the site confirms it again.

        Raises:
            NotAWitness: This site confirms nothing in this run.
            BadSignature: The coordinator did not ask for confirmation of this set.
            RoundConfirmed: It confirmed another set of this round.
            ConsortiumError: The set did not pass a check.
        """
        masks = self.masks
        if masks.site not in masks.witnesses:
            raise NotAWitness(f"{masks.site} is no witness of this run, and confirms nothing")
        seen = set_to_confirm(masks, asked)
        self._keep_asked(seen, asked)
        masks.memory.masks.confirm(
            seen.slot,
            seen.digest,
            only_sites=seen.only_sites(masks),
            claim=lambda: self._claim(seen),
        )
        return signed_confirmation(masks, seen, asked)

    def require_confirmed(self, request: SealedRound) -> None:
        """Check that a quorum confirmed the set whose sums are shown, before one is decrypted.

        Raises:
            TooFewConfirmations: It did not, or not as far as is shown.
            RoundConfirmed: This site confirmed or opened another set of this round.
            AnotherSetConfirmed: It confirmed another set, or other sums.
            ConsortiumError: The set did not pass a check.
        """
        self._confirmed_sums(request)

    def masks_of(self, request: SealedRound, receipts: Sequence[Receipt]) -> Masks:
        """Return the own masks of some uploads of a confirmed set; pair masks cancel in the sum.

        Raises:
            MaskNotJoined: The shares that came do not join to the mask that a site committed to.
        """
        confirmed, dealt, owns = self._confirmed_sums(request), [], []
        for receipt in receipts:
            slot, site = receipt.label.slot, receipt.label.site
            deal = self.masks.deal(slot, site, confirmed.terms[slot.purpose, site].commitment)
            dealt.append((confirmed.shares[slot.purpose, site], deal))
        for (_, deal), (own, wrong) in zip(dealt, join_own_masks(dealt), strict=True):
            if wrong:
                _LOG.warning(
                    "%s confirmed another share of the mask of %s than the others",
                    abbreviated_names(wrong),
                    deal.site,
                )
            owns.append(own)
        return Masks.to_open(MaskPlace.of(receipts[0].label, confirmed.cohort), owns)

    def carried_start(self) -> RunState | None:
        """Return S(0) with what this site holds of earlier runs, or of the run that goes on.

        Raises:
            ConsortiumError: As `continued_start`, or as in every encrypted run.
        """
        if self.terms.site.run_config.continues:
            return continued_start(self.masks)
        return super().carried_start()

    def require_start(self, state: RunState) -> None:
        """Check that a state is S(0), also of a run that goes on from another one.

        Raises:
            ConsortiumError: As `require_continued_start`, or as in every encrypted run.
        """
        if self.terms.site.run_config.continues:
            return require_continued_start(self.masks, state)
        return super().require_start(state)

    def keep_reached(self, server_round: int, standing: RunPosition) -> None:
        """Keep the state that a round is answered from, where a run waits for who is missing."""
        if self.masks.sums_one_set:
            keep_reached(self.masks, server_round, standing)

    def finish_run(self) -> None:
        """Delete the pair secrets of the run, and what is kept to be answered again."""
        super().finish_run()
        if self.terms.site.run_config.continues:
            self.masks.memory.answers.finish_run(self.terms.site.run_config.continues)
        self._confirmed.clear()
        self.masks.memory.pairs.release_run(self.terms.opened.run)

    def _confirmed_sums(self, request: SealedRound) -> ConfirmedSums:
        if not self._confirmed or self._confirmed[0].request() is not request:
            self._confirmed[:] = [self._checked_sums(request)]
        return self._confirmed[0]

    def _checked_sums(self, request: SealedRound) -> ConfirmedSums:
        masks = self.masks
        # Its sums are hashed as they are shown, so confirmations of it are of exactly these sums.
        seen = set_in_question(masks, request)
        confirmations = check_confirmations(
            decode_confirmations(request.mask_part.confirmations),
            set_digest=seen.digest,
            witnesses=masks.witnesses,
            needed=masks.confirmations_needed,
        )
        # On the disk before anything is opened: this is the one set of its round.
        masks.memory.masks.accept(seen.slot, seen.digest, only_sites=seen.only_sites(masks))
        if seen.lacks(masks.site):
            note_left_out(self.terms.site, seen.slot)
        confirmed = self._confirmed
        return ConfirmedSums(
            # A process may be hundreds of sites, and each would hold the shares of all of them.
            request=ref(request, lambda _gone: confirmed.clear()),
            cohort=seen.shown.cohort,
            terms={(one.label.slot.purpose, one.label.site): said for one, said in seen.uploads},
            shares=self._opened_shares(seen, confirmations),
        )

    def _opened_shares(
        self, seen: SeenSet, confirmations: Mapping[str, Confirmation]
    ) -> dict[tuple[str, str], dict[str, int]]:
        places = [(one.label.slot.purpose, one.label.site) for one, _ in seen.uploads]
        shares: dict[tuple[str, str], dict[str, int]] = {place: {} for place in places}
        # Of a last evaluation that is not opened the state is confirmed, and no share revealed.
        for witness, one in confirmations.items() if places else ():
            try:
                held = open_shares(
                    one.shares,
                    count=len(places),
                    key=self.terms.opened.keys.reveal,
                    set_digest=seen.digest,
                    witness=witness,
                )
            except (CannotOpen, MalformedEnvelope):
                # It signed the set, and that counts. The masks open with the shares of others.
                _LOG.warning("the shares that %s confirmed with do not open", witness)
                continue
            for place, share in zip(places, held, strict=True):
                if share is not None:
                    shares[place][witness] = share
        return shares

    def _keep_asked(self, seen: SeenSet, asked: ConfirmationRequest) -> None:
        """Check that the coordinator signed what it asks for, and keep its signature in the log."""
        key, site = self.terms.site.charter.coordinator_key, self.terms.site
        if key:
            said = SignedSet(charter=bytes.fromhex(site.fingerprint), set_digest=seen.digest)
            said.verify(bytes.fromhex(key), asked.shown.signature)
        note_asked_to_confirm(site, seen.shown.sum_set, asked.shown.signature)

    def _claim(self, seen: SeenSet) -> None:
        """Claim, as the roster memory asks, whose updates and counts open with a set."""
        known, updates = seen.known, seen.checked.updates
        if not self.terms.contribution.exact and updates:
            # Of a site whose update is not in it, too: another run from this start may have summed
            # it, and this site may be the only honest one that is asked to confirm both.
            self.answers.claim_opened(seen.slot.server_round, updates.values())
        elif known.own is not None:
            self.exact.require_roster()
        counted = known.own_count
        if counted is None or counted.label.weight_class == WITHHELD or not seen.checked.counts:
            return
        if seen.slot.purpose == STATISTICS:
            self.exact.require_statistics_of_roster()
        elif not self.exact.claim_evaluation():
            self.exact.require_roster()
