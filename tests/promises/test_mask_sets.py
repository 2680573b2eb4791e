"""Whatever sets a coordinator shows in a masked round, one of them is confirmed, and it is whole.

The sites' rules and memories are the real ones; uploads stand for themselves by their receipts.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from privacy.errors import ConsortiumError
from privacy.protocol.envelope import WrongAttempt
from privacy.protocol.masks.confirmations import (
    Confirmation,
    NotAWitness,
    TooFewConfirmations,
    check_confirmations,
)
from privacy.protocol.masks.groups import (
    cohort_digest,
    confirmations_needed,
    num_deaths_borne,
    smallest_sum,
    witnesses,
)
from privacy.protocol.masks.set_checks import AnotherCohort, ShownSet, StatesDiffer, check_set
from privacy.protocol.masks.sum_set import digests_of_sums
from privacy.protocol.receipts import TooFewOthers
from privacy.secrets.masked_runs.mask_memory import RoundConfirmed
from privacy.secrets.masks.mask_streams import UPDATE_DOOR, MaskPlace, Masks, OwnMask
from privacy.secrets.masks.pair_secrets import PairSecret
from tests.masked_sites import (
    OTHER_STATE,
    STATE,
    MaskedSite,
    Upload,
    identities,
    identity,
    shown,
    slot_of,
    upload_of,
)

FOUR = ("a", "b", "c", "e")  # c is in league with the coordinator
HONEST = ("a", "b", "e")

Sites = dict[str, MaskedSite]
Begin = Callable[..., Sites]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begin a run at the honest sites, with one in league."""
    with ExitStack() as stack:

        def begun(buckets: dict[str, int], *, in_league: Sequence[str] = ("c",)) -> Sites:
            floor = smallest_sum(max(1, len(in_league)), 2)
            sites = {
                name: MaskedSite.begun(name, tmp_path, buckets, floor=floor)
                for name in buckets
                if name not in in_league
            }
            for site in sites.values():
                stack.enter_context(site.memory)
            return sites

        yield begun


def one_bucket(names: Sequence[str] = FOUR) -> dict[str, int]:
    return dict.fromkeys(names, 0)


def asked(
    sites: Sites, cohort: Sequence[str] = FOUR, attempt: int = 1, state: bytes = STATE
) -> list[Upload]:
    """Ask these sites to seal for a cohort; who is in league seals whatever fits."""
    slot = slot_of(attempt)
    return [
        sites[one].ask(slot, cohort, state=state)
        if one in sites
        else upload_of(one, slot, cohort, state=state)
        for one in cohort
    ]


def says(site: MaskedSite, told: ShownSet) -> str:
    """Return the code with which a site refuses to confirm a set; empty if it confirms it."""
    try:
        site.confirm(told)
    except ConsortiumError as error:
        return error.code
    return ""


def confirmers(sites: Sites, told: ShownSet, also: Sequence[str] = ("c",)) -> list[str]:
    """Show a set to all; return who confirms it, with all that are in league."""
    return [one for one in sites if not says(sites[one], told)] + list(also)


def opens(told: ShownSet, confirmed: Sequence[str], roster: Sequence[str] = FOUR) -> bool:
    """Say whether these confirmations open a set, by the rule of every reader."""
    made = [
        Confirmation.sign(told.sum_set.digest, witness=one, shares=b"", sign=identity(one).sign)
        for one in confirmed
    ]
    try:
        check_confirmations(
            made,
            set_digest=told.sum_set.digest,
            witnesses=identities(witnesses(roster)),
            needed=confirmations_needed(len(roster), 1),
        )
    except TooFewConfirmations:
        return False
    return True


def test_a_set_without_a_site_that_sealed_in_it_opens_nowhere(begin: Begin) -> None:
    """All four receipts are shown to a; to the others, those without a."""
    sites = begin(one_bucket())
    uploads = asked(sites)
    everyone = shown(slot_of(), FOUR, uploads)
    assert says(sites["a"], everyone) == ""
    without = [one for one in uploads if one.site != "a"]
    for named in (FOUR, ("b", "c", "e")):
        partial = shown(slot_of(), named, without)
        for name in ("b", "e"):
            with pytest.raises(AnotherCohort):
                sites[name].confirm(partial)
        assert not opens(partial, ["c"])
    assert opens(everyone, confirmers(sites, everyone))


@pytest.mark.parametrize("first", [[], ["a"], ["a", "b"], ["a", "b", "e"]])
def test_of_two_attempts_that_are_both_complete_one_opens(begin: Begin, first: list[str]) -> None:
    """Some confirm the first before all are asked again; then both are shown to everybody."""
    sites, cohort = begin(one_bucket()), ("a", "b", "c")
    one = shown(slot_of(1), FOUR, asked(sites))
    for name in first:
        sites[name].confirm(one)
    again = [upload_of("c", slot_of(2), cohort)]
    for name in ("a", "b"):
        if name in first:
            with pytest.raises(RoundConfirmed):
                sites[name].ask(slot_of(2), cohort)
        else:
            again.append(sites[name].ask(slot_of(2), cohort))
            with pytest.raises(WrongAttempt):
                sites[name].confirm(one)
    two = shown(slot_of(2), cohort, again)
    opened = [told for told in (one, two) if opens(told, confirmers(sites, told))]
    assert opened == ([one] if first else [two])


