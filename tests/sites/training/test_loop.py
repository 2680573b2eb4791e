import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from sites.plans import EmptySite, TrainingPlan
from sites.training.loop import Records, TrainingDiverged, batches_by_size, train

PLANS = [
    TrainingPlan(learning_rate=0.1, batch_size=4),
    TrainingPlan(learning_rate=0.1, batch_size=4, momentum=0.9, weight_decay=0.1),
    TrainingPlan(learning_rate=0.1, batch_size=4, optimizer="adam"),
    TrainingPlan(learning_rate=0.1, batch_size=4, class_balance="resample", local_epochs=3),
]


class Point(nn.Module):
    """Two parameters; the loss of a record is half their squared distance from it."""

    def __init__(self, at: tuple[float, float]) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor(at))


def records(n: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(n).normal(size=(n, 2)).astype(np.float32))


def distance(model: Point, points: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda rows: (model.place - points[rows]).square().sum(dim=1) / 2


def one_person(values: Tensor | NDArray[np.int64]) -> NDArray[np.str_]:
    """One person for all records: no plan here uses persons."""
    return np.zeros(len(values), "U1")


def trained_place(
    plan: TrainingPlan,
    *,
    points: Tensor,
    at: tuple[float, float] = (3.0, -2.0),
    classes: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    model = Point(at)
    codes = np.zeros(len(points), np.int64) if classes is None else classes
    known = Records(codes, one_person(points))
    train(model, distance(model, points), known, plan, rng=np.random.default_rng(seed))
    return model.place.detach().numpy()


def rows_by_step(plan: TrainingPlan, classes: NDArray[np.int64]) -> list[list[int]]:
    """Return the records of every step."""
    model, steps = Point((0.0, 0.0)), []

    def losses(rows: Tensor) -> Tensor:
        steps.append(rows.tolist())
        return model.place.sum() * torch.zeros(len(rows))

    known = Records(classes, one_person(classes))
    taken = train(model, losses, known, plan, rng=np.random.default_rng(0))
    assert taken == len(steps)
    return steps


@given(n=st.integers(1, 20), size=st.integers(1, 25), epochs=st.integers(1, 3))
def test_every_record_is_used_once_a_pass_and_the_last_batch_is_kept(
    n: int, size: int, epochs: int
) -> None:
    steps = rows_by_step(TrainingPlan(batch_size=size, local_epochs=epochs), np.zeros(n, np.int64))
    assert len(steps) == epochs * -(-n // size)
    assert max(map(len, steps)) <= size
    rows = list(chain.from_iterable(steps))
    for epoch in range(epochs):
        assert sorted(rows[epoch * n : (epoch + 1) * n]) == list(range(n))


@given(
    n=st.integers(1, 20),
    size=st.integers(1, 25),
    epochs=st.integers(1, 3),
    floor=st.integers(0, 40),
    balance=st.sampled_from(["none", "resample"]),
)
def test_passes_are_repeated_until_there_are_as_many_steps_as_the_floor_says(
    n: int, size: int, epochs: int, floor: int, balance: Literal["none", "resample"]
) -> None:
    """Up to there a floor changes nothing; beyond, every record has its turn in each pass."""
    passes = TrainingPlan(batch_size=size, local_epochs=epochs, class_balance=balance)
    classes = np.arange(n) % 2
    without, steps = (
        rows_by_step(replace(passes, min_local_steps=one), classes) for one in (0, floor)
    )
    assert len(without) == epochs * math.ceil(n / size)
    assert len(steps) == max(floor, len(without))
    assert steps[: len(without)] == without
    if balance == "none":
        times = Counter(chain.from_iterable(steps))
        assert max(times.values()) - min(times[row] for row in range(n)) <= 1


@given(n=st.integers(1, 20), size=st.integers(1, 25), epochs=st.integers(1, 3))
def test_without_a_floor_a_round_is_that_of_version_0_1_0(n: int, size: int, epochs: int) -> None:
    """It drew an order for each pass and cut it into batches: the same draws, the same rows."""
    rng = np.random.default_rng(0)
    drawn = [torch.split(torch.from_numpy(rng.permutation(n)), size) for _ in range(epochs)]
    plan = TrainingPlan(batch_size=size, local_epochs=epochs)
    expected = [rows.tolist() for rows in chain.from_iterable(drawn)]
    assert rows_by_step(plan, np.zeros(n, np.int64)) == expected


@pytest.mark.parametrize("plan", PLANS)
def test_a_floor_below_the_steps_of_the_passes_leaves_the_same_bytes(plan: TrainingPlan) -> None:
    points = records(10)
    least = plan.local_steps(10)
    assert (
        trained_place(replace(plan, min_local_steps=least), points=points).tobytes()
        == trained_place(plan, points=points).tobytes()
        != trained_place(replace(plan, min_local_steps=least + 1), points=points).tobytes()
    )


def test_each_pass_draws_a_new_order() -> None:
    first, second = rows_by_step(
        TrainingPlan(batch_size=50, local_epochs=2), np.zeros(50, np.int64)
    )
    assert first != second


def test_resampling_draws_classes_equally_often() -> None:
    """900 records of one class and 100 of the other; 20,000 draws, so 4 deviations are 0.014."""
    classes = np.repeat([0, 1], [900, 100])
    plan = TrainingPlan(class_balance="resample", local_epochs=20)
    rows = np.array(list(chain.from_iterable(rows_by_step(plan, classes))))
    assert len(rows) == 20_000
    assert abs(classes[rows].mean() - 0.5) < 0.015
    assert len(set(rows[classes[rows] == 1])) == 100


def test_resampling_works_at_a_site_with_one_class() -> None:
    (rows,) = rows_by_step(TrainingPlan(class_balance="resample"), np.full(50, 3))
    assert len(rows) == 50
    assert set(rows) <= set(range(50))


@pytest.mark.parametrize("plan", PLANS)
def test_same_arguments_same_bytes(plan: TrainingPlan) -> None:
    points = records(10)
    first, second = (trained_place(plan, points=points, seed=5).tobytes() for _ in range(2))
    assert first == second
    assert trained_place(plan, points=points, seed=6).tobytes() != first


def test_the_result_does_not_depend_on_torchs_global_generator() -> None:
    points = records(10)
    torch.manual_seed(1)
    first = trained_place(PLANS[0], points=points)
    torch.manual_seed(2)
    np.testing.assert_array_equal(trained_place(PLANS[0], points=points), first)


@given(rate=st.floats(0.01, 0.9), decay=st.floats(0, 0.5))
def test_a_step_follows_the_mean_gradient_downhill(rate: float, decay: float) -> None:
    points = records(8)
    plan = TrainingPlan(learning_rate=rate, weight_decay=decay)
    at = np.array([3.0, -2.0])
    gradient = at - points.numpy().mean(axis=0) + decay * at
    np.testing.assert_allclose(trained_place(plan, points=points), at - rate * gradient, atol=1e-5)


@pytest.mark.parametrize("plan", PLANS)
def test_a_vanishing_proximal_term_changes_nothing(plan: TrainingPlan) -> None:
    points = records(10)
    np.testing.assert_array_equal(
        trained_place(replace(plan, proximal_mu=1e-30), points=points),
        trained_place(replace(plan, proximal_mu=0.0), points=points),
    )


@pytest.mark.parametrize("plan", PLANS)
def test_a_huge_proximal_term_keeps_the_received_state(plan: TrainingPlan) -> None:
    held = trained_place(replace(plan, proximal_mu=1e12), points=records(10))
    np.testing.assert_allclose(held, [3, -2], atol=1e-6)


@settings(max_examples=20)
@given(mu=st.floats(0, 1e6))
def test_a_proximal_term_never_moves_the_model_further(mu: float) -> None:
    """Also where a gradient step on the term would diverge, with learning_rate * mu above 2."""
    points = records(10)
    received = np.array([3.0, -2.0])
    free = trained_place(PLANS[0], points=points) - received
    held = trained_place(replace(PLANS[0], proximal_mu=mu), points=points) - received
    assert np.linalg.norm(held) <= np.linalg.norm(free) + 1e-5


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("mu", [0.5, 3.0])
def test_training_converges_to_the_minimum_of_loss_plus_proximal_term(
    momentum: float, mu: float
) -> None:
    """The minimum of the mean of |w - x|^2 / 2 + mu / 2 |w - received|^2."""
    points = records(8)
    plan = TrainingPlan(
        learning_rate=0.02, momentum=momentum, proximal_mu=mu, local_epochs=1_000, batch_size=8
    )
    mean = points.numpy().mean(axis=0)
    expected = (mean + mu * np.array([3.0, -2.0])) / (1 + mu)
    np.testing.assert_allclose(trained_place(plan, points=points), expected, atol=1e-4)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("proximal_mu", [0.0, 0.5])
def test_what_is_pruned_stays_as_it_was_received(plan: TrainingPlan, proximal_mu: float) -> None:
    """Whatever optimizer, momentum or decay; the other number goes its way."""
    kept = np.packbits(np.array([0, 1], np.uint8)).tobytes()
    chosen = replace(plan, kept=kept, proximal_mu=proximal_mu)
    first, second = trained_place(chosen, points=records(10))
    free = trained_place(replace(plan, proximal_mu=proximal_mu), points=records(10))
    assert first == 3.0
    # In this loss the two do not meet, so that what is kept moves as if nothing was pruned.
    assert second == free[1] != -2.0


def test_a_site_without_records_is_refused() -> None:
    with pytest.raises(EmptySite, match="no training records"):
        trained_place(PLANS[0], points=records(0))


def test_divergence_is_an_error_that_counts_steps() -> None:
    plan = TrainingPlan(learning_rate=1e6, local_epochs=100, batch_size=5)
    with pytest.raises(TrainingDiverged, match="lower the learning rate") as refusal:
        trained_place(plan, points=records(10))
    assert 0 < refusal.value.counts["steps"] < 200


@given(st.integers(1, 300), st.integers(1, 20), st.integers(0, 99))
def test_batches_by_size_hold_every_record_once(n: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 50, n)
    batches = batches_by_size(rng.permutation(n), sizes, size)
    assert sorted(np.concatenate(batches).tolist()) == list(range(n))
    assert all(len(batch) <= size for batch in batches)
    if n <= 32 * size:
        assert np.concatenate([sizes[batch] for batch in batches]).tolist() == sorted(sizes)
