"""The checks of a sum set: made by a witness before it confirms, and by each reader again.

They are one function, so whoever opens a set found what its witnesses found. What a site
remembers, such as the one set that it confirms in a round, is in `mask_memory`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from privacy import canonical
from privacy.errors import ConsortiumError, abbreviated_names, number_of
from privacy.identity.public_identity import PublicIdentity
from privacy.protocol.envelope import EVALUATION, TRAINING, Receipt, Slot, WrongAttempt
from privacy.protocol.grouping import COUNTED, WEIGHT_CLASSES, WITHHELD
from privacy.protocol.masks.groups import cohort_digest
from privacy.protocol.masks.mask_terms import MaskTerms, decode_terms
from privacy.protocol.masks.sum_set import SumSet, digests_of_sums
from privacy.protocol.part_digests import sha256_of
from privacy.protocol.receipts import (
    Expected,
    NotInRoster,
    TooFewOthers,
    check_receipts,
    decode_receipts,
)


class AnotherCohort(ConsortiumError, ValueError, code="another-cohort"):
    """A set does not hold the sites that were asked: those are the ones whose masks cancel."""


class StatesDiffer(ConsortiumError, ValueError, code="states-differ"):
    """The sites of a set did not all compute from one state, or not from this site's."""


class TermsAltered(ConsortiumError, ValueError, code="terms-altered"):
    """The mask terms that are shown are not those that a receipt signs."""


class SetAltered(ConsortiumError, ValueError, code="set-altered"):
    """What is shown is not what the digest of a set says."""


class SumAltered(ConsortiumError, ValueError, code="sum-altered"):
    """A sum is not the one that the witnesses confirmed."""


class TooFewBuckets(ConsortiumError, ValueError, code="too-few-buckets"):
    """A set holds fewer buckets than the run's rule needs."""


@dataclass(frozen=True, kw_only=True)
class ShownSet:
    """A set as the coordinator shows it: all that its digest covers, but for the sums.

    Args:
        sum_set: What is confirmed.
        cohort: V, the names of the sites that were asked in this attempt, sorted.
        receipts: The joined receipts of the updates; empty if there are none.
        terms: The joined mask terms of these updates; empty if there are none.
        count_receipts: The joined receipts of the counts; empty if there are none.
        count_terms: The joined mask terms of these counts; empty if none are opened.
    """

    sum_set: SumSet
    cohort: tuple[str, ...]
    receipts: bytes = field(default=b"", repr=False)
    terms: bytes = field(default=b"", repr=False)
    count_receipts: bytes = field(default=b"", repr=False)
    count_terms: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, kw_only=True)
class KnownRound:
    """What a site knows about a round without trusting the coordinator.

    Args:
        slot: Run, purpose and round that a set must be of; whatever the attempt.
        roster: Public identities of the sites of the run, by name.
        buckets: The bucket of each of these sites, for updates.
        floor: Fewest sites in each sum: max(c + 2, `min_others` + 1).
        voters: Fewest buckets for the run's rule.
        min_sites: Fewest sites whose updates the members agreed to add together, over all buckets.
        site: This site's name.
        own: The receipt that this site gave for its update in the attempt of the set, or None.
        own_count: The receipt that it gave for its counts there, or None.
        state: Digest of the state from which this site computed in this round, or None.
        last_attempt: The last attempt at this round that this site answered; 0 if none.
        weight_classes: Weight classes that the run allows for updates.
        count_classes: Classes that it allows for counts.
    """

    slot: Slot
    roster: Mapping[str, PublicIdentity]
    buckets: Mapping[str, int]
    floor: int
    voters: int = 1
    min_sites: int = 1
    site: str
    own: Receipt | None = None
    own_count: Receipt | None = None
    state: bytes | None = None
    last_attempt: int = 0
    weight_classes: Sequence[int] = WEIGHT_CLASSES
    count_classes: Sequence[int] = (COUNTED,)


@dataclass(frozen=True, kw_only=True)
class CheckedSet:
    """A set that passed all checks.

    Args:
        updates: The receipts of the updates by bucket, sorted by site; empty if there are none.
        counts: The receipts of the counts, sorted by site; empty if none are opened.
        terms: The mask terms of each update.
        count_terms: The mask terms of each of the counts.
    """

    updates: Mapping[int, tuple[Receipt, ...]]
    counts: tuple[Receipt, ...]
    terms: Mapping[str, MaskTerms]
    count_terms: Mapping[str, MaskTerms]

    @property
    def sites_by_bucket(self) -> dict[int, tuple[str, ...]]:
        """The sites of each bucket whose updates are in the set."""
        return {
            bucket: tuple(one.label.site for one in receipts)
            for bucket, receipts in self.updates.items()
        }


