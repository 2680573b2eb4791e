"""Between a model's parameters and the federated vector."""

import hashlib
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from privacy.layout import Field, Layout, Vector

SCHEME = "fan-in-uniform/1"


def layout_of(model: nn.Module, *, seed: int) -> Layout:
    """Return the layout of the model's trainable parameters, measured from `start_of`.

    Names and shapes come from the model; their values do not matter.
    """
    fields = (Field(name, tuple(item.shape)) for name, item in _trainable(model).items())
    return Layout(fields=tuple(fields), start=f"{SCHEME} seed={seed}")


def start_of(layout: Layout, *, seed: int) -> Vector:
    """Draw where new parameters start, shape (dim,), float32 numbers.

    Arrays with two or more sides are uniform within 1 / sqrt(fan-in), the fan-in being the
    product of all sides but the first; others are zero.

    Guarantee: the same bytes on every machine; an array depends on the seed, its own name and
    its shape only.
    """
    return layout.flatten(
        {item.name: drawn(item, seed).astype(np.float32) for item in layout.fields}
    )


def put(numbers: Vector, model: nn.Module, layout: Layout) -> None:
    """Set the model's trainable parameters to these numbers, rounded to float32.

    Raises:
        LayoutMismatch: They do not have shape (dim,).
    """
    arrays = layout.unflatten(numbers)
    with torch.no_grad():
        for name, parameter in _trainable(model).items():
            parameter.copy_(torch.from_numpy(arrays[name]))


def taken(model: nn.Module, layout: Layout) -> Vector:
    """Return the model's trainable parameters, shape (dim,), float32 numbers.

    Raises:
        LayoutMismatch: The model has other parameters.
    """
    return layout.flatten(
        {name: item.detach().cpu().numpy() for name, item in _trainable(model).items()}
    )


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: item for name, item in model.named_parameters() if item.requires_grad}


def drawn(field: Field, seed: int) -> NDArray[np.float64]:
    """Draw where one new parameter starts, as `start_of` does all of them."""
    if len(field.shape) < 2:
        return np.zeros(field.shape)
    words = np.frombuffer(hashlib.sha256(field.name.encode()).digest(), "<u4")
    rng = np.random.default_rng(
        np.random.SeedSequence(seed, spawn_key=tuple(int(word) for word in words))
    )
    bound = 1 / math.sqrt(math.prod(field.shape[1:]))
    return (2 * rng.random(field.shape) - 1) * bound
