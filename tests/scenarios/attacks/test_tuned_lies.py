import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.layout import Matrix, Vector
from scenarios.attacks.registry import ATTACKS
from scenarios.attacks.tuned_lies import (
    Aggregate,
    Knowledge,
    best_inner_product,
    little_but_harmful,
    mimic,
    min_max,
)
from strategies.rules.registry import RULES, RuleOptions
from tests.scenarios.attacks.test_registry import attack_context

DIM = 60
ROBUST = [name for name in RULES if name != "mean"]
SEEDS = st.integers(0, 2**32 - 1)


def aggregate_by(rule: str, num_liars: int) -> Aggregate:
    options = RuleOptions(name=rule, num_byzantine=num_liars, clip_norm=5.0)

    def aggregate(updates: Matrix) -> Vector:
        built = RULES[rule].build(options, np.zeros(updates.shape[1]))
        return built(updates, np.ones(len(updates)))

    return aggregate


def knowledge(seed: int, rule: str = "mean", *, n_honest: int = 13, liars: int = 2) -> Knowledge:
    honest = np.random.default_rng(seed).normal(0.5, 1.0, size=(n_honest, DIM))
    return Knowledge(honest=honest, num_liars=liars, aggregate=aggregate_by(rule, liars))


def honest_progress(known: Knowledge) -> float:
    return known.progress(known.honest.mean(axis=0))


@pytest.mark.parametrize("rule", ROBUST)
@given(seed=SEEDS)
@settings(max_examples=25)  # of a seed, for each of the rules
def test_a_lie_by_line_search_harms_no_less_than_the_fixed_one(rule: str, seed: int) -> None:
    """Of its own directions, it finds what does at least about as much harm as the paper's step."""
    known = knowledge(seed, rule)
    mean, spread = known.honest.mean(axis=0), known.honest.std(axis=0)
    fixed = known.progress(mean - 1.5 * np.sign(mean) * spread)
    room = 0.05 * abs(honest_progress(known))
    assert known.progress(little_but_harmful(known)) <= fixed + room
    reversed_mean = known.progress(-13 * mean)
    assert known.progress(best_inner_product(known)) <= reversed_mean + room


@pytest.mark.parametrize("attack", [little_but_harmful, best_inner_product])
@given(seed=SEEDS)
def test_without_a_defence_the_mean_is_turned_round(attack: object, seed: int) -> None:
    known = knowledge(seed)
    assert callable(attack)
    assert known.progress(attack(known)) < 0 < honest_progress(known)


@given(seed=SEEDS)
def test_min_max_hides_among_the_honest(seed: int) -> None:
    """It is no further from any honest update than two honest ones are from each other."""
    known = knowledge(seed, "krum")
    apart = max(np.linalg.norm(a - b) for a in known.honest for b in known.honest)
    furthest = np.linalg.norm(known.honest - min_max(known), axis=1).max()
    assert furthest == pytest.approx(apart, rel=1e-6)


def test_min_max_takes_the_direction_that_does_most_harm() -> None:
    known = knowledge(3)
    assert known.progress(min_max(known)) < honest_progress(known)


def test_mimic_copies_the_site_that_stands_out() -> None:
    known = knowledge(4)
    known.honest[5] += 40.0
    np.testing.assert_array_equal(mimic(known), known.honest[5])


def test_equal_honest_updates_leave_nowhere_to_hide() -> None:
    known = Knowledge(
        honest=np.ones((5, DIM)), num_liars=1, aggregate=aggregate_by("coordinate-median", 1)
    )
    np.testing.assert_allclose(min_max(known), 1.0, atol=1e-9)
    np.testing.assert_array_equal(mimic(known), 1.0)


def test_a_liar_sends_what_the_search_found() -> None:
    by = attack_context()
    lie = ATTACKS["mimic"].lie
    assert lie is not None
    assert (lie(by).update == by.honest).all(axis=1).any()
