import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from privacy.differential import noise as module
from privacy.differential.noise import gaussian_parts
from sites.plans import BadPlan, PrivacyPlan, TrainingPlan
from sites.training.dp_sgd import grid_step, private_gradients
from sites.training.loop import Records, train
from sites.training.per_person_clipping import SLACK
from sites.training.privacy_units import Units, units_of
from sites.training.recorded_passes import RecordedPasses
from tests.sites.private_models import Case, case, clipped_sum, flatten

PERSONS = np.repeat(np.arange(10), 3).astype(str)
PLAN = PrivacyPlan(noise_multiplier=1.0, clip_norm=0.5, sampling_rate=0.5, steps=3)


@pytest.fixture
def no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the noise by zeros, to see the sums alone."""
    monkeypatch.setattr(module, "grid_gaussian", lambda n, *, deviation: np.zeros(n))


def steps_of(
    given_case: Case, plan: PrivacyPlan, persons: NDArray[Any] = PERSONS
) -> list[NDArray[np.float64]]:
    found = []
    passes = RecordedPasses(given_case.model, given_case.losses)
    for _ in private_gradients(given_case.model, passes, units_of(persons, plan), plan):
        parts = [item.grad for item in given_case.model.parameters() if item.grad is not None]
        found.append(flatten(parts).numpy())
    return found


@pytest.mark.usefixtures("no_noise")
@pytest.mark.parametrize("rows_at_once", [1, 7, 1024])
@pytest.mark.parametrize("model", ["logistic", "mlp", "reader"])
def test_the_sum_is_divided_by_the_expected_number_however_it_is_computed(
    model: str, rows_at_once: int
) -> None:
    given_case = case(model)
    everyone = replace(PLAN, sampling_rate=1.0, rows_at_once=rows_at_once, steps=1)
    found = steps_of(given_case, everyone)[0]
    units = Units.of_persons(PERSONS, at_most=16, seed=0)
    expected = clipped_sum(given_case, units.records_of(np.arange(10)), clip_norm=0.5) / 10
    np.testing.assert_allclose(found, expected.numpy(), atol=0.5 * SLACK / 10)
    assert np.linalg.norm(found) <= 0.5


@pytest.mark.usefixtures("no_noise")
def test_an_empty_sample_needs_no_forward_pass() -> None:
    def never(rows: Tensor) -> Tensor:
        raise AssertionError(rows)

    plan = replace(PLAN, sampling_rate=1e-15)
    silent = steps_of(Case(case("mlp").model, never, 30), plan)
    assert len(silent) == 3
    assert not np.concatenate(silent).any()


@pytest.mark.parametrize("rate", [1e-15, 0.5])
def test_every_step_has_the_stated_noise_even_for_an_empty_sample(rate: float) -> None:
    given_case = case("mlp")
    size = sum(item.numel() for item in given_case.model.parameters())
    plan = replace(PLAN, sampling_rate=rate, steps=400, noise_multiplier=300.0)
    noise = np.concatenate(steps_of(given_case, plan)) * (rate * 10)
    assert noise.std() == pytest.approx(300 * 0.5, rel=6 / (2 * 400 * size) ** 0.5 + 1e-3)
    assert abs(noise.mean()) < 6 * 150 / (400 * size) ** 0.5


def test_noise_and_draws_do_not_depend_on_the_seed_of_the_run() -> None:
    plan = TrainingPlan(privacy=PLAN)
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        given_case = case("mlp")
        records = Records(np.zeros(30, np.int64), PERSONS)
        rng = np.random.default_rng(0)
        assert train(given_case.model, given_case.losses, records, plan, rng=rng) == 3
        found.append(flatten([item.detach() for item in given_case.model.parameters()]))
    assert not torch.equal(*found)
    assert (found[0] - found[1]).norm() > 1e-3


def test_sum_and_noise_are_whole_numbers_of_grid_steps() -> None:
    given_case = case("mlp")
    grid = grid_step(list(given_case.model.parameters()), 0.5)
    found = steps_of(given_case, replace(PLAN, sampling_rate=1.0, steps=1))[0] * 10 / grid
    np.testing.assert_allclose(found, np.rint(found), rtol=1e-6)  # the gradient is float32


@pytest.mark.parametrize("model", ["logistic", "mlp", "reader"])
def test_rounding_to_the_grid_stays_within_its_share_of_the_slack(model: str) -> None:
    parameters = list(case(model).model.parameters())
    dim = sum(item.numel() for item in parameters)
    assert grid_step(parameters, 3.0) * dim**0.5 <= 3.0 * SLACK / 2
    assert grid_step(parameters, 3.0) * dim**0.5 > 3.0 * SLACK / 8


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_with_little_noise_private_training_learns_as_well_as_plain_training(
    optimizer: str,
) -> None:
    losses = []
    quiet = PrivacyPlan(noise_multiplier=0.01, clip_norm=1.0, sampling_rate=0.9, steps=60)
    for privacy in (None, quiet):
        given_case = case("linear", n=30)
        plan = TrainingPlan(
            local_epochs=60,
            learning_rate=0.1,
            optimizer=optimizer,  # type: ignore[arg-type]
            privacy=privacy,
        )
        records = Records(np.zeros(30, np.int64), np.arange(30).astype(str))
        train(given_case.model, given_case.losses, records, plan, rng=np.random.default_rng(0))
        losses.append(given_case.losses(torch.arange(30)).mean().item())
    assert losses[1] < 1.3 * losses[0] + 0.05


@pytest.mark.parametrize("floor", [0, 1, 50])
def test_a_floor_of_steps_adds_no_private_step(floor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step costs: only those that the privacy plan says, and a site reserved, are taken."""
    drawn: list[int] = []

    def noise(n: int, *, deviation: float) -> NDArray[np.float64]:
        drawn.append(n)
        return np.zeros(n)

    monkeypatch.setattr(module, "grid_gaussian", noise)
    given_case, plan = case("linear"), TrainingPlan(min_local_steps=floor, privacy=PLAN)
    records = Records(np.zeros(30, np.int64), PERSONS)
    taken = train(given_case.model, given_case.losses, records, plan, rng=np.random.default_rng(0))
    assert taken == plan.local_steps(30) == PLAN.steps
    assert sum(drawn) == PLAN.steps * sum(item.numel() for item in given_case.model.parameters())


