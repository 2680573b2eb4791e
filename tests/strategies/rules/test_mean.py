import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.layout import Matrix, Vector
from strategies.rules.inputs import (
    WIDTH,
    NonFiniteUpdate,
    TooFewSites,
    UpdatesRefused,
    WeightsRefused,
)
from strategies.rules.mean import StreamingMean, mean


def streamed(updates: Matrix, weights: Vector) -> Vector:
    gathering = StreamingMean(updates.shape[1])
    for update, weight in zip(updates, weights, strict=True):
        gathering.add(update, weight)
    return gathering.result()


def test_a_worked_example() -> None:
    updates = np.array([[1.0, 0.0], [4.0, 8.0]])
    assert mean(updates, np.array([3.0, 1.0])).tolist() == [1.75, 2.0]


@given(
    n_sites=st.integers(1, 6),
    dim=st.sampled_from([1, 7, WIDTH - 1, WIDTH, WIDTH + 1]),
    dtype=st.sampled_from(["f8", "f4", "f2", ">f4", "i4", "u1"]),
    seed=st.integers(0, 99),
)
def test_streaming_gives_the_same_bits(n_sites: int, dim: int, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    updates = (10 * rng.random((n_sites, dim))).astype(dtype)
    weights = rng.random(n_sites) + 0.1
    assert np.array_equal(streamed(updates, weights), mean(updates, weights))


def test_the_order_of_float32_updates_does_not_matter_to_the_last_bit() -> None:
    """Sums of similar float32 values in float64 are exact, with the weight classes 1, 2, 4, 8."""
    rng = np.random.default_rng(1)
    updates = rng.uniform(0.5, 1.0, (64, 1000)).astype(np.float32)
    weights = rng.choice([1.0, 2.0, 4.0, 8.0], 64)
    order = rng.permutation(64)
    assert np.array_equal(mean(updates[order], weights[order]), mean(updates, weights))


def test_the_oracle_is_numpys_average() -> None:
    rng = np.random.default_rng(2)
    updates, weights = rng.normal(size=(9, 100)), rng.random(9)
    expected = np.average(updates, axis=0, weights=weights)
    np.testing.assert_allclose(mean(updates, weights), expected, rtol=1e-13, atol=1e-15)


def test_memory_does_not_grow_with_the_number_of_sites() -> None:
    update = np.ones(1_000_000, np.float32)
    gathering = StreamingMean(update.size)
    tracemalloc.start()
    for _ in range(20):
        gathering.add(update, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < update.nbytes / 10


def test_a_refused_update_changes_nothing() -> None:
    gathering = StreamingMean(WIDTH + 1)
    gathering.add(np.ones(WIDTH + 1), 2.0)
    bad = np.full(WIDTH + 1, 5.0)
    bad[-1] = np.nan  # in the last block, after a good one
    with pytest.raises(NonFiniteUpdate):
        gathering.add(bad, 1.0)
    with pytest.raises(WeightsRefused):
        gathering.add(np.ones(WIDTH + 1), np.nan)
    assert np.array_equal(gathering.result(), np.ones(WIDTH + 1))


def test_an_update_of_shape_one_is_not_broadcast() -> None:
    with pytest.raises(UpdatesRefused, match=r"\(3,\), got \(1,\)"):
        StreamingMean(3).add(np.ones(1), 1.0)


def test_nobody_answered_is_not_a_zero_model() -> None:
    with pytest.raises(TooFewSites, match="got 0"):
        StreamingMean(3).result()


def test_huge_values_and_weights_do_not_overflow() -> None:
    largest = float(np.finfo(np.float32).max)
    updates = np.full((3, 2), largest)
    assert np.array_equal(mean(updates, np.full(3, largest)), updates[0])
