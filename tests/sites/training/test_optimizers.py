import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sites.plans import TrainingPlan
from sites.training.optimizers import optimizer_of

SHAPES = ((3, 4), (4,), ())


def parameters(seed: int) -> list[nn.Parameter]:
    """Return a few parameters, each with a gradient."""
    drawn = torch.Generator().manual_seed(seed)
    made = [nn.Parameter(torch.randn(shape, generator=drawn)) for shape in SHAPES]
    for one in made:
        one.grad = torch.randn(one.shape, generator=drawn)
    return made


def torch_optimizer(ours: list[nn.Parameter], plan: TrainingPlan) -> torch.optim.Optimizer:
    """Return PyTorch's own optimizer."""
    if plan.optimizer == "sgd":
        return torch.optim.SGD(
            ours, lr=plan.learning_rate, momentum=plan.momentum, weight_decay=plan.weight_decay
        )
    return torch.optim.Adam(ours, lr=plan.learning_rate, weight_decay=plan.weight_decay)


@given(
    plan=st.builds(
        TrainingPlan,
        optimizer=st.sampled_from(["sgd", "adam"]),
        learning_rate=st.floats(1e-4, 10),
        momentum=st.sampled_from([0.0, 0.5, 0.9]),
        weight_decay=st.sampled_from([0.0, 0.01, 1.0]),
    ),
    seeds=st.lists(st.integers(0, 2**32), min_size=1, max_size=5),
)
@settings(deadline=None, max_examples=50)
def test_steps_equal_those_of_pytorch_to_the_bit(plan: TrainingPlan, seeds: list[int]) -> None:
    ours, theirs = parameters(seeds[0]), parameters(seeds[0])
    steps, wanted = optimizer_of(ours, plan), torch_optimizer(theirs, plan)
    for seed in seeds:
        for both in zip(ours, theirs, parameters(seed), strict=True):
            for one in both[:2]:
                one.grad = both[2].detach().clone()
        steps.step()
        wanted.step()
    assert [one.tolist() for one in ours] == [one.tolist() for one in theirs]


@pytest.mark.parametrize("plan", [TrainingPlan(optimizer="sgd"), TrainingPlan(optimizer="adam")])
def test_a_parameter_without_a_gradient_is_an_error(plan: TrainingPlan) -> None:
    ours = parameters(7)
    ours[1].grad = None
    with pytest.raises(ValueError, match="no gradient"):
        optimizer_of(ours, plan).step()


def test_training_does_not_load_the_compiler() -> None:
    code = (
        "import sys, numpy as np, torch\n"
        "from sites.models.tabular import model_for\n"
        "from sites.plans import ModelPlan, TrainingPlan\n"
        "from sites.training.loop import Records, train\n"
        "model = model_for(ModelPlan(), n_inputs=2, n_outputs=1).requires_grad_(False)\n"
        "[item.zero_().requires_grad_() for item in model.parameters()]\n"
        "losses = lambda rows: model(torch.ones(len(rows), 2)).squeeze(1) ** 2\n"
        "records = Records(classes=np.zeros(8, int), persons=np.array([*'abcdefgh']))\n"
        "for optimizer in ('sgd', 'adam'):\n"
        "    plan = TrainingPlan(optimizer=optimizer, batch_size=4, local_epochs=1)\n"
        "    assert train(model, losses, records, plan, rng=np.random.default_rng(7)) == 2\n"
        "assert not {'torch._dynamo', 'sympy'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