def check_cohort(
    cohort: Sequence[str], *, site: str, buckets: Mapping[str, int], floor: int
) -> None:
    """Check V, before this site seals anything for it.

    Raises:
        MalformedEnvelope: These are no sorted, distinct names.
        NotInRoster: One of them is not of the run, or this site is not among them.
        TooFewOthers: This site's bucket holds fewer than `floor` of them.
    """
    canonical.require_names("the sites that are asked", cohort)
    _require_known(cohort, buckets)
    if site not in cohort:
        raise NotInRoster(
            f"{site} is not among the {number_of(len(cohort), 'site')} that are asked"
        )
    beside = sum(buckets[one] == buckets[site] for one in cohort)
    if beside < floor:
        raise TooFewOthers(
            f"the bucket of {site} needs {number_of(floor, 'site')}, {beside} are asked: wait "
            "for more sites",
            needed=floor,
            came=beside,
        )


def check_set(shown: ShownSet, known: KnownRound) -> CheckedSet:
    """Return the receipts and mask terms of a set, all of them checked.

    Guarantee: what is shown is what D covers. Every receipt is signed by its site, for this
    round and attempt, for V and for one state. Each bucket that is there holds exactly its sites
    of V, at least `floor`; counts that are opened are those of every site of the run. There are
    enough buckets. This site's own receipt is the one that it gave, and is there if V names this
    site and its bucket is there. This site answered no later attempt and computed from no other
    state.

    A site outside V, such as one that was late, passes the same checks without an own receipt.

    Raises:
        SetAltered: What is shown is not what D covers, or a part is missing or too much.
        AnotherCohort: A set or a receipt is of another V, or a bucket is not complete.
        StatesDiffer: Not all receipts, or not this site, are of the set's state.
        TermsAltered: Mask terms are not those that a receipt signs.
        WrongAttempt: This site answered a later attempt.
        TooFewBuckets: There are fewer than `voters`.
        ConsortiumError: As `check_receipts`.
    """
    _require_shown(shown, known)
    updates = _checked_updates(shown, known) if shown.sum_set.slot.purpose == TRAINING else {}
    voting = _checked_counts(shown, known) if shown.count_receipts else ()
    counts = voting if shown.sum_set.opens_counts else ()
    own = known.state is None or known.state == shown.sum_set.state
    signed = {one.label.state for one in (*voting, *chain(*updates.values()))}
    if signed != {shown.sum_set.state} or not own:
        raise StatesDiffer(
            "all sites of a set compute from one state, and this site from no other: the "
            f"receipts sign {number_of(len(signed), 'state')}, "
            f"{'among them' if own else 'not'} the one that this site knows",
            states=len(signed),
        )
    return CheckedSet(
        updates=updates,
        counts=counts,
        terms=_checked_terms(shown.terms, list(chain(*updates.values())), shown.sum_set),
        count_terms=_checked_terms(shown.count_terms, counts, shown.sum_set),
    )


def check_sums(
    sum_set: SumSet, *, sums: Mapping[int, bytes | memoryview], count_sum: bytes
) -> None:
    """Check that sums are the ones that a set names, before anything is decrypted.

    Args:
        sum_set: The confirmed set.
        sums: The sum of each bucket that is shown.
        count_sum: The sum of the counts; empty if there is none.

    Raises:
        SumAltered: One is missing, too much, or another one.
    """
    if digests_of_sums(sums) != sum_set.sums or sha256_of(count_sum) != sum_set.count_sum:
        raise SumAltered(
            "the sums are not those that the witnesses confirmed: nothing of them is decrypted, "
            "and the coordinator signed this question"
        )


def _require_shown(shown: ShownSet, known: KnownRound) -> None:
    """Check what needs no receipt: the slot, V, and that the parts are those that D covers."""
    sum_set = shown.sum_set
    slot = sum_set.slot
    slot.require_slot(replace(known.slot, attempt=slot.attempt))
    if slot.attempt < known.last_attempt:
        raise WrongAttempt(
            f"this site answered attempt {known.last_attempt} at round {slot.server_round}: "
            f"attempt {slot.attempt} was void",
            needed=known.last_attempt,
            came=slot.attempt,
        )
    canonical.require_names("the sites that were asked", shown.cohort)
    _require_known(shown.cohort, known.roster)
    if cohort_digest(shown.cohort) != sum_set.cohort:
        raise AnotherCohort("the sites that are shown as asked are not those of the set")
    trained = slot.purpose == TRAINING
    covered = {
        "receipts": sha256_of(shown.receipts) == sum_set.receipts,
        "receipts of counts": sha256_of(shown.count_receipts) == sum_set.count_receipts,
        "updates": trained == bool(shown.receipts) == bool(sum_set.sums),
        "counts": bool(shown.count_receipts) or not sum_set.opens_counts,
        "uploads": trained or sum_set.opens_counts or slot.purpose == EVALUATION,
        "replies": trained or bool(shown.count_receipts),
    }
    for what, fits in covered.items():
        if not fits:
            raise SetAltered(f"the {what} that are shown are not those that the set's digest says")


