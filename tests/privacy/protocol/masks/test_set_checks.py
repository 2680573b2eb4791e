"""A set is what its digest says, complete, from one state, and for the sites that were asked."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import BadSignature
from privacy.protocol.envelope import EVALUATION, NO_STATE, STATISTICS, Slot, WrongAttempt, WrongRun
from privacy.protocol.grouping import WITHHELD
from privacy.protocol.masks.groups import cohort_digest
from privacy.protocol.masks.mask_terms import decode_terms, join_terms
from privacy.protocol.masks.set_checks import (
    AnotherCohort,
    KnownRound,
    SetAltered,
    ShownSet,
    StatesDiffer,
    SumAltered,
    TermsAltered,
    TooFewBuckets,
    check_cohort,
    check_set,
    check_sums,
)
from privacy.protocol.masks.sum_set import NOTHING, digests_of_sums
from privacy.protocol.part_digests import sha256_of
from privacy.protocol.receipts import (
    NotInRoster,
    ReceiptAltered,
    ReceiptMissing,
    TooFewOthers,
    WrongWeightClass,
)
from tests.masked_sites import (
    OTHER_STATE,
    STATE,
    Upload,
    counts_of,
    identities,
    shown,
    slot_of,
    sums_of,
    upload_of,
)

ROSTER = ("east", "north", "south", "west", "xanten", "york")
BUCKETS = {"east": 0, "north": 0, "south": 0, "west": 1, "xanten": 1, "york": 1}
ALL = frozenset(ROSTER)
Change = Callable[[ShownSet], ShownSet]


def uploads(names: frozenset[str] = ALL, slot: Slot | None = None) -> dict[str, Upload]:
    place = slot or slot_of()
    return {one: upload_of(one, place, sorted(names), bucket=BUCKETS[one]) for one in names}


def counts(slot: Slot | None = None, state: bytes = STATE) -> list[Upload]:
    return [counts_of(one, slot or slot_of(), ROSTER, state=state) for one in ROSTER]


def known(site: str = "away", **facts: object) -> KnownRound:
    made = KnownRound(
        slot=slot_of(),
        roster=identities(ROSTER),
        buckets=BUCKETS,
        floor=3,
        voters=2,
        min_sites=6,
        site=site,
        weight_classes=(1,),
    )
    return replace(made, **facts)  # type: ignore[arg-type]


UPLOADS = uploads()
COUNTS = counts()
EVERYTHING = shown(slot_of(), ROSTER, list(UPLOADS.values()), COUNTS)


def with_sum_set(**parts: object) -> Change:
    return lambda told: replace(told, sum_set=replace(told.sum_set, **parts))  # type: ignore[arg-type]


def test_a_set_of_updates_and_counts_is_read() -> None:
    own = UPLOADS["west"].receipt
    own_count = next(one.receipt for one in COUNTS if one.site == "west")
    checked = check_set(
        EVERYTHING, known("west", own=own, own_count=own_count, state=STATE, last_attempt=1)
    )
    assert checked.sites_by_bucket == {0: ("east", "north", "south"), 1: ("west", "xanten", "york")}
    assert [one.label.site for one in checked.counts] == sorted(ROSTER)
    assert checked.terms == {site: one.terms for site, one in UPLOADS.items()}
    assert checked.count_terms == {one.site: one.terms for one in COUNTS}


def test_a_set_of_updates_alone_is_read() -> None:
    checked = check_set(shown(slot_of(), ROSTER, list(UPLOADS.values())), known())
    assert (checked.counts, checked.count_terms) == ((), {})


@pytest.mark.parametrize("purpose", [STATISTICS, EVALUATION])
def test_a_set_of_counts_alone_is_read(purpose: str) -> None:
    slot = slot_of(purpose=purpose)
    state = NO_STATE if purpose == STATISTICS else STATE
    told = shown(slot, ROSTER, (), counts(slot, state), state=state)
    checked = check_set(told, known(slot=slot))
    assert (checked.sites_by_bucket, len(checked.counts)) == ({}, len(ROSTER))


def test_counts_that_are_not_opened_say_from_which_state_their_sites_computed() -> None:
    """At the end of a run, where a site is missing or withholds: its model stands for all."""
    slot = slot_of(purpose=EVALUATION)
    asked = sorted(ALL - {"york"})
    told = [counts_of(one, slot, asked, counted=WITHHELD) for one in asked]
    checked = check_set(shown(slot, asked, (), told, opens_counts=False), known(slot=slot))
    assert (checked.counts, checked.count_terms) == ((), {})
    with pytest.raises(WrongWeightClass):
        check_set(shown(slot, asked, (), told), known(slot=slot))
    other = [*told[:-1], counts_of(asked[-1], slot, asked, state=OTHER_STATE)]
    with pytest.raises(StatesDiffer):
        check_set(shown(slot, asked, (), other, opens_counts=False), known(slot=slot))


@given(st.frozensets(st.sampled_from(ROSTER)), st.frozensets(st.sampled_from([0, 1])))
def test_a_bucket_is_there_with_all_who_were_asked_or_not_at_all(
    came: frozenset[str], left_out: frozenset[int]
) -> None:
    """Whoever is missing, of the buckets that are shown: only complete ones pass."""
    there = [UPLOADS[one] for one in came if BUCKETS[one] not in left_out]
    complete = {one for one in ROSTER if BUCKETS[one] in {BUCKETS[u.site] for u in there}}
    told = shown(slot_of(), ROSTER, there)
    if there and {one.site for one in there} == complete:
        checked = check_set(told, known(floor=1, voters=1, min_sites=1))
        assert {one for names in checked.sites_by_bucket.values() for one in names} == complete
    else:
        with pytest.raises(AnotherCohort if there else SetAltered):
            check_set(told, known(floor=1, voters=1, min_sites=1))


def test_who_was_asked_without_a_site_is_complete_without_it() -> None:
    """Then the bucket must still reach the floor."""
    fewer = ALL - {"york"}
    told = shown(slot_of(), sorted(fewer), list(uploads(fewer).values()))
    with pytest.raises(TooFewOthers):
        check_set(told, known(voters=1, min_sites=1))
    assert len(check_set(told, known(floor=2, min_sites=5)).updates) == 2


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (with_sum_set(slot=replace(slot_of(), run="other")), WrongRun),
        (with_sum_set(cohort=cohort_digest(ROSTER[1:])), AnotherCohort),
        (lambda told: replace(told, cohort=ROSTER[1:]), AnotherCohort),
        (lambda told: replace(told, cohort=("unknown",)), NotInRoster),
        (lambda told: replace(told, cohort=tuple(reversed(ROSTER))), MalformedEnvelope),
        (with_sum_set(receipts=bytes(32)), SetAltered),
        (with_sum_set(count_receipts=bytes(32)), SetAltered),
        (with_sum_set(sums=()), SetAltered),
        (with_sum_set(sums=digests_of_sums({0: b""})), SetAltered),
        (with_sum_set(sums=digests_of_sums({0: b"", 2: b""})), SetAltered),
        (with_sum_set(slot=slot_of(purpose=EVALUATION)), SetAltered),
        (with_sum_set(state=OTHER_STATE), StatesDiffer),
        (lambda told: replace(told, terms=told.count_terms), TermsAltered),
        (lambda told: replace(told, terms=b""), TermsAltered),
        (lambda told: replace(told, count_terms=told.terms), TermsAltered),
    ],
)
def test_what_is_shown_is_what_the_digest_covers(
    change: Change, refusal: type[ConsortiumError]
) -> None:
    slot = change(EVERYTHING).sum_set.slot
    with pytest.raises(refusal):
        check_set(change(EVERYTHING), known(slot=replace(slot, run="run")))


def test_a_digest_for_parts_that_are_not_there_is_refused() -> None:
    nothing = shown(slot_of(), ROSTER)
    for told in (
        nothing,
        replace(nothing, sum_set=replace(nothing.sum_set, sums=digests_of_sums(sums_of([0])))),
        replace(nothing, sum_set=replace(nothing.sum_set, count_sum=bytes(32))),
    ):
        with pytest.raises(SetAltered):
            check_set(told, known())
    for purpose in (STATISTICS, EVALUATION):
        slot = slot_of(purpose=purpose)
        with pytest.raises(SetAltered):
            check_set(shown(slot, ROSTER), known(slot=slot))
    slot = slot_of(purpose=STATISTICS)
    unopened = shown(slot, ROSTER, (), counts(slot), opens_counts=False)
    with pytest.raises(SetAltered):
        check_set(unopened, known(slot=slot))


def test_every_upload_is_for_the_sites_that_the_set_names() -> None:
    """One of them was asked with others: its masks do not cancel."""
    other = upload_of("west", slot_of(), sorted(ALL - {"east"}), bucket=1)
    told = shown(slot_of(), ROSTER, list((UPLOADS | {"west": other}).values()))
    with pytest.raises(AnotherCohort, match="west"):
        check_set(told, known())


def test_every_upload_is_from_the_state_of_the_set() -> None:
    other = upload_of("west", slot_of(), ROSTER, state=OTHER_STATE, bucket=1)
    for uploaded, counted in (
        (UPLOADS | {"west": other}, COUNTS),
        (UPLOADS, [*COUNTS[1:], counts_of(ROSTER[0], slot_of(), ROSTER, state=OTHER_STATE)]),
    ):
        with pytest.raises(StatesDiffer):
            check_set(shown(slot_of(), ROSTER, list(uploaded.values()), counted), known())
    with pytest.raises(StatesDiffer):
        check_set(EVERYTHING, known(state=OTHER_STATE))


def test_the_terms_are_those_that_each_receipt_signs() -> None:
    swapped = dict(decode_terms(EVERYTHING.terms))
    swapped["east"], swapped["west"] = swapped["west"], swapped["east"]
    fewer = {site: one for site, one in swapped.items() if site != "east"}
    for terms in (swapped, fewer):
        with pytest.raises(TermsAltered):
            check_set(replace(EVERYTHING, terms=join_terms(terms)), known())


def test_a_receipt_of_another_hand_is_refused() -> None:
    forged = Upload(replace(UPLOADS["west"].receipt, signature=bytes(64)), UPLOADS["west"].terms)
    told = shown(slot_of(), ROSTER, list((UPLOADS | {"west": forged}).values()))
    with pytest.raises(BadSignature):
        check_set(told, known())


def test_the_own_receipt_is_there_as_it_was_given() -> None:
    own, other = UPLOADS["west"].receipt, upload_of("west", slot_of(), ROSTER, bucket=1).receipt
    updates = shown(slot_of(), ROSTER, list(UPLOADS.values()))
    check_set(updates, known("west", own=own))
    for held in (other, None):
        with pytest.raises(ReceiptAltered):
            check_set(updates, known("west", own=held))
    for held in (other, None):
        with pytest.raises(ReceiptAltered):
            check_set(EVERYTHING, known("west", own=own, own_count=held))
    without = [one for site, one in UPLOADS.items() if site != "west"]
    with pytest.raises(ReceiptMissing):
        check_set(shown(slot_of(), ROSTER, without), known("west", own=own, floor=2))
    of_others = [one for site, one in UPLOADS.items() if BUCKETS[site] == 0]
    first = shown(slot_of(), ROSTER, of_others)
    assert list(check_set(first, known("west", own=own, voters=1, min_sites=1)).updates) == [0]


def test_a_site_that_was_left_out_passes_the_set_of_the_others() -> None:
    """It was late, or the coordinator says so: its upload stays noise, and the run goes on."""
    fewer = ALL - {"west"}
    told = shown(slot_of(), sorted(fewer), list(uploads(fewer).values()))
    late = known("west", own=UPLOADS["west"].receipt, state=STATE, last_attempt=1, floor=2)
    assert len(check_set(told, replace(late, min_sites=5)).updates) == 2


def test_a_site_that_answered_a_later_attempt_goes_back_to_none() -> None:
    with pytest.raises(WrongAttempt):
        check_set(EVERYTHING, known(last_attempt=2))
    second = slot_of(2)
    told = shown(second, ROSTER, list(uploads(slot=second).values()))
    check_set(told, known(last_attempt=2))
    check_set(told, known(last_attempt=1))


def test_the_rule_and_the_members_have_enough() -> None:
    with pytest.raises(TooFewBuckets) as caught:
        check_set(EVERYTHING, known(voters=3))
    assert caught.value.counts == {"needed": 3, "came": 2}
    with pytest.raises(TooFewOthers) as few:
        check_set(EVERYTHING, known(min_sites=7))
    assert few.value.counts == {"needed": 7, "came": 6}


def test_counts_are_opened_over_the_whole_roster_only() -> None:
    asked = sorted(ALL - {"york"})
    slot = slot_of(purpose=EVALUATION)
    told = shown(slot, asked, (), [counts_of(one, slot, asked) for one in asked])
    with pytest.raises(AnotherCohort, match="whole roster"):
        check_set(told, known(slot=slot))
    with pytest.raises(AnotherCohort):
        check_set(shown(slot_of(), ROSTER, list(UPLOADS.values()), COUNTS[1:]), known())


def test_a_sum_is_the_one_that_was_confirmed_before_it_is_decrypted() -> None:
    right = sums_of([0, 1])
    check_sums(EVERYTHING.sum_set, sums=right, count_sum=b"the counts")
    for sums in ({}, {0: right[0]}, right | {1: b"forged"}, right | {2: b"more"}):
        with pytest.raises(SumAltered):
            check_sums(EVERYTHING.sum_set, sums=sums, count_sum=b"the counts")
    for count_sum in (b"", b"forged"):
        with pytest.raises(SumAltered):
            check_sums(EVERYTHING.sum_set, sums=right, count_sum=count_sum)
    assert sha256_of(b"") == NOTHING


@pytest.mark.parametrize(
    ("cohort", "refusal"),
    [
        (("east", "north", "south"), NotInRoster),
        (("east", "north", "south", "west", "xanten"), TooFewOthers),
        (("east", "north", "south", "unknown", "west", "xanten", "york"), NotInRoster),
        (("york", "xanten", "west"), MalformedEnvelope),
    ],
)
def test_a_site_seals_for_enough_sites_of_its_own_bucket(
    cohort: tuple[str, ...], refusal: type[ConsortiumError]
) -> None:
    """Whatever the others' buckets hold: floor and masks are of each bucket."""
    with pytest.raises(refusal):
        check_cohort(cohort, site="west", buckets=BUCKETS, floor=3)
    check_cohort(("west", "xanten", "york"), site="west", buckets=BUCKETS, floor=3)
