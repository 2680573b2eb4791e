from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sites.models.tabular import model_for
from sites.plans import ModelPlan
from sites.schema.tables import ClassLabel, NumberLabel, Outcome
from sites.training.privacy_units import Units
from sites.training.recorded_passes import RecordedPasses
from sites.training.table_losses import TableLosses
from tests.sites.private_models import Case, clipped_sum, gradients_by_person

N, N_INPUTS = 24, 5
LABELS: dict[str, Outcome] = {
    "binary": ClassLabel(column="y", classes=("no", "yes")),
    "classes": ClassLabel(column="y", classes=("a", "b", "c")),
    "number": NumberLabel(column="y", low=0.0, high=1.0),
}


def losses_of(
    kind: str, model: Literal["linear", "mlp"], *, seed: int, weighted: bool
) -> TableLosses:
    """Return the losses of random records under a random model."""
    generator = torch.Generator().manual_seed(seed)
    n_outputs = 3 if kind == "classes" else 1
    plan = ModelPlan(name=model, hidden_units=7)
    made = model_for(plan, n_inputs=N_INPUTS, n_outputs=n_outputs)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    codes = torch.randint(0, 3 if kind == "classes" else 2, (N,), generator=generator)
    return TableLosses(
        model=made,
        label=LABELS[kind],
        inputs=torch.randn(N, N_INPUTS, generator=generator),
        wanted=codes if kind == "classes" else codes.float(),
        weights=torch.rand(N, generator=generator) * 3 if weighted else None,
    )


@given(
    kind=st.sampled_from(sorted(LABELS)),
    model=st.sampled_from(["linear", "mlp"]),
    weighted=st.booleans(),
    persons=st.lists(st.integers(0, 9), min_size=N, max_size=N),
    one_each=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_formulas_give_what_autograd_gives(
    kind: str,
    model: Literal["linear", "mlp"],
    weighted: bool,
    persons: list[int],
    one_each: bool,
    seed: int,
) -> None:
    losses = losses_of(kind, model, seed=seed, weighted=weighted)
    whose = np.arange(N) if one_each else np.array(persons)
    units = Units.of_persons(whose, at_most=9, seed=0)
    drawn = units.records_of(np.arange(len(units)))
    recorded = RecordedPasses(losses.model, losses)(drawn)
    for found, expected in zip(losses.passes(drawn), recorded, strict=True):
        assert found.module is expected.module
        torch.testing.assert_close(found.inputs, expected.inputs)
        torch.testing.assert_close(found.deltas, expected.deltas)


@given(
    kind=st.sampled_from(sorted(LABELS)),
    model=st.sampled_from(["linear", "mlp"]),
    weighted=st.booleans(),
    rows=st.lists(st.integers(0, N - 1), min_size=1, max_size=200),
    seed=st.integers(0, 1000),
)
def test_gradients_of_the_mean_loss_are_those_of_autograd_to_the_bit(
    kind: str, model: Literal["linear", "mlp"], weighted: bool, rows: list[int], seed: int
) -> None:
    losses, drawn = losses_of(kind, model, seed=seed, weighted=weighted), torch.tensor(rows)
    parameters = list(losses.model.parameters())
    expected = losses(drawn).mean()
    wanted = torch.autograd.grad(expected, parameters)
    found = losses.set_gradients(drawn)
    assert found.item() == expected.item()
    assert not found.requires_grad
    for parameter, gradient in zip(parameters, wanted, strict=True):
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("model", ["linear", "mlp"])
@pytest.mark.parametrize("most", [1, 3])
def test_the_clipped_sum_equals_that_of_persons_clipped_one_by_one(
    kind: str, model: Literal["linear", "mlp"], most: int
) -> None:
    losses = losses_of(kind, model, seed=most, weighted=True)
    units = Units.of_persons(np.arange(N) // most, at_most=9, seed=0)
    drawn = units.records_of(np.arange(len(units)))
    each = gradients_by_person(Case(losses.model, losses, N), drawn)  # (n_units, dim)
    for clip_norm in (float(each.norm(dim=1).median()), 1e-2):
        bound = clip_norm * (1 - 2.0**-10)
        factors = (bound / each.norm(dim=1)).clamp(max=1.0)
        found = clipped_sum(
            Case(losses.model, losses, N), drawn, clip_norm=clip_norm, passes=losses.passes
        )
        expected = (each * factors[:, None]).sum(0)
        # The reference itself is float32
        assert (found - expected).norm() <= 1e-6 * each.norm(dim=1).clamp(max=clip_norm).sum()