def _checked_updates(shown: ShownSet, known: KnownRound) -> dict[int, tuple[Receipt, ...]]:
    sum_set, asked = shown.sum_set, set(shown.cohort)
    expected = _expected(known, sum_set.slot, own=known.own if known.site in asked else None)
    updates = check_receipts(decode_receipts(shown.receipts), expected)
    for bucket, receipts in updates.items():
        _require_complete(receipts, {one for one in asked if known.buckets[one] == bucket})
    if tuple(bucket for bucket, _ in sum_set.sums) != tuple(updates):
        raise SetAltered(
            f"a set has one sum for each bucket: {len(updates)} buckets have receipts, "
            f"{len(sum_set.sums)} have sums",
            needed=len(updates),
            came=len(sum_set.sums),
        )
    if len(updates) < known.voters:
        raise TooFewBuckets(
            f"the rule needs {number_of(known.voters, 'bucket')}, {len(updates)} are complete",
            needed=known.voters,
            came=len(updates),
        )
    sites = sum(map(len, updates.values()))
    if sites < known.min_sites:
        raise TooFewOthers(
            f"the members ask for {number_of(known.min_sites, 'site')} in every aggregate, "
            f"{sites} are in this one",
            needed=known.min_sites,
            came=sites,
        )
    return updates


def _checked_counts(shown: ShownSet, known: KnownRound) -> tuple[Receipt, ...]:
    slot, opened = shown.sum_set.slot, shown.sum_set.opens_counts
    asked = set(shown.cohort)
    expected = replace(
        # Counts are over the whole roster, so they have one bucket.
        _expected(known, slot, own=known.own_count if known.site in asked else None),
        slot=replace(slot, purpose=EVALUATION) if slot.purpose == TRAINING else slot,
        buckets=dict.fromkeys(known.roster, 0),
        # Zeros in the place of counts say from which state a site computed, and are not opened.
        weight_classes=known.count_classes if opened else (*known.count_classes, WITHHELD),
    )
    (counts,) = check_receipts(decode_receipts(shown.count_receipts), expected).values()
    _require_complete(counts, asked)
    if opened and asked != set(known.roster):
        raise AnotherCohort("counts are of the whole roster, so all of it must be asked for them")
    return counts


def _expected(known: KnownRound, slot: Slot, *, own: Receipt | None) -> Expected:
    return Expected(
        slot=slot,
        roster=known.roster,
        buckets=known.buckets,
        min_others=known.floor - 1,
        site=known.site,
        own=own,
        weight_classes=known.weight_classes,
    )


def _require_complete(receipts: Sequence[Receipt], asked: set[str]) -> None:
    missing = asked ^ {one.label.site for one in receipts}
    if missing:
        raise AnotherCohort(
            f"a sum holds exactly the sites that were asked, or their masks do not cancel: "
            f"{abbreviated_names(sorted(missing))} differ",
            missing=len(missing),
        )


def _checked_terms(
    encoded: bytes, receipts: Sequence[Receipt], sum_set: SumSet
) -> Mapping[str, MaskTerms]:
    terms = decode_terms(encoded) if encoded else {}
    signed = {one.label.site: one.label.nonce for one in receipts}
    if {site: one.nonce for site, one in terms.items()} != signed:
        raise TermsAltered(
            f"each of {number_of(len(receipts), 'receipt')} signs its mask terms, and those that "
            "are shown are others"
        )
    strangers = sorted(site for site, one in terms.items() if one.cohort != sum_set.cohort)
    if strangers:
        raise AnotherCohort(
            f"{abbreviated_names(strangers)} sealed for another choice of sites than the set's",
            members=len(strangers),
        )
    return terms


def _require_known(cohort: Sequence[str], roster: Collection[str]) -> None:
    strangers = sorted(set(cohort) - set(roster))
    if strangers:
        raise NotInRoster(f"{abbreviated_names(strangers)}: not a site of this run")
