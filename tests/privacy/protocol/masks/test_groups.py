"""Who confirms, who shares masks with whom, and how many must agree follow from names alone."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.protocol.masks.groups import (
    MAX_COLLUDERS,
    MOST_WITNESSES,
    ample_confirmations,
    can_be_stopped,
    cohort_digest,
    confirmations_needed,
    neighbours,
    num_deaths_borne,
    partners,
    smallest_sum,
    witnesses,
)

colluders = st.integers(0, MAX_COLLUDERS)
site_names = st.integers(3, 60).map(lambda count: tuple(f"site-{one:03}" for one in range(count)))


def holds_together(names: tuple[str, ...], gone: set[str]) -> bool:
    """Whether a path of neighbours leads from each site that is left to each other one."""
    left = set(names) - gone
    reached, ahead = set[str](), [min(left)]
    while ahead:
        site = ahead.pop()
        if site not in reached:
            reached.add(site)
            ahead += [other for other in neighbours(site, names) if other in left]
    return reached == left


# --- the quorum ------------------------------------------------------------------------------


@given(st.integers(1, MOST_WITNESSES), colluders)
def test_two_quorums_always_share_an_honest_witness(num_witnesses: int, max_colluders: int) -> None:
    """And one less would not do: two of those could share members in league only."""
    needed = confirmations_needed(num_witnesses, max_colluders)
    assert 2 * needed - num_witnesses > max_colluders
    assert 2 * (needed - 1) - num_witnesses <= max_colluders


@given(st.integers(3, MOST_WITNESSES), colluders)
def test_members_in_league_never_confirm_alone(num_witnesses: int, max_colluders: int) -> None:
    if num_witnesses > max_colluders:
        assert confirmations_needed(num_witnesses, max_colluders) > max_colluders


@given(st.integers(3, MOST_WITNESSES), colluders)
def test_a_run_can_be_stopped_up_to_three_witnesses_for_each_in_league(
    num_witnesses: int, max_colluders: int
) -> None:
    honest = num_witnesses - max_colluders
    stopped = honest < confirmations_needed(num_witnesses, max_colluders)
    assert can_be_stopped(num_witnesses, max_colluders) is stopped
    assert stopped is (num_witnesses <= 3 * max_colluders)


@pytest.mark.parametrize(
    ("num_witnesses", "max_colluders", "ample"),
    [(5, 1, 5), (6, 0, 4), (6, 1, 5), (16, 1, 10), (32, 1, 18), (32, 3, 21), (28, 4, 21)],
)
def test_with_as_many_more_as_are_in_league_nobody_else_is_waited_for(
    num_witnesses: int, max_colluders: int, ample: int
) -> None:
    assert ample_confirmations(num_witnesses, max_colluders) == ample


@pytest.mark.parametrize(("num_witnesses", "max_colluders"), [(3, 1), (30, 4), (32, 5), (32, 10)])
def test_all_are_waited_for_where_wrong_shares_might_not_be_found(
    num_witnesses: int, max_colluders: int
) -> None:
    assert ample_confirmations(num_witnesses, max_colluders) == num_witnesses


def test_deaths_that_are_borne() -> None:
    """Three sites, one in league: all must confirm."""
    table = [(3, 0, 1), (3, 1, 0), (4, 1, 1), (5, 1, 1), (8, 1, 3), (16, 1, 7), (32, 3, 14)]
    for num_witnesses, max_colluders, borne in table:
        assert num_deaths_borne(num_witnesses, max_colluders) == borne


@given(colluders, st.integers(1, 20))
def test_a_sum_holds_two_honest_sites_and_the_others_of_the_charter(
    max_colluders: int, min_others: int
) -> None:
    floor = smallest_sum(max_colluders, min_others)
    assert floor - max_colluders >= 2
    assert floor > min_others
    assert floor in (max_colluders + 2, min_others + 1)


# --- witnesses -------------------------------------------------------------------------------


@given(site_names, st.data())
def test_witnesses_follow_from_the_roster_in_whatever_order(
    names: tuple[str, ...], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(names))
    drawn = witnesses(shuffled)
    assert drawn == witnesses(names) == tuple(sorted(drawn))
    assert len(drawn) == min(len(names), MOST_WITNESSES)
    assert set(drawn) <= set(names)


@pytest.mark.parametrize("count", [33, 40, 500])
@pytest.mark.parametrize("colluders", range(1, MAX_COLLUDERS + 1))
def test_what_opens_in_two_runs_of_a_large_roster_has_one_honest_witness(
    count: int, colluders: int
) -> None:
    """It remembers in the second run whose updates from this start opened in the first."""
    names = tuple(f"site-{one:03}" for one in range(count))
    needed = confirmations_needed(MOST_WITNESSES, colluders)
    first, second = witnesses(names)[:needed], witnesses(names[::-1])[-needed:]
    assert len(set(first) & set(second)) > colluders


# --- neighbours ------------------------------------------------------------------------------


@given(site_names)
def test_to_be_a_neighbour_is_mutual(names: tuple[str, ...]) -> None:
    near = {site: neighbours(site, names) for site in names}
    for site, others in near.items():
        assert len(others) == min(len(names) - 1, 16)
        assert list(others) == sorted(set(others) - {site})
        assert all(site in near[other] for other in others)


@given(st.integers(18, 40), st.data())
def test_a_circle_of_neighbours_holds_together_without_any_fifteen(
    count: int, data: st.DataObject
) -> None:
    names = tuple(f"site-{one:03}" for one in range(count))
    gone = data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=15))
    assert holds_together(names, gone)


@pytest.mark.parametrize("start", range(18))
def test_and_falls_apart_without_the_sixteen_around_one_site(start: int) -> None:
    """So the search above could fail."""
    names = tuple(f"site-{one:03}" for one in range(20))
    assert not holds_together(names, set(neighbours(names[start], names)))


def test_a_small_circle_holds_together_without_any_two_and_any_three() -> None:
    names = tuple(f"site-{one:03}" for one in range(18))
    for count in (2, 3):
        assert all(holds_together(names, set(gone)) for gone in combinations(names, count))


# --- partners --------------------------------------------------------------------------------


@given(site_names, st.integers(1, 6))
def test_a_site_has_a_pair_secret_with_everybody_it_needs_one_with(
    names: tuple[str, ...], num_buckets: int
) -> None:
    buckets = {site: place % num_buckets for place, site in enumerate(names)}
    need = {site: partners(site, roster=names, buckets=buckets) for site in names}
    confirming = witnesses(names)
    for site, others in need.items():
        assert list(others) == sorted(set(others) - {site})
        assert set(others) >= set(confirming) - {site}
        assert set(others) >= {one for one in names if buckets[one] == buckets[site]} - {site}
        assert set(others) >= set(neighbours(site, names))
        assert all(site in need[other] for other in others)
        if site in confirming:
            assert set(others) == set(names) - {site}


def test_a_site_of_a_large_roster_does_not_need_everybody() -> None:
    names = tuple(f"site-{one:03}" for one in range(500))
    buckets = {site: place % 100 for place, site in enumerate(names)}
    confirming = witnesses(names)
    most = max(
        len(partners(site, roster=names, buckets=buckets))
        for site in names
        if site not in confirming
    )
    assert most <= 4 + 16 + MOST_WITNESSES


# --- cohorts ---------------------------------------------------------------------------------


@given(st.sets(st.sampled_from("abcdefgh")), st.sets(st.sampled_from("abcdefgh")))
def test_a_cohort_has_the_digest_of_its_set_of_names(one: set[str], other: set[str]) -> None:
    assert (cohort_digest(one) == cohort_digest(sorted(other, reverse=True))) is (one == other)
