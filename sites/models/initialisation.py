"""Where new parameters start, before any library of learning is loaded."""

import hashlib
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Field, Layout, Vector

SCHEME = "fan-in-uniform/1"


def layout_of(fields: Iterable[Field], *, seed: int) -> Layout:
    """Return the layout of parameters of these names and shapes, measured from `start_of`."""
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
