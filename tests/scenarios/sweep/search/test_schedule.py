"""Successive halving: who reaches which rung, and what that costs at most."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.sweep.search.schedule import BadSchedule, halving_schedule, most_rounds, promoted

TRIALS = st.integers(2, 300)
ROUNDS = st.integers(1, 300)
REDUCTION = st.integers(2, 5)
FIGURES = st.dictionaries(st.integers(1, 50), st.sampled_from([0.1, 0.5, 0.5, 0.9]), min_size=1)


@given(trials=TRIALS, rounds=ROUNDS, reduction=REDUCTION)
def test_every_trial_starts_and_each_rung_is_reached_by_its_share(
    trials: int, rounds: int, reduction: int
) -> None:
    rungs = halving_schedule(trials, rounds, reduction=reduction)
    assert (rungs[0].trials, rungs[-1].rounds) == (trials, rounds)
    for before, after in itertools.pairwise(rungs):
        assert after.trials == before.trials // reduction >= 1
        assert after.rounds > before.rounds >= 1


@given(trials=TRIALS, rounds=ROUNDS, reduction=REDUCTION, lag=st.integers(0, 2))
def test_a_sweep_trains_no_more_than_it_may(
    trials: int, rounds: int, reduction: int, lag: int
) -> None:
    rungs = halving_schedule(trials, rounds, reduction=reduction)
    share = trials * rounds / reduction ** (len(rungs) - 1)
    assert all(one.trials * one.rounds <= share for one in rungs)
    started = sum(one.trials for one in rungs)
    assert most_rounds(rungs, lag=lag) <= len(rungs) * share + lag * started


@given(trials=TRIALS, rounds=ROUNDS, reduction=REDUCTION, lag=st.integers(0, 2))
def test_the_price_is_that_of_any_trials_that_follow_the_schedule(
    trials: int, rounds: int, reduction: int, lag: int
) -> None:
    """Counted trial by trial, each by the last rung that it reached."""
    rungs = halving_schedule(trials, rounds, reduction=reduction)
    trained = 0
    for number in range(trials):
        place = max(at for at, one in enumerate(rungs) if number < one.trials)
        ends = place == len(rungs) - 1
        trained += rounds if ends else min(rounds, rungs[place].rounds + lag)
    assert most_rounds(rungs, lag=lag) == trained


def test_sixteen_trials_of_twenty_rounds() -> None:
    rungs = halving_schedule(16, 20, reduction=2)
    assert [(one.trials, one.rounds) for one in rungs] == [
        (16, 1),
        (8, 2),
        (4, 5),
        (2, 10),
        (1, 20),
    ]


@given(figures=FIGURES, keep=st.integers(1, 60), higher=st.booleans(), data=st.data())
def test_the_best_go_on_in_whatever_order_they_were_done(
    figures: dict[int, float], keep: int, higher: bool, data: st.DataObject
) -> None:
    on = promoted(figures, keep, higher_is_better=higher)
    shuffled = {one: figures[one] for one in data.draw(st.permutations(list(figures)))}
    assert promoted(shuffled, keep, higher_is_better=higher) == on
    assert len(on) == min(keep, len(figures))
    sign = 1 if higher else -1
    for one in on:
        for other in figures.keys() - on:
            assert (sign * figures[one], -one) > (sign * figures[other], -other)


@pytest.mark.parametrize(("trials", "reduction"), [(1, 2), (4, 1)])
def test_what_cannot_be_halved_is_refused(trials: int, reduction: int) -> None:
    with pytest.raises(BadSchedule, match="--trials, --reduction"):
        halving_schedule(trials, 4, reduction=reduction)
