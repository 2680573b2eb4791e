import math
from collections import Counter
from fractions import Fraction
from itertools import combinations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from strategies.coordinator.messaging.cohort import Cohort, ImpossibleCohort, QuorumNotReached

MEMBERS = ("east", "north", "south", "west", "capital", "coast")


def cohort(members: tuple[str, ...] = MEMBERS, **changes: Any) -> Cohort:
    plain: dict[str, Any] = {
        "quorum": 1,
        "fraction": 0.5,
        "deadline_s": 1.0,
        "join_deadline_s": 1.0,
        "seed": 7,
    }
    return Cohort(members=members, **{**plain, **changes})


@pytest.mark.parametrize("quorum", [0, -1, 7])
def test_a_quorum_that_can_never_be_reached_is_refused(quorum: int) -> None:
    with pytest.raises(ImpossibleCohort, match=f"quorum={quorum} can never") as refused:
        cohort(quorum=quorum)
    assert refused.value.counts == {"quorum": quorum, "members": 6}


@given(
    present=st.permutations(MEMBERS).flatmap(lambda order: st.sampled_from([order, order[:3]])),
    server_round=st.integers(1, 10**6),
    seed=st.integers(0, 2**64),
)
def test_the_choice_depends_on_seed_round_and_who_is_present_only(
    present: list[str], server_round: int, seed: int
) -> None:
    chosen = cohort(seed=seed).sample(server_round, present)
    assert chosen == cohort(seed=seed).sample(server_round, sorted(present))
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(present)


def test_rounds_and_seeds_choose_differently() -> None:
    by_round = {cohort().sample(server_round, MEMBERS) for server_round in range(1, 21)}
    by_seed = {cohort(seed=seed).sample(1, MEMBERS) for seed in range(20)}
    assert len(by_round) > 5
    assert len(by_seed) > 5


def test_every_half_of_the_sites_is_equally_likely() -> None:
    """Chi-square over the 20 halves, 19 degrees of freedom: 43.8 is the 99.9 % quantile."""
    chosen = Counter(cohort().sample(server_round, MEMBERS) for server_round in range(1, 2001))
    halves = list(combinations(sorted(MEMBERS), 3))
    assert set(chosen) == set(halves)
    assert sum((chosen[half] - 100) ** 2 / 100 for half in halves) < 43.8


@example(hundredths=7, n_present=100, quorum=1)
@given(hundredths=st.integers(1, 100), n_present=st.integers(1, 200), quorum=st.integers(1, 200))
def test_the_asked_share_is_rounded_up_and_never_below_the_quorum(
    hundredths: int, n_present: int, quorum: int
) -> None:
    """In exact arithmetic: 0.07 of 100 sites is 7, whatever floats make of it."""
    names = tuple(f"site-{index}" for index in range(200))
    quorum = min(quorum, n_present)
    chosen = cohort(names, fraction=hundredths / 100, quorum=quorum).sample(1, names[:n_present])
    assert len(chosen) == max(quorum, math.ceil(Fraction(hundredths, 100) * n_present))


def test_all_are_asked_at_fraction_one() -> None:
    assert cohort(fraction=1.0).sample(1, MEMBERS) == tuple(sorted(MEMBERS))


def test_too_few_present_are_refused_by_name() -> None:
    with pytest.raises(QuorumNotReached, match="missing: north, south, west, coast") as refused:
        cohort(quorum=3).sample(1, ["capital", "east"])
    assert refused.value.counts == {"needed": 3, "came": 2}


@given(answered=st.sets(st.sampled_from(MEMBERS)), quorum=st.integers(1, 6))
def test_a_quorum_counts_answers(answered: set[str], quorum: int) -> None:
    if len(answered) >= quorum:
        cohort(quorum=quorum).require_quorum(sorted(answered))
    else:
        with pytest.raises(QuorumNotReached) as refused:
            cohort(quorum=quorum).require_quorum(sorted(answered))
        named = str(refused.value).partition("missing: ")[2].partition(". ")[0]
        assert named.split(", ") == [name for name in MEMBERS if name not in answered]
