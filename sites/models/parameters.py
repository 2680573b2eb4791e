"""Conversion between a model's trainable parameters and the federated vector.

It is the only place that knows the order of parameters in the vector: that of the model. It is a
module of its own because the models of tables and of texts both use it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from privacy.layout import Layout, Vector
from sites.plans import BadPlan, MovedPart


def set_parameters(numbers: Vector, model: nn.Module, layout: Layout) -> None:
    """Set the model's trainable parameters to these numbers, rounded to float32.

    Raises:
        LayoutMismatch: The numbers do not have shape (dim,).
    """
    arrays = layout.unflatten(numbers)
    with torch.no_grad():
        for name, parameter in _trainable(model).items():
            parameter.copy_(torch.from_numpy(arrays[name]))


def parameter_vector(model: nn.Module, layout: Layout) -> Vector:
    """Return the model's trainable parameters, shape (dim,), float32 numbers.

    Raises:
        LayoutMismatch: The model has other parameters.
    """
    return layout.flatten(
        {name: item.detach().cpu().numpy() for name, item in _trainable(model).items()}
    )


def moved_parameters(model: nn.Module, part: MovedPart) -> list[nn.Parameter]:
    """Return the trainable parameters of a part of a model, in the model's order.

    The head is all that is not in the body, which a model names by `base_model_prefix`, as those of
    `transformers` do.

    Raises:
        BadPlan: The part has none.
    """
    trainable = _trainable(model)
    if part == "all":
        return [*trainable.values()]
    if part == "head":
        body = f"{model.base_model_prefix}."
        chosen = [item for name, item in trainable.items() if not name.startswith(body)]
    else:
        norms = [
            f"{name}." for name, layer in model.named_modules() if "Norm" in type(layer).__name__
        ]
        chosen = [item for name, item in trainable.items() if name.startswith((*norms,))]
    if not chosen:
        raise BadPlan(f"this model has no {part} among the parameters that are trained")
    return chosen


def pruned_numbers(parameters: Sequence[nn.Parameter], kept: bytes) -> list[Tensor]:
    """Return for each parameter which of its numbers do not move; none if nothing is pruned.

    Args:
        parameters: All that are trained, in the model's order.
        kept: Which numbers of the federated vector move, as `np.packbits` writes it.
    """
    if not kept:
        return []
    sizes = [item.numel() for item in parameters]
    moves = np.unpackbits(np.frombuffer(kept, np.uint8), count=sum(sizes)).astype(bool)
    parts = np.split(~moves, np.cumsum(sizes)[:-1])
    return [
        torch.from_numpy(part).reshape(item.shape)
        for part, item in zip(parts, parameters, strict=True)
    ]


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: item for name, item in model.named_parameters() if item.requires_grad}
