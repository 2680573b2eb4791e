"""What a site seals in a masked run: each upload under masks of its own, each place once."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from consortium.client.encrypted.uploads import Answers, Sent, UploadCover
from consortium.client.encrypted.verification import Checks, ExactCounts
from consortium.client.masked.run_masks import RunMasks
from privacy.encryption.quantisation import Scales
from privacy.layout import Tally
from privacy.protocol.envelope import EVALUATION, NO_STATE, STATISTICS, TRAINING
from privacy.protocol.masks.bundles import SHARE_SIZE
from privacy.protocol.masks.groups import cohort_digest
from privacy.protocol.masks.mask_terms import MaskTerms
from privacy.protocol.masks.set_checks import check_cohort
from privacy.secrets.masked_runs.mask_memory import RoundConfirmed
from privacy.secrets.masks.mask_streams import MaskPlace, Masks, OwnMask
from privacy.secrets.masks.share_bundles import seal_bundle
from privacy.wire.encrypted_messages import SealedRound
from privacy.wire.messages import Contribution


class MaskedAnswers(Answers):
    """The answers of one site in one masked run."""

    @cached_property
    def masks(self) -> RunMasks:
        """The masks of the run."""
        return RunMasks(terms=self.terms)

    def recall(self, request: SealedRound, purpose: str) -> Sent | None:
        """Return what this site answered to this request before, if it did.

        Guarantee: before anything is computed for another request, it is checked that the site may
        seal for it.

        Raises:
            ConsortiumError: As `_require_askable`, or as in every encrypted run.
        """
        kept = super().recall(request, purpose)
        # Counts of a training round are asked for with its update, which is looked up first.
        if kept is None and (purpose != EVALUATION or not self._trains(request)):
            self._require_askable(request, purpose)
        return kept

    def seal_training(
        self,
        request: SealedRound,
        state: bytes,
        scales: Scales,
        given: Contribution,
        *,
        evaluated: bool,
    ) -> tuple[Sent, Sent]:
        """Return what training gave, sealed: the update and the counts, each under its masks.

        Counts are withheld if not everybody is asked: they open over the whole roster only.
        """
        evaluated = evaluated and self._asks_everybody(request)
        return super().seal_training(request, state, scales, given, evaluated=evaluated)

    def seal_counts(
        self, request: SealedRound, purpose: str, tally: Tally | None, state: bytes = NO_STATE
    ) -> Sent:
        """Return a sealed tally; it is withheld if not everybody is asked."""
        counted = tally if self._asks_everybody(request) else None
        return super().seal_counts(request, purpose, counted, state)

    def _require_askable(self, request: SealedRound, purpose: str) -> None:
        """Check what this site is asked to seal, before it computes anything.

        Raises:
            NotInRoster, TooFewOthers: V does not hold this site, or too few of its bucket.
            RosterIncomplete: Statistics or exact sums are asked of fewer than everybody.
            AnotherRoster: Statistics of a large roster were sealed for another one.
            RoundConfirmed: This site confirmed another attempt at this round.
            OtherSetConfirmed: The bucket was confirmed with others, and one set is allowed.
            PairSecretsMissing, RunForgotten: This site does not share the secrets it needs.
        """
        asked, terms, masks = request.mask_part.asked, self.terms, self.masks
        buckets: Mapping[str, int] = terms.buckets if purpose == TRAINING else masks.everyone
        check_cohort(asked, site=masks.site, buckets=buckets, floor=masks.smallest_sum)
        if purpose == STATISTICS or (purpose == TRAINING and terms.contribution.exact):
            Checks(terms=terms).require_everyone(len(asked))
        slot = terms.slot(purpose, request.server_round, request.attempt)
        confirmed = masks.memory.masks.confirmed(slot)
        if confirmed is not None and confirmed.attempt != slot.attempt:
            raise RoundConfirmed(
                f"this site confirmed attempt {confirmed.attempt} at round {slot.server_round}: "
                "it seals nothing in another one"
            )
        if purpose == TRAINING and masks.sums_one_set:
            own = buckets[masks.site]
            sites = [name for name in asked if buckets[name] == own]
            masks.memory.masks.require_bucket_sites(slot.run, own, sites)
        # Asked now: without them training would be for nothing.
        masks.pair_secrets(masks.witnesses)
        if purpose == STATISTICS:
            self._claim_statistics()

    def _claim_statistics(self) -> None:
        """Choose the roster before anything is sealed for it, where some sites confirm nothing.

        Elsewhere it is chosen with the confirmation, so that who is away binds nobody. But large
        rosters that differ have other witnesses, and each of these knows of one sum only.
        """
        exact = ExactCounts(terms=self.terms)
        some_only = len(self.masks.witnesses) < len(self.terms.opened.roster)
        if some_only and exact.of_statistics and exact.counts_statistics():
            exact.require_roster()

    def _asks_everybody(self, request: SealedRound) -> bool:
        return len(request.mask_part.asked) == len(self.terms.opened.roster)

    def _trains(self, request: SealedRound) -> bool:
        return 0 < request.server_round <= self.terms.site.run_config.num_server_rounds

    def _cover(self, purpose: str, request: SealedRound, share: int, state: bytes) -> UploadCover:
        label = super()._cover(purpose, request, share, state).label
        asked, masks = request.mask_part.asked, self.masks
        neighbours = masks.neighbours(label, asked)
        pairs = masks.pair_secrets({*masks.witnesses, *neighbours})
        # Never kept: the shares at the witnesses are all that is left of it.
        own = OwnMask.fresh()
        commitment = own.commitment(label.slot, label.site)
        deal = masks.deal(label.slot, label.site, commitment)
        bundle, own_share = seal_bundle(own, deal, secrets=pairs)
        terms = MaskTerms(cohort=cohort_digest(asked), commitment=commitment, bundle=bundle.digest)
        label = replace(label, nonce=terms.nonce)
        between = {name: pairs[name] for name in neighbours}
        place = MaskPlace.of(label, asked)
        return UploadCover(
            label=label,
            masks=Masks.to_seal(place, site=label.site, own=own, pairs=between),
            terms=terms.encode(),
            bundle=bundle.encode(),
            own_share=b"" if own_share is None else own_share.to_bytes(SHARE_SIZE, "big"),
        )
