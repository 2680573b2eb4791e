"""Gradients clipped person by person, and added up: no one person moves the sum by more.

The gradient of a linear layer is a sum of outer products of what went in and what came back, so
the length of a person's gradient follows from both without the gradient itself, and the clipped
sum is one product more (Goodfellow 2015, arXiv:1510.01799; Bu et al. 2022, arXiv:2210.00038). A
person with several records is the sum over them: there is one way for all models and units.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from itertools import chain
from typing import TypeAlias

import torch
from torch import Tensor, nn

from sites.training.per_layer_gradients import (
    Clippable,
    LayerGradient,
    Seen,
    UnclippableModel,
    clippable,
    gradient_of,
    longest,
)
from sites.training.privacy_units import Drawn

Losses: TypeAlias = Callable[[Tensor], Tensor]

SLACK = 2.0**-10  # of the clip norm, for rounding: half of it the arithmetic's, half the grid's


class PersonClipper:
    """Sums the gradients of persons, each clipped as one vector.

    Guarantee: a person's gradient is the mean of those of its records, scaled down to
    `clip_norm * (1 - SLACK)` if it is longer, and nothing if it is not finite; so whatever a
    person's records are, it moves the sum by no more than that in L2, and by no more than
    `clip_norm * (1 - SLACK / 2)` with the rounding of its own gradient. Layers with one input a
    record are computed in float64, sequences in float32; lengths are taken at their upper
    bound, so that rounding never hides one.

    Args:
        model: Trainable parameters in linear, embedding and layer-norm modules only.
        clip_norm: Above 0.

    Raises:
        UnclippableModel: A parameter is elsewhere, or in two modules.
    """

    def __init__(self, model: nn.Module, *, clip_norm: float) -> None:
        self._layers = clippable(model)
        self._clip_to = clip_norm * (1 - SLACK)
        self.parameters = [item for item in model.parameters() if item.requires_grad]

    def sum(self, losses: Losses, drawn: Drawn) -> list[Tensor]:
        """Return the sum over the persons drawn, in the order of `parameters`.

        Args:
            losses: The loss of each of the given records under the model, (B,) -> (B,).
            drawn: At least one person.

        Raises:
            UnclippableModel: A layer does not see the records one by one, or is used twice.
        """
        with self._watched() as seen:
            each = losses(drawn.rows)  # (B,)
        drawn = drawn.on(each.device)
        total = each if drawn.alone else each / drawn.counts[drawn.owners]
        deltas = torch.autograd.grad(total.sum(), [item.edge for item in seen])
        with torch.no_grad():
            gradients, squares = _measured(seen, deltas, drawn)
            factors = self._clip_to / squares.sqrt().clamp(min=self._clip_to)  # (n_units,)
            each = factors if drawn.alone else factors[drawn.owners]  # (B,)
            parts = (item.summed(each) for item in gradients)
            sums = dict(chain.from_iterable(parts))
        return [sums[item] if item in sums else torch.zeros_like(item) for item in self.parameters]

    @contextmanager
    def _watched(self) -> Iterator[list[Seen]]:
        """Note what goes into the trained layers, and where it comes out."""
        seen: list[Seen] = []

        def note(module: Clippable, given: tuple[Tensor, ...], output: Tensor) -> None:
            if any(item.module is module for item in seen):
                raise UnclippableModel(f"a {type(module).__name__} is used twice in a pass")
            edge = torch.autograd.graph.get_gradient_edge(output)
            seen.append(Seen(module, given[0].detach(), edge))

        handles = [layer.register_forward_hook(note) for layer in self._layers]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()


def _measured(
    seen: Sequence[Seen], deltas: Sequence[Tensor], drawn: Drawn
) -> tuple[list[LayerGradient], Tensor]:
    """Return the layers' gradients and each person's squared length; what is not finite is 0."""
    gradients = [gradient_of(*both, drawn) for both in zip(seen, deltas, strict=True)]
    squares = reduce(torch.add, [longest(item) for item in gradients])  # (n_units,)
    if math.isfinite(squares.sum().item()):
        return gradients, squares
    lost = ~squares.isfinite()[drawn.owners]  # (B,)
    return _measured(
        [replace(item, inputs=_blanked(item.inputs, lost)) for item in seen],
        [_blanked(delta, lost) for delta in deltas],
        drawn,
    )


def _blanked(values: Tensor, rows: Tensor) -> Tensor:
    """Return values of records (B, ...) with 0 in some rows."""
    return values.masked_fill(rows.reshape(-1, *[1] * (values.dim() - 1)), 0)