def test_a_plan_with_privacy_cannot_resample_classes() -> None:
    with pytest.raises(BadPlan, match="class_balance"):
        TrainingPlan(privacy=PLAN, class_balance="resample")


def epsilon_of_arithmetic(dim: int, *, noise: float, steps: int) -> float:
    """Return what float64 may add to epsilon over a run, with a probability of 1 - 1e-11.

    Each probability is off by a relative error of at most `eta`, each number's by itself. By
    Hoeffding, the errors of a step's numbers then add up to their root and not to their number;
    what a person moves adds `1 / noise` of it, by the total variation of two shifted Gaussians.
    """
    parameters = [nn.Parameter(torch.empty(dim, device="meta"))]
    deviation = noise / grid_step(parameters, 1.0)
    eta = sum(11 * part * 2.0**-49 for _, part in gaussian_parts(deviation))
    spread = math.sqrt(8 * math.log(2 * steps / 1e-12))
    return steps * (eta * math.sqrt(dim) * (spread + 1 / noise) + 3 * dim * eta**2)


@pytest.mark.parametrize(
    ("dim", "bound"), [(1_000, 1e-5), (22_700_000, 0.0015), (110_000_000, 0.004)]
)
@pytest.mark.parametrize("noise", [0.5, 1.0, 4.0])
def test_what_floats_add_to_epsilon_is_small_for_large_models_too(
    dim: int, bound: float, noise: float
) -> None:
    """As docs/privacy.md says, over 400 steps: tables, MiniLM, and BERT with 110 M parameters."""
    assert epsilon_of_arithmetic(dim, noise=noise, steps=400) <= bound


def test_noise_drawn_in_one_part_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "gaussian_parts", lambda deviation: [(1.0, deviation)])
    assert epsilon_of_arithmetic(110_000_000, noise=1.0, steps=400) > 10
