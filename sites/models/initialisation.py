"""Parameter initialisation and model shapes, without importing torch."""

import hashlib
import math
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Field, Layout, Vector
from sites.plans import ModelPlan
from sites.schema.tables import ClassLabel, NumberLabel, Outcome
from sites.schema.texts import MultiLabel

SCHEME = "fan-in-uniform/1"


def layout_of(fields: Iterable[Field], *, seed: int) -> Layout:
    """Return the layout of these parameters; vectors are differences from `initial_vector`."""
    return Layout(fields=tuple(fields), start=f"{SCHEME} seed={seed}")


def initial_vector(layout: Layout, *, seed: int) -> Vector:
    """Return the initial values of new parameters, shape (dim,), float32 numbers.

    Arrays with two or more axes are uniform within +-1 / sqrt(fan-in), where the fan-in is the
    product of all axes but the first; others are zero.

    Guarantee: the same bytes on every machine. An array depends only on the seed, its own name
    and its shape.
    """
    return layout.flatten(
        {item.name: initial_array(item, seed).astype(np.float32) for item in layout.fields}
    )


def initial_array(field: Field, seed: int) -> NDArray[np.float64]:
    """Return the initial value of one new parameter, as in `initial_vector`."""
    if len(field.shape) < 2:
        return np.zeros(field.shape)
    # A stream of its own for each name: adding a parameter does not change the others.
    words = np.frombuffer(hashlib.sha256(field.name.encode()).digest(), "<u4")
    rng = np.random.default_rng(
        np.random.SeedSequence(seed, spawn_key=tuple(int(word) for word in words))
    )
    bound = 1 / math.sqrt(math.prod(field.shape[1:]))
    return (2 * rng.random(field.shape) - 1) * bound


Predicted: TypeAlias = Outcome | MultiLabel


def n_outputs(label: Predicted) -> int:
    """Return the number of a model's outputs.

    One for a number or two classes, one per class for more classes, one per label for several
    labels.
    """
    match label:
        case MultiLabel(labels=names):
            return len(names)
        case ClassLabel(binary=True) | NumberLabel():
            return 1
        case ClassLabel(classes=classes):
            return len(classes)


def model_fields(plan: ModelPlan, *, n_inputs: int, n_outputs: int) -> tuple[Field, ...]:
    """Return names and shapes of the parameters that `sites.models.tabular.model_for` has."""
    match plan.name:
        case "logistic" | "linear":
            return _layer("output", n_inputs, n_outputs)
        case "mlp":
            hidden = plan.hidden_units
            return (*_layer("hidden", n_inputs, hidden), *_layer("output", hidden, n_outputs))


def _layer(name: str, n_inputs: int, n_outputs: int) -> tuple[Field, Field]:
    return Field(f"{name}.weight", (n_outputs, n_inputs)), Field(f"{name}.bias", (n_outputs,))