@pytest.mark.parametrize("first", list(product((True, False), repeat=4)))
def test_of_two_sets_without_a_site_in_common_one_opens(
    begin: Begin, first: tuple[bool, ...]
) -> None:
    """One attempt, in which half of the sites is asked with c, and the other half with c.

    Both sets are in order, and are shown to everybody, in one order or the other.
    """
    names, halves = ("a", "b", "c", "d", "e"), (("a", "b", "c"), ("c", "d", "e"))
    sites = begin(one_bucket(names))
    sets = [shown(slot_of(), half, asked(sites, half)) for half in halves]
    confirmed: list[list[str]] = [["c"], ["c"]]
    for site, is_first in zip(sites.values(), first, strict=True):
        for number in (0, 1) if is_first else (1, 0):
            site.check(sets[number])
            if not says(site, sets[number]):
                confirmed[number].append(site.name)
    opened = [opens(*one, roster=names) for one in zip(sets, confirmed, strict=True)]
    assert opened == [sum(first) > 2, sum(first) < 2]


def test_who_confirmed_seals_in_no_other_attempt_and_the_same_bytes_in_this_one(
    begin: Begin,
) -> None:
    sites = begin(one_bucket())
    uploads = asked(sites)
    sites["a"].confirm(shown(slot_of(), FOUR, uploads))
    with pytest.raises(RoundConfirmed):
        sites["a"].ask(slot_of(2), ("a", "b", "c"))
    assert sites["a"].ask(slot_of(), FOUR) == uploads[0]
    assert sites["a"].memory.masks.own_share(slot_of(2)) is None


def other_receipt(uploads: list[Upload]) -> ShownSet:
    others = [one for one in uploads if one.site != "c"]
    return shown(slot_of(), FOUR, [*others, upload_of("c", slot_of(), FOUR)])


def other_sum(uploads: list[Upload]) -> ShownSet:
    told = shown(slot_of(), FOUR, uploads)
    sums = digests_of_sums({0: b"the sum and an offset"})
    return replace(told, sum_set=replace(told.sum_set, sums=sums))


def other_state(_uploads: list[Upload]) -> ShownSet:
    made = [upload_of(one, slot_of(), FOUR, state=OTHER_STATE) for one in FOUR]
    return shown(slot_of(), FOUR, made, state=OTHER_STATE)


def other_cohort(_uploads: list[Upload]) -> ShownSet:
    names = ("a", "b", "c")
    return shown(slot_of(), names, [upload_of(one, slot_of(), names) for one in names])


@pytest.mark.parametrize("second", [other_receipt, other_sum, other_state, other_cohort])
def test_a_second_set_is_not_confirmed_whatever_differs_in_it(
    begin: Begin, second: Callable[[list[Upload]], ShownSet]
) -> None:
    """Each is in order by itself: a site that sealed nothing in this round finds nothing wrong."""
    sites = begin(one_bucket((*FOUR, "late")))
    late = sites.pop("late")
    uploads = asked(sites)
    first, rival = shown(slot_of(), FOUR, uploads), second(uploads)
    late.check(rival)
    late.confirm(first)
    late.confirm(first)
    with pytest.raises(RoundConfirmed):
        late.confirm(rival)
    with pytest.raises(RoundConfirmed):
        late.accept(rival)
    late.accept(first)


def test_a_set_with_one_receipt_of_another_state_is_refused(begin: Begin) -> None:
    sites = begin(one_bucket())
    uploads = [
        *asked(sites)[:3],
        upload_of("e", slot_of(), FOUR, state=OTHER_STATE),
    ]
    for state in (STATE, OTHER_STATE):
        told = shown(slot_of(), FOUR, uploads, state=state)
        for name in ("a", "b"):
            with pytest.raises(StatesDiffer):
                sites[name].confirm(told)


@pytest.mark.parametrize("state_of_e", [STATE, OTHER_STATE], ids=["one state", "two states"])
def test_uploads_of_two_states_add_up_to_noise(state_of_e: bytes) -> None:
    """The same with real masks, and with every own mask known: their pair masks stay."""
    pairs = {
        frozenset(pair): PairSecret(hashlib.sha256(repr(pair).encode()).digest())
        for pair in (("a", "b"), ("a", "e"), ("b", "e"))
    }
    total, values = np.zeros((2, 8), np.int64), {"a": 5, "b": 70, "e": 900}
    for site, value in values.items():
        place = MaskPlace(
            slot=slot_of(),
            state=state_of_e if site == "e" else STATE,
            question=bytes(32),
            cohort=cohort_digest(values),
            bucket=0,
            door=UPDATE_DOOR,
        )
        own, upload = OwnMask.fresh(), np.full((2, 8), value, np.int64)
        known = {other: pairs[frozenset((site, other))] for other in values if other != site}
        Masks.to_seal(place, site=site, own=own, pairs=known).add_to(upload, 0)
        Masks.to_open(place, [own]).add_to(upload, 0)
        total += upload
    if state_of_e == STATE:
        assert (total == sum(values.values())).all()
    else:
        assert len(set(total.ravel().tolist())) == total.size
        assert np.abs(total).min() > 2**40


