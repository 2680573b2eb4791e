"""Sets of uploads as a site sees them: in a request for confirmation, and in the next question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from consortium.client.encrypted.verification import Checks, SumsMissing
from consortium.client.masked.run_masks import RunMasks
from consortium.protocol.aggregation import smallest_voters
from consortium.protocol.parameters import weight_classes
from privacy.protocol.envelope import (
    EVALUATION,
    STATISTICS,
    TRAINING,
    Receipt,
    Slot,
)
from privacy.protocol.grouping import COUNTED, OF_STATISTICS
from privacy.protocol.masks.groups import cohort_digest
from privacy.protocol.masks.mask_terms import MaskTerms
from privacy.protocol.masks.set_checks import CheckedSet, KnownRound, ShownSet, check_set
from privacy.protocol.masks.sum_set import NOTHING, SumDigests, SumSet, digests_of_sums
from privacy.protocol.part_digests import sha256_of
from privacy.protocol.receipts import JoinedReceipts, TooFewOthers, decode_receipts
from privacy.wire.encrypted_messages import SealedRound
from privacy.wire.mask_messages import ConfirmationRequest


@dataclass(frozen=True, kw_only=True)
class SeenSet:
    """A set that passed all checks at this site.

    Args:
        shown: As it was shown.
        checked: Its receipts and mask terms.
        known: What this site knew of the round by itself.
    """

    shown: ShownSet
    checked: CheckedSet
    known: KnownRound

    @property
    def slot(self) -> Slot:
        """Its place in the run."""
        return self.shown.sum_set.slot

    @property
    def digest(self) -> bytes:
        """D."""
        return self.shown.sum_set.digest

    def lacks(self, site: str) -> bool:
        """Return whether a site that answered in this round is not in what is opened of it."""
        opened = {one.label.site for one, _ in self.uploads}
        return bool(self.known.last_attempt and opened) and site not in opened

    @cached_property
    def uploads(self) -> tuple[tuple[Receipt, MaskTerms], ...]:
        """The receipt and terms of each masked upload: updates, then counts, in order of names."""
        updates = [one for bucket in self.checked.updates.values() for one in bucket]
        updates.sort(key=lambda receipt: receipt.label.site)
        return (
            *((one, self.checked.terms[one.label.site]) for one in updates),
            *((one, self.checked.count_terms[one.label.site]) for one in self.checked.counts),
        )

    def only_sites(self, masks: RunMasks) -> Mapping[int, tuple[str, ...]]:
        """Return the sites of each bucket, where the run may have one set of them; else none."""
        return self.checked.sites_by_bucket if masks.sums_one_set else {}


def set_to_confirm(masks: RunMasks, asked: ConfirmationRequest) -> SeenSet:
    """Return the set that a site is asked to confirm, once it passed all checks.

    Raises:
        ConsortiumError: As `check_set`.
    """
    slot = masks.terms.slot(asked.purpose, asked.server_round, asked.attempt)
    asked_for = asked.shown
    receipts = JoinedReceipts(asked_for.receipts)
    count_receipts = JoinedReceipts(asked_for.count_receipts)
    shown = ShownSet(
        sum_set=SumSet(
            slot=slot,
            state=_signed(receipts or count_receipts)[0].label.state,
            cohort=cohort_digest(asked_for.cohort),
            receipts=sha256_of(receipts),
            sums=asked_for.sums,
            count_receipts=sha256_of(count_receipts),
            count_sum=asked_for.count_sum or NOTHING,
        ),
        cohort=asked_for.cohort,
        receipts=receipts,
        terms=asked_for.terms,
        count_receipts=count_receipts,
        count_terms=asked_for.count_terms,
    )
    return _checked(masks, shown)


def set_in_question(masks: RunMasks, request: SealedRound) -> SeenSet:
    """Return the set whose sums a question shows, once it passed all checks.

    Raises:
        ConsortiumError: As `check_set`; or the sums are not one for each bucket.
    """
    part = request.mask_part
    signed = _signed(request.receipts or request.count_receipts)
    first = signed[0].label
    last = request.server_round - 1
    purpose = _purpose_of_set(masks, last)
    shown = ShownSet(
        sum_set=SumSet(
            slot=masks.terms.slot(purpose, last, first.slot.attempt),
            state=first.state,
            cohort=cohort_digest(part.cohort),
            receipts=sha256_of(request.receipts),
            sums=_sums_shown(masks, request, last, signed),
            count_receipts=sha256_of(request.count_receipts),
            count_sum=sha256_of(request.count_sum),
        ),
        cohort=part.cohort,
        receipts=request.receipts,
        terms=part.terms,
        count_receipts=request.count_receipts,
        count_terms=part.count_terms,
    )
    return _checked(masks, shown)


def _known_round(masks: RunMasks, slot: Slot) -> KnownRound:
    """Return what this site knows about the round of a set by itself."""
    terms, answers = masks.terms, masks.memory.answers
    count_slot = replace(slot, purpose=EVALUATION) if slot.purpose == TRAINING else slot
    places = {slot.purpose: slot, count_slot.purpose: count_slot}.values()
    given = {
        (place.purpose, attempt): Receipt.decode(own)
        for place in places
        for attempt, own in answers.own_receipts(place).items()
    }
    states = [one.label.state for one in given.values()]
    return KnownRound(
        slot=slot,
        roster=terms.roster,
        buckets=terms.buckets,
        floor=masks.smallest_sum,
        voters=smallest_voters(terms.site.run_config),
        min_sites=terms.site.min_sites,
        site=masks.site,
        own=given.get((TRAINING, slot.attempt)),
        own_count=given.get((count_slot.purpose, slot.attempt)),
        # All attempts at a round start from one state.
        state=states[0] if states else None,
        last_attempt=max((attempt for _, attempt in given), default=0),
        weight_classes=weight_classes(terms.site.run_config, terms.site.charter),
        count_classes=OF_STATISTICS if slot.purpose == STATISTICS else (COUNTED,),
    )


def _checked(masks: RunMasks, shown: ShownSet) -> SeenSet:
    known = _known_round(masks, shown.sum_set.slot)
    checked = check_set(shown, known)
    if masks.terms.contribution.exact and checked.updates:
        num_sites = sum(map(len, checked.updates.values()))
        Checks(terms=masks.terms).require_everyone(num_sites)
    return SeenSet(shown=shown, checked=checked, known=known)


def _purpose_of_set(masks: RunMasks, server_round: int) -> str:
    if server_round == 0:
        return STATISTICS
    last = masks.terms.site.run_config.num_server_rounds
    return TRAINING if server_round <= last else EVALUATION


def _signed(encoded: bytes) -> tuple[Receipt, ...]:
    """Return the receipts of a set: the first says which attempt and state all must be of."""
    receipts = decode_receipts(encoded) if encoded else ()
    if not receipts:
        raise TooFewOthers("there is no receipt of the set", needed=1, came=0)
    return receipts


def _sums_shown(
    masks: RunMasks, request: SealedRound, server_round: int, receipts: Sequence[Receipt]
) -> SumDigests:
    if not request.receipts:
        return ()
    buckets = sorted({one.label.bucket for one in receipts})
    size = masks.terms.updates_in(server_round).sum_bytes
    if len(request.sums) != size * len(buckets):
        raise SumsMissing(
            f"{len(buckets)} buckets need {size * len(buckets)} bytes of sums, got "
            f"{len(request.sums)}",
            needed=len(buckets),
        )
    view = memoryview(request.sums)
    return digests_of_sums(
        {bucket: view[at * size : (at + 1) * size] for at, bucket in enumerate(buckets)}
    )
