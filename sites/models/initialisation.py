"""Where new parameters start, before any library of learning is loaded."""

import hashlib
import math
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Field, Layout, Vector
from sites.plans import ModelPlan
from sites.schema.tables import ClassLabel, Label, NumberLabel
from sites.schema.texts import MultiLabel

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


Predicted: TypeAlias = Label | MultiLabel


def n_outputs(label: Predicted) -> int:
    """Return the outputs of a model: one, or one a class where it is not two, or one a label."""
    match label:
        case MultiLabel(labels=names):
            return len(names)
        case ClassLabel(binary=True) | NumberLabel():
            return 1
        case ClassLabel(classes=classes):
            return len(classes)


def model_fields(plan: ModelPlan, *, n_inputs: int, n_outputs: int) -> tuple[Field, ...]:
    """Return names and shapes of the parameters of `sites.models.tabular.model_for`."""
    match plan.name:
        case "logistic" | "linear":
            return _layer("output", n_inputs, n_outputs)
        case "mlp":
            hidden = plan.hidden_units
            return (*_layer("hidden", n_inputs, hidden), *_layer("output", hidden, n_outputs))


def _layer(name: str, n_inputs: int, n_outputs: int) -> tuple[Field, Field]:
    return Field(f"{name}.weight", (n_outputs, n_inputs)), Field(f"{name}.bias", (n_outputs,))
