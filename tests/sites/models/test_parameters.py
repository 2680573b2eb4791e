import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from privacy.layout import LayoutMismatch
from sites.models.initialisation import layout_of
from sites.models.parameters import parameter_vector, set_parameters
from tests.sites.models.fields import fields_of


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


LAYOUT = layout_of(fields_of(model()), seed=7)


@given(seed=st.integers(0, 2**32), scale=st.floats(1e-30, 1e30))
def test_parameters_that_are_set_are_read_back(seed: int, scale: float) -> None:
    """Parameters are float32(numbers), and every such number comes back unchanged."""
    numbers = np.random.default_rng(seed).normal(size=LAYOUT.dim) * scale
    held = model()
    set_parameters(numbers, held, LAYOUT)
    np.testing.assert_array_equal(parameter_vector(held, LAYOUT), numbers.astype(np.float32))


def test_the_vector_follows_the_models_own_order() -> None:
    held = model()
    set_parameters(np.arange(LAYOUT.dim, dtype=np.float64), held, LAYOUT)
    assert [item.name for item in LAYOUT.fields] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    parameters = dict(held.named_parameters())
    assert parameters["0.weight"][0].tolist() == [0, 1, 2]
    assert parameters["2.bias"].tolist() == [24, 25]


def test_the_layout_does_not_depend_on_values() -> None:
    assert layout_of(fields_of(model()), seed=7) == LAYOUT
    assert layout_of(fields_of(model()), seed=8).digest != LAYOUT.digest


def test_frozen_parameters_do_not_travel() -> None:
    frozen = model()
    first = frozen.get_parameter("0.weight")
    for name in ("0.weight", "0.bias"):
        frozen.get_parameter(name).requires_grad = False
    layout = layout_of(fields_of(frozen), seed=7)
    assert [item.name for item in layout.fields] == ["2.weight", "2.bias"]
    before = first.clone()
    set_parameters(np.ones(layout.dim), frozen, layout)
    assert torch.equal(first, before)
    with pytest.raises(LayoutMismatch):
        parameter_vector(model(), layout)


def test_a_vector_of_another_size_is_refused() -> None:
    with pytest.raises(LayoutMismatch):
        set_parameters(np.zeros(LAYOUT.dim + 1), model(), LAYOUT)
