import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sites.training.per_layer_gradients import (
    Clippable,
    LayerPass,
    UnclippableModel,
    clippable_layers,
    layer_gradient,
    squared_norm_bounds,
)
from sites.training.privacy_units import Units
from tests.sites.private_models import one_unit_per_record

PERSONS = np.array(["a", "a", "a", "b", "c", "c"])
SHAPES = [
    (nn.Linear(3, 2), (6, 3)),
    (nn.Linear(3, 2, bias=False), (6, 4, 3)),
    (nn.Linear(50, 40), (6, 2, 3, 50)),
    (nn.LayerNorm(3), (6, 4, 3)),
    (nn.LayerNorm(3, bias=False), (6, 3)),
    (nn.Embedding(4, 3), (6, 5)),
    (nn.Embedding(4, 3, padding_idx=1), (6, 5)),
]


def inputs_for(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    if isinstance(layer, nn.Embedding):
        return torch.randint(0, 4, shape, generator=generator)
    return torch.randn(shape, generator=generator)


def zeros(layer: nn.Module) -> dict[Tensor, Tensor]:
    return {item: torch.zeros_like(item, dtype=torch.float64) for item in layer.parameters()}


@pytest.mark.parametrize(("layer", "shape"), SHAPES, ids=str)
@pytest.mark.parametrize("persons", [PERSONS, np.arange(6).astype(str)], ids=["several", "one"])
def test_norm_and_sum_equal_those_of_gradients_computed_one_by_one(
    layer: Clippable, shape: tuple[int, ...], persons: np.ndarray
) -> None:
    units = Units.of_persons(persons, at_most=9, seed=0)
    drawn = units.records_of(np.arange(len(units)))
    inputs = inputs_for(layer, shape)
    outputs = layer(inputs)
    deltas = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(2))
    each = [
        torch.autograd.grad(
            (outputs * deltas)[drawn.owners == unit].sum(), [*layer.parameters()], retain_graph=True
        )
        for unit in range(len(units))
    ]
    with torch.no_grad():
        found = layer_gradient(LayerPass(layer, inputs, deltas), drawn)
        lengths = torch.stack([torch.cat([part.flatten() for part in one]).norm() for one in each])
        torch.testing.assert_close(found.squared_norms.sqrt().float(), lengths)
        assert (squared_norm_bounds(found) >= found.squared_norms).all()
        assert (found.squared_term_sums >= found.squared_norms * (1 - 1e-6)).all()
        factors = torch.rand(len(units), generator=torch.Generator().manual_seed(3))
        sums = zeros(layer)
        found.add_weighted_sums(factors.double()[drawn.owners], sums, unit=0.25)
        for index, parameter in enumerate(layer.parameters()):
            expected = sum(factor * one[index] for factor, one in zip(factors, each, strict=True))
            torch.testing.assert_close(sums[parameter].float() / 4, expected)


@pytest.mark.parametrize(
    ("layer", "frozen"), [(nn.Linear(3, 2), "weight"), (nn.LayerNorm(3), "weight")]
)
def test_a_frozen_parameter_adds_nothing_to_norm_or_sum(
    layer: nn.Linear | nn.LayerNorm, frozen: str
) -> None:
    layer.get_parameter(frozen).requires_grad_(False)
    assert clippable_layers(layer) == (layer,)
    inputs = torch.full((2, 3), 1e6)
    drawn = one_unit_per_record(2).records_of(np.arange(2))
    outputs = layer(inputs)
    deltas = torch.ones_like(outputs)
    found = layer_gradient(LayerPass(layer, inputs, deltas), drawn)
    assert found.squared_norms.tolist() == [outputs.shape[1]] * 2
    sums = zeros(layer)
    found.add_weighted_sums(torch.ones(2).double(), sums, unit=1.0)
    assert {item is layer.bias: bool(part.any()) for item, part in sums.items()} == {
        False: False,
        True: True,
    }


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(2, 2), nn.Linear(2, 2)
        self.other.weight = self.one.weight


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), "mixes the records"),
        (nn.Conv1d(2, 2, 1), "no rule clips"),
        (Tied(), "shares a parameter"),
    ],
)
def test_a_model_whose_gradient_cannot_be_split_by_person_is_refused(
    model: nn.Module, says: str
) -> None:
    with pytest.raises(UnclippableModel, match=says):
        clippable_layers(model)
