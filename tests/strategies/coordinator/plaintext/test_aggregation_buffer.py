import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.layout import Vector
from strategies.coordinator.plaintext.aggregation_buffer import ExactSum, StackedUpdates
from strategies.rules.coordinatewise import coordinate_median
from strategies.rules.inputs import NonFiniteUpdate, Rows, TooFewSites
from strategies.rules.mean import StreamingMean, mean

SEEDS = st.integers(0, 10**6)


@given(n_sites=st.integers(1, 6), dim=st.integers(1, 9), seed=SEEDS)
def test_the_rule_is_given_what_was_added_and_nothing_else(
    n_sites: int, dim: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    updates = rng.normal(size=(n_sites, dim)).astype(np.float32)
    weights = rng.choice([1.0, 2.0, 4.0, 8.0], n_sites)
    given_to: list[tuple[bytes, bytes]] = []

    def rule(rows: Rows, shares: Vector) -> Vector:
        given_to.append((np.asarray(rows[:, :]).tobytes(), shares.tobytes()))
        return mean(rows, shares)

    gathering = StackedUpdates(rule, dim)
    for update, weight in zip(updates, weights, strict=True):
        gathering.add(update, float(weight))
    assert gathering.result().tobytes() == mean(updates, weights).tobytes()
    assert given_to == [(updates.tobytes(), weights.tobytes())]


@given(n_sites=st.integers(1, 6), dim=st.integers(1, 9), seed=SEEDS)
def test_a_stack_and_a_stream_have_the_same_mean_to_the_bit(
    n_sites: int, dim: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    kept, streamed = StackedUpdates(mean, dim), StreamingMean(dim)
    for weight in rng.choice([1.0, 3.0, 150.0], n_sites):
        update = rng.normal(size=dim).astype(np.float32)
        kept.add(update, float(weight))
        streamed.add(update, float(weight))
    assert kept.result().tobytes() == streamed.result().tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_refused_update_leaves_no_trace(value: float, place: int) -> None:
    gathering = StackedUpdates(coordinate_median, 3)
    gathering.add(np.array([1.0, 2.0, 3.0], np.float32), 1.0)
    poisoned = np.ones(3, np.float32)
    poisoned[place] = value
    with pytest.raises(NonFiniteUpdate):
        gathering.add(poisoned, 1.0)
    assert gathering.result().tolist() == [1.0, 2.0, 3.0]


def test_what_was_added_is_not_changed_by_the_rule() -> None:
    update = np.array([3.0, -1.0], np.float32)
    gathering = StackedUpdates(coordinate_median, 2)
    gathering.add(update, 1.0)
    gathering.result()
    assert update.tolist() == [3.0, -1.0]


def test_nothing_added_is_refused_by_the_rule() -> None:
    with pytest.raises(TooFewSites):
        StackedUpdates(mean, 2).result()


@given(tallies=st.lists(st.lists(st.integers(-(2**41), 2**41), min_size=3, max_size=3)))
def test_tallies_add_up_exactly_whatever_their_sites_weigh(tallies: list[list[int]]) -> None:
    total = ExactSum(3)
    for weight, tally in enumerate(tallies):
        total.add(np.array(tally), float(weight))
    assert total.result().tolist() == [sum(row[place] for row in tallies) for place in range(3)]
