import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from privacy.layout import Field, Layout, LayoutMismatch
from sites.arrays import layout_of, put, start_of, taken


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


LAYOUT = layout_of(model(), seed=7)


@given(seed=st.integers(0, 2**32), scale=st.floats(1e-30, 1e30))
def test_what_is_put_is_taken(seed: int, scale: float) -> None:
    """Parameters are float32(numbers), and every such number comes back unchanged."""
    numbers = np.random.default_rng(seed).normal(size=LAYOUT.dim) * scale
    held = model()
    put(numbers, held, LAYOUT)
    np.testing.assert_array_equal(taken(held, LAYOUT), numbers.astype(np.float32))


def test_the_vector_follows_the_models_own_order() -> None:
    held = model()
    put(np.arange(LAYOUT.dim, dtype=np.float64), held, LAYOUT)
    assert [item.name for item in LAYOUT.fields] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    parameters = dict(held.named_parameters())
    assert parameters["0.weight"][0].tolist() == [0, 1, 2]
    assert parameters["2.bias"].tolist() == [24, 25]


def test_the_layout_does_not_depend_on_values() -> None:
    assert layout_of(model(), seed=7) == LAYOUT
    assert layout_of(model(), seed=8).digest != LAYOUT.digest


def test_frozen_parameters_do_not_travel() -> None:
    frozen = model()
    first = frozen.get_parameter("0.weight")
    for name in ("0.weight", "0.bias"):
        frozen.get_parameter(name).requires_grad = False
    layout = layout_of(frozen, seed=7)
    assert [item.name for item in layout.fields] == ["2.weight", "2.bias"]
    before = first.clone()
    put(np.ones(layout.dim), frozen, layout)
    assert torch.equal(first, before)
    with pytest.raises(LayoutMismatch):
        taken(model(), layout)


def test_a_vector_of_another_size_is_refused() -> None:
    with pytest.raises(LayoutMismatch):
        put(np.zeros(LAYOUT.dim + 1), model(), LAYOUT)


def test_the_start_has_the_same_bytes_on_every_machine() -> None:
    digest = hashlib.sha256(start_of(LAYOUT, seed=7).astype("<f4").tobytes()).hexdigest()
    assert digest == "51c69094b70aa657ea3dc66452300741fac128b42aeadc7071db46ea825022cc"


@given(seed=st.integers(0, 2**32))
def test_weights_start_within_their_fan_in_and_biases_at_zero(seed: int) -> None:
    arrays = LAYOUT.unflatten(start_of(LAYOUT, seed=seed))
    for name, fan_in in (("0.weight", 3), ("2.weight", 4)):
        assert 0 < np.abs(arrays[name]).max() <= np.float32(fan_in**-0.5)
    assert not arrays["0.bias"].any()


def test_weights_start_uniform() -> None:
    layout = Layout(fields=(Field("weight", (200, 100)),))
    start = start_of(layout, seed=1)
    np.testing.assert_allclose([start.mean(), start.std()], [0, 0.1 / 3**0.5], atol=1e-3)


def test_an_array_starts_alike_in_any_company() -> None:
    """Adding, renaming or moving other arrays does not change where one starts."""
    one, other = Field("one", (2, 3)), Field("other", (2, 3))
    alone = Layout(fields=(one,)).unflatten(start_of(Layout(fields=(one,)), seed=7))
    both = Layout(fields=(other, one)).unflatten(start_of(Layout(fields=(other, one)), seed=7))
    np.testing.assert_array_equal(both["one"], alone["one"])
    assert not np.array_equal(both["other"], both["one"])


def test_another_seed_starts_elsewhere() -> None:
    assert not np.array_equal(start_of(LAYOUT, seed=7), start_of(LAYOUT, seed=8))
