"""Liars who know everything and search for the worst attack stay within the proven bound."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from privacy.layout import Matrix, Vector
from strategies.rules.inputs import Rule
from strategies.rules.pre_aggregation import compose, nearest_neighbour_mixing
from strategies.rules.registry import RULES, RuleOptions

DIM = 3
CLIP_NORM = 1.5
ITERATIONS = 2

Damage = Callable[[Matrix, Vector, int], float]  # honest updates, result, liars: 1 is the bound


def variance(honest: Matrix) -> float:
    """Return the mean squared distance from the mean."""
    return float(((honest - honest.mean(axis=0)) ** 2).sum(axis=1).mean())


def off_the_mean(honest: Matrix, result: Vector) -> float:
    return float(((result - honest.mean(axis=0)) ** 2).sum())


def outside_the_range(honest: Matrix, result: Vector, _liars: int) -> float:
    """1 at the edge of the honest range of a coordinate."""
    low, high = honest.min(axis=0), honest.max(axis=0)
    return float(np.max(np.abs(result - (low + high) / 2) / ((high - low) / 2)))


def beyond_twice_the_range(honest: Matrix, result: Vector, liars: int) -> float:
    """1 at one honest range away from the honest range of a coordinate."""
    return outside_the_range(honest, result, liars) / 3


def beyond_krums_bound(honest: Matrix, result: Vector, liars: int) -> float:
    n_sites = len(honest) + liars
    bound = 6 * len(honest) / (n_sites - 2 * liars - 2) * variance(honest)
    return off_the_mean(honest, result) / bound


def beyond_the_radius(honest: Matrix, result: Vector, liars: int) -> float:
    """The geometric median's 2 H / (H - B), for the honest mean as the point it is held to."""
    radius = np.linalg.norm(honest - honest.mean(axis=0), axis=1).max()
    bound = 2 * len(honest) / (len(honest) - liars) * radius
    return float(np.sqrt(off_the_mean(honest, result)) / bound)


def beyond_the_clip(reference: Rule, steps: int) -> Damage:
    """Held to what the rule gives when the liars send the honest mean instead."""

    def damage(honest: Matrix, result: Vector, liars: int) -> float:
        n_sites = len(honest) + liars
        tame = np.vstack([honest, np.tile(honest.mean(axis=0), (liars, 1))])
        moved = np.linalg.norm(result - reference(tame, np.ones(n_sites)))
        return float(moved / (2 * liars * CLIP_NORM * steps / n_sites))

    return damage


def beyond_mixings_bound(honest: Matrix, result: Vector, liars: int) -> float:
    """8 f / (n - f) (kappa + 1) with the median's kappa (Allouah et al. 2023)."""
    n_sites = len(honest) + liars
    kappa = 4 * (1 + liars / (n_sites - 2 * liars)) ** 2
    bound = 8 * liars / (n_sites - liars) * (kappa + 1) * variance(honest)
    return off_the_mean(honest, result) / bound


def built(name: str, liars: int) -> Rule:
    options = RuleOptions(num_byzantine=liars, clip_norm=CLIP_NORM, iterations=ITERATIONS)
    return RULES[name].build(options, np.full(DIM, 0.2))


def damage_to(name: str, liars: int) -> Damage:
    match name:
        case "coordinate-median" | "trimmed-mean":
            return outside_the_range
        case "krum" | "multi-krum":
            return beyond_krums_bound
        case "bulyan":
            return beyond_twice_the_range
        case "geometric-median":
            return beyond_the_radius
        case "clipped-mean":
            return beyond_the_clip(built(name, liars), 1)
        case "centered-clipping":
            return beyond_the_clip(built(name, liars), ITERATIONS)
    raise AssertionError(f"no bound is known for {name}: state one")


def first_lies(honest: Matrix, liars: int, rng: np.random.Generator) -> Iterator[Matrix]:
    """Yield known attacks: sign flip, scaling, a little is enough, imitation, noise."""
    mean, spread = honest.mean(axis=0), honest.std(axis=0)
    for strength in (1.0, 10.0, 1e6):
        yield np.tile(-strength * mean, (liars, 1))
        yield rng.normal(scale=strength, size=(liars, DIM))
    for strength in (0.5, 1.0, 1.5, 3.0):
        yield np.tile(mean + strength * spread, (liars, 1))
    yield honest[rng.integers(len(honest), size=liars)]
    yield np.tile(honest[np.argmax(np.abs(honest - mean).sum(axis=1))], (liars, 1))


def worse(lies: Matrix, rng: np.random.Generator) -> Matrix:
    """Return the lies with one, or all of them, moved a little or a lot."""
    changed = lies.copy()
    rows = slice(None) if rng.random() < 0.5 else slice(rng.integers(len(lies)), None)
    changed[rows] += 10.0 ** rng.uniform(-3, 2) * rng.normal(size=DIM)
    return changed


def worst_damage(rule: Rule, damage: Damage, honest: Matrix, liars: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    weights = np.ones(len(honest) + liars)

    def done_by(lies: Matrix) -> float:
        return damage(honest, rule(np.vstack([honest, lies]), weights), liars)

    best = -np.inf
    for start in first_lies(honest, liars, rng):
        lies, score = start, done_by(start)
        for _ in range(25):
            changed = worse(lies, rng)
            changed_score = done_by(changed)
            if changed_score > score:
                lies, score = changed, changed_score
        best = max(best, score)
    return float(best)


def honest_updates(n_honest: int, seed: int) -> Matrix:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_honest, DIM)) * [1.0, 0.1, 3.0] + [0.0, 5.0, -1.0]


@pytest.mark.parametrize("name", [name for name in RULES if name != "mean"])
@pytest.mark.parametrize(("liars", "more"), [(1, 0), (2, 0), (2, 3)])
def test_searching_liars_stay_within_the_proven_bound(name: str, liars: int, more: int) -> None:
    """The search must do real damage: a search that finds nothing proves nothing."""
    needed = RULES[name].sites_needed(liars)
    assert needed is not None
    honest = honest_updates(needed + more - liars, seed=liars + more)
    worst = worst_damage(built(name, liars), damage_to(name, liars), honest, liars, seed=1)
    assert 0.02 < worst <= 1 + 1e-9


def test_searching_liars_stay_within_the_bound_of_mixing() -> None:
    honest = honest_updates(9, seed=5)
    rule = compose(built("coordinate-median", 2), nearest_neighbour_mixing(2))
    assert 0.01 < worst_damage(rule, beyond_mixings_bound, honest, 2, seed=1) <= 1


def test_the_mean_has_no_bound() -> None:
    honest = honest_updates(20, seed=6)
    mean = RULES["mean"].build(RuleOptions(), None)
    assert worst_damage(mean, beyond_twice_the_range, honest, 1, seed=1) > 1000


@pytest.mark.parametrize("name", ["coordinate-median", "trimmed-mean", "geometric-median"])
def test_one_liar_more_than_promised_breaks_the_rule(name: str) -> None:
    """The number of sites needed is not merely enough: it is the smallest."""
    honest = honest_updates(2, seed=7)
    assert worst_damage(built(name, 2), beyond_twice_the_range, honest, 3, seed=1) > 1000
