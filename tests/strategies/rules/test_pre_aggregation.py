import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.layout import Matrix, Vector
from strategies.rules.coordinatewise import coordinate_median
from strategies.rules.inputs import (
    NonFiniteUpdate,
    OptionRefused,
    Rows,
    TooFewSites,
    WeightsRefused,
)
from strategies.rules.mean import mean
from strategies.rules.pre_aggregation import (
    Mixed,
    PreStep,
    bucketing,
    compose,
    nearest_neighbour_mixing,
    norm_clipping,
)
from strategies.rules.registry import RULES, RuleOptions

few = settings(max_examples=40)


def updates_of(seed: int, n_sites: int, dim: int = 6) -> Matrix:
    return np.random.default_rng(seed).normal(size=(n_sites, dim))


def read(rows: Rows) -> Matrix:
    return np.asarray(rows[:, :], np.float64)


def literal_mixing(updates: Matrix, num_byzantine: int) -> Matrix:
    mixed = []
    for row in updates:
        near = sorted(updates, key=lambda other: float(((row - other) ** 2).sum()))
        mixed.append(np.mean(near[: len(updates) - num_byzantine], axis=0))
    return np.array(mixed)


@few
@given(seed=st.integers(0, 999), num_byzantine=st.integers(0, 4), more=st.integers(1, 4))
def test_the_oracle_of_mixing_is_the_formula(seed: int, num_byzantine: int, more: int) -> None:
    updates = updates_of(seed, 2 * num_byzantine + more)
    weights = np.full(len(updates), 3.0)
    mixed, passed_on = nearest_neighbour_mixing(num_byzantine)(updates, weights)
    np.testing.assert_allclose(read(mixed), literal_mixing(updates, num_byzantine), atol=1e-13)
    assert passed_on is weights


def test_a_far_liar_is_mixed_into_nobody_else() -> None:
    updates = updates_of(1, 7)
    updates[0] = 1e9
    mixed, _ = nearest_neighbour_mixing(1)(updates, np.ones(7))
    np.testing.assert_allclose(read(mixed)[1:], np.tile(updates[1:].mean(axis=0), (6, 1)))


@few
@given(seed=st.integers(0, 999), n_sites=st.integers(1, 12), bucket_size=st.integers(1, 5))
def test_buckets_are_means_of_all_sites_each_once(
    seed: int, n_sites: int, bucket_size: int
) -> None:
    updates = np.eye(n_sites)
    rng = np.random.default_rng(seed)
    means, weights = bucketing(bucket_size, rng)(updates, np.ones(n_sites))
    members = read(means) > 0
    assert means.shape == (-(-n_sites // bucket_size), n_sites)
    assert np.array_equal(weights, np.ones(len(members)))
    assert np.array_equal(members.sum(axis=0), np.ones(n_sites))
    sizes = members.sum(axis=1)
    assert np.all(sizes[:-1] == bucket_size)
    np.testing.assert_allclose(read(means), members / sizes[:, np.newaxis], rtol=1e-15)


def test_buckets_follow_the_seed_and_change_with_each_use() -> None:
    step, again = (bucketing(2, np.random.default_rng(7)) for _ in range(2))
    draws = [read(step(np.eye(8), np.ones(8))[0]) for _ in range(2)]
    assert np.array_equal(draws[0], read(again(np.eye(8), np.ones(8))[0]))
    assert not np.array_equal(draws[0], draws[1])


def test_clipping_leaves_small_updates_and_weights_alone() -> None:
    updates, weights = np.array([[3.0, 4.0], [0.3, 0.4]]), np.array([1.0, 2.0])
    clipped, passed_on = norm_clipping(1.0)(updates, weights)
    np.testing.assert_allclose(read(clipped), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-15)
    assert passed_on is weights


STEPS = {
    "mixing": nearest_neighbour_mixing(1),
    "bucketing": bucketing(1, np.random.default_rng(1)),
    "clipping": norm_clipping(2.0),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_any_rule_of_lazy_rows_is_the_rule_of_the_same_rows_in_memory(
    name: str, step: PreStep
) -> None:
    updates = updates_of(2, 9, 50)
    rule = RULES[name].build(RuleOptions(num_byzantine=int(name != "mean")), np.zeros(50))
    result = compose(rule, step)(updates, np.ones(9))
    rows, weights = step(updates, np.ones(9))
    np.testing.assert_allclose(result, rule(read(rows), weights), rtol=1e-10, atol=1e-12)


def test_steps_are_taken_from_first_to_last() -> None:
    """Clipped, then mixed, the liar counts like the others; in the other order it does not."""
    updates = np.array([[1.0], [1.0], [1.0], [1e9]])
    first = compose(mean, norm_clipping(1.0), nearest_neighbour_mixing(0))
    then = compose(mean, nearest_neighbour_mixing(0), norm_clipping(1e8))
    assert first(updates, np.ones(4))[0] == pytest.approx(1.0)
    assert then(updates, np.ones(4))[0] == pytest.approx(1e8)


def test_no_step_is_the_rule_itself() -> None:
    updates = updates_of(3, 5)
    expected = coordinate_median(updates, np.ones(5))
    assert np.array_equal(compose(coordinate_median)(updates, np.ones(5)), expected)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_value_that_is_no_number_is_refused_with_its_site(step: PreStep) -> None:
    """Not together with the bucket or the mixture that it would have spoilt."""
    updates = updates_of(4, 5)
    updates[3, 2] = np.nan
    with pytest.raises(NonFiniteUpdate, match=r"rows \[3\]"):
        compose(coordinate_median, step)(updates, np.ones(5))


@pytest.mark.parametrize("step", [STEPS["mixing"], STEPS["bucketing"]])
def test_steps_that_mix_sites_refuse_unequal_weights(step: PreStep) -> None:
    with pytest.raises(WeightsRefused):
        step(updates_of(5, 5), np.arange(1.0, 6.0))


def test_mixing_needs_a_majority_of_honest_sites() -> None:
    with pytest.raises(TooFewSites, match="5 sites, got 4"):
        nearest_neighbour_mixing(2)(updates_of(6, 4), np.ones(4))


def test_buckets_are_too_few_when_the_rule_says_so() -> None:
    rule = RULES["krum"].build(RuleOptions(num_byzantine=1), None)
    composed = compose(rule, bucketing(2, np.random.default_rng(1)))
    assert composed(updates_of(7, 9), np.ones(9)).shape == (6,)
    with pytest.raises(TooFewSites, match="5 sites, got 4"):
        composed(updates_of(7, 8), np.ones(8))


def test_mixing_keeps_no_copy_of_the_updates() -> None:
    updates = updates_of(8, 15, 400_000)
    tracemalloc.start()
    compose(coordinate_median, nearest_neighbour_mixing(2))(updates, np.ones(15))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= updates.nbytes / 2


def test_mixed_rows_are_read_like_an_array() -> None:
    updates = np.arange(12, dtype=np.float32).reshape(3, 4)
    shares: Matrix = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    lazy, full = Mixed(updates, shares), shares @ updates
    assert lazy.shape == full.shape
    assert lazy.dtype == full.dtype
    part: Vector = lazy[1:2, 1:3]
    assert np.array_equal(part, full[1:2, 1:3])


def test_parameters_out_of_range_are_refused_with_the_number() -> None:
    with pytest.raises(OptionRefused, match="bucket_size must be at least 1, got 0"):
        bucketing(0, np.random.default_rng(1))
    with pytest.raises(OptionRefused, match="num_byzantine must be at least 0, got -1"):
        nearest_neighbour_mixing(-1)(updates_of(9, 5), np.ones(5))