TWO_BUCKETS = {"a": 0, "b": 0, "c": 0, "x": 1, "y": 1, "z": 1}


def bucketed(sites: Sites, cohort: Sequence[str], attempt: int = 1) -> dict[str, Upload]:
    slot = slot_of(attempt)
    return {
        one: sites[one].ask(slot, cohort)
        if one in sites
        else upload_of(one, slot, cohort, bucket=TWO_BUCKETS[one])
        for one in cohort
        if one != "z"
    }


def test_a_bucket_below_the_floor_stays_noise_and_its_members_confirm_the_other(
    begin: Begin,
) -> None:
    """Site z is silent: its bucket is left out whole, and x and y go on."""
    sites = begin(TWO_BUCKETS)
    uploads = bucketed(sites, tuple(TWO_BUCKETS))
    whole = shown(slot_of(), tuple(TWO_BUCKETS), [uploads[one] for one in ("a", "b", "c")])
    half = shown(slot_of(), tuple(TWO_BUCKETS), list(uploads.values()))
    for name in ("a", "b", "x", "y"):
        with pytest.raises((AnotherCohort, TooFewOthers)):
            sites[name].confirm(half)
        sites[name].confirm(whole)
    assert set(sites["x"].check(whole).terms) == {"a", "b", "c"}


def test_the_floor_is_of_each_bucket_and_not_of_the_roster(begin: Begin) -> None:
    """Five of six are asked again: enough in the roster, and two in the bucket of x."""
    sites = begin(TWO_BUCKETS)
    for name in ("x", "y"):
        with pytest.raises(TooFewOthers):
            sites[name].ask(slot_of(2), ("a", "b", "c", "x", "y"))
    uploads = bucketed(sites, ("a", "b", "c"), attempt=2)
    told = shown(slot_of(2), ("a", "b", "c"), list(uploads.values()))
    for name in ("a", "b", "x", "y", "z"):
        sites[name].confirm(told)


@pytest.mark.parametrize(("max_colluders", "away"), [(0, 1), (1, 0)])
def test_three_sites_can_do_without_one_of_them_if_nobody_is_in_league(
    begin: Begin, max_colluders: int, away: int
) -> None:
    """With one in league all three must confirm."""
    names = ("a", "b", "e")
    sites = begin(one_bucket(names), in_league=())
    told = shown(slot_of(), names, asked(sites, names))
    confirmed = confirmers(sites, told, also=())
    needed = confirmations_needed(3, max_colluders)
    assert num_deaths_borne(3, max_colluders) == away
    assert (len(confirmed), needed) == (3, 3 - away)


def test_of_33_sites_32_confirm_and_the_other_does_not_count() -> None:
    roster = tuple(f"site-{number:02}" for number in range(33))
    known = witnesses(roster)
    (outside,) = set(roster) - set(known)
    needed = confirmations_needed(len(known), 1)
    assert (len(known), needed) == (32, 17)
    made = [
        Confirmation.sign(bytes(32), witness=one, shares=b"", sign=identity(one).sign)
        for one in (*known[: needed - 1], outside)
    ]
    with pytest.raises(NotAWitness):
        check_confirmations(made, set_digest=bytes(32), witnesses=identities(known), needed=needed)
    with pytest.raises(TooFewConfirmations):
        check_confirmations(
            made[:-1], set_digest=bytes(32), witnesses=identities(known), needed=needed
        )


def test_five_hundred_sites_in_buckets_are_one_set(tmp_path: Path) -> None:
    """One of them is missing, and with it its bucket; its witnesses confirm the other buckets."""
    buckets = {f"site-{number:03}": number % 25 for number in range(500)}
    roster = tuple(buckets)
    witness = witnesses(roster)[0]
    there = [
        upload_of(one, slot_of(), roster, bucket=bucket)
        for one, bucket in buckets.items()
        if bucket != buckets[witness]
    ]
    told = shown(slot_of(), roster, there)
    outside = MaskedSite.begun(witness, tmp_path, buckets, floor=3)
    with outside.memory:
        assert outside.confirm(told) == told.sum_set.digest
        checked = check_set(told, outside.known(slot_of(), roster=identities(roster)))
        assert {len(names) for names in checked.sites_by_bucket.values()} == {20}
        assert set(checked.sites_by_bucket) == set(range(25)) - {buckets[witness]}
        partial = shown(slot_of(), roster, there[1:])
        with pytest.raises(AnotherCohort):
            outside.check(partial)
