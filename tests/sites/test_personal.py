"""What a site trains for itself: which parameters move, and how far."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sites.models.parameters import moved_parameters
from sites.models.tabular import Linear, Perceptron
from sites.personal import PersonalPlan
from sites.plans import BadPlan, PrivacyPlan, TrainingPlan
from sites.training.loop import Records, train

METHODS = ("fine-tune", "ditto", "own-head", "own-norms")
METHOD = st.sampled_from(METHODS)


class WithNorm(nn.Module):
    """A body with a normalisation layer, and a head, named as `transformers` names them."""

    base_model_prefix = "body"

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
        self.head = nn.Linear(4, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return scores, shape (B, 1)."""
        scores: torch.Tensor = self.head(self.body(inputs))
        return scores


def trained(model: nn.Module, plan: TrainingPlan) -> dict[str, float]:
    """Return how far each parameter moved."""
    inputs, wanted = torch.randn(24, 3), torch.ones(24)

    def losses(rows: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = model(inputs[rows])
        return (scores[:, 0] - wanted[rows]) ** 2

    before = {name: item.detach().clone() for name, item in model.named_parameters()}
    records = Records(np.zeros(24, np.int64), np.arange(24).astype(str))
    train(model, losses, records, plan, rng=np.random.default_rng(1))
    return {
        name: float((item.detach() - before[name]).abs().max())
        for name, item in model.named_parameters()
    }


@given(method=METHOD, epochs=st.integers(1, 9), floor=st.integers(0, 50), mu=st.floats(0, 5))
def test_the_plan_is_the_runs_own_without_noise_and_floor(
    method: str, epochs: int, floor: int, mu: float
) -> None:
    privacy = PrivacyPlan(noise_multiplier=1.0, clip_norm=1.0, sampling_rate=0.5, steps=3)
    run = TrainingPlan(min_local_steps=floor, proximal_mu=mu, learning_rate=0.2, privacy=privacy)
    plan = PersonalPlan(method=method, epochs=epochs, pull=0.5).plan(run)  # type: ignore[arg-type]
    assert (plan.privacy, plan.min_local_steps, plan.local_epochs) == (None, 0, epochs)
    assert plan.proximal_mu == (0.5 if method == "ditto" else 0.0)
    assert (plan.learning_rate, plan.batch_size) == (run.learning_rate, run.batch_size)


@pytest.mark.parametrize(
    ("part", "moved"),
    [
        ("all", {"body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias", "head.weight"}),
        ("head", {"head.weight"}),
        ("norms", {"body.1.weight", "body.1.bias"}),
    ],
)
def test_only_the_part_that_is_named_moves(part: str, moved: set[str]) -> None:
    torch.manual_seed(1)
    plan = replace(TrainingPlan(batch_size=8), moved=part)  # type: ignore[arg-type]
    far = trained(WithNorm(), plan)
    assert {name for name, distance in far.items() if distance > 0} - {"head.bias"} == moved
    assert (far["head.bias"] > 0) == (part != "norms")


def test_the_whole_of_a_linear_model_is_its_head() -> None:
    linear, hidden = Linear(3, 1), Perceptron(3, 4, 1)
    assert len(moved_parameters(linear, "head")) == len(moved_parameters(linear, "all")) == 2
    assert len(moved_parameters(hidden, "head")) == 2
    assert len(moved_parameters(hidden, "all")) == 4


def test_a_model_of_a_table_has_no_norms() -> None:
    with pytest.raises(BadPlan, match="no norms"):
        moved_parameters(Perceptron(3, 4, 1), "norms")


def test_parameters_that_are_not_trained_do_not_move() -> None:
    model = WithNorm()
    for item in model.body.parameters():
        item.requires_grad = False
    assert moved_parameters(model, "all") == [*model.head.parameters()]


@given(pull=st.sampled_from([0.1, 1.0, 10.0, 1e3]))
def test_the_more_it_is_pulled_the_nearer_it_stays(pull: float) -> None:
    def moved(strength: float) -> float:
        torch.manual_seed(1)
        plan = PersonalPlan(method="ditto", pull=strength).plan(TrainingPlan(batch_size=8))
        return max(trained(WithNorm(), plan).values())

    assert moved(100 * pull) < moved(pull)
    assert moved(1e6) < 1e-5
