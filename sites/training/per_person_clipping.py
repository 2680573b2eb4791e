"""Sums of gradients that are clipped per person, which bounds what one person can change.

The gradient of a linear layer is a sum of outer products of its inputs and the gradients of its
outputs. So the norm of a person's gradient follows from these two without the gradient itself,
and the clipped sum takes one more product (Goodfellow 2015, arXiv:1510.01799; Bu et al. 2022,
arXiv:2210.00038). The gradient of a person with several records is the sum over them, so that
the same code serves all models and units of privacy.
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
    LayerPass,
    UnclippableModel,
    clippable_layers,
    layer_gradient,
    squared_norm_bounds,
)
from sites.training.privacy_units import DrawnUnits

Losses: TypeAlias = Callable[[Tensor], Tensor]

SLACK = 2.0**-10  # share of the clip norm kept for rounding: half for arithmetic, half for the grid


class PersonClipper:
    """Sums the gradients of persons, each clipped as one vector over all parameters.

    Guarantee: a person's gradient is the mean of the gradients of its records, scaled down to
    norm `clip_norm * (1 - SLACK)` if it is longer, and 0 if it is not finite. So whatever a
    person's records are, it moves the sum by at most that in L2, and by at most
    `clip_norm * (1 - SLACK / 2)` with the rounding of its own gradient. Layers with one input
    per record are computed in float64, sequences in float32. Norms are taken at their upper
    bound, so that rounding never hides one.

    Args:
        model: Its trained parameters are in linear, embedding and layer-norm modules only.
        clip_norm: The largest norm, above 0.

    Raises:
        UnclippableModel: A parameter is in another kind of module, or in two modules.
    """

    def __init__(self, model: nn.Module, *, clip_norm: float) -> None:
        self._layers = clippable_layers(model)
        self._clip_to = clip_norm * (1 - SLACK)
        self.parameters = [item for item in model.parameters() if item.requires_grad]

    def sum(self, losses: Losses, drawn: DrawnUnits) -> list[Tensor]:
        """Return the sum of the clipped gradients of the persons drawn, by parameter.

        The tensors are in the order of `parameters`.

        Args:
            losses: The loss of each of the given records under the model, (B,) -> (B,).
            drawn: At least one person.

        Raises:
            UnclippableModel: A layer does not see the records one by one, or is used twice.
        """
        with self._record_passes() as seen:
            each = losses(drawn.rows)  # (B,)
        drawn = drawn.to_device(each.device)
        # Each record's loss over its person's number of records, so that the records' gradients
        # add up to the mean that is clipped. One backward pass gives the deltas of all records, as
        # the loss of a record depends on no other record.
        total = each if drawn.one_record_each else each / drawn.counts[drawn.owners]
        deltas = torch.autograd.grad(total.sum(), [item.edge for item in seen])
        with torch.no_grad():
            # The norm is that of the whole gradient: squared norms add up over the layers.
            gradients, squares = _measure_gradients(seen, deltas, drawn)
            factors = self._clip_to / squares.sqrt().clamp(min=self._clip_to)  # (n_units,)
            each = factors if drawn.one_record_each else factors[drawn.owners]  # (B,)
            parts = (item.weighted_sums(each) for item in gradients)
            sums = dict(chain.from_iterable(parts))
        # A layer that this pass did not use has no gradient.
        return [sums[item] if item in sums else torch.zeros_like(item) for item in self.parameters]

    @contextmanager
    def _record_passes(self) -> Iterator[list[LayerPass]]:
        """Record the inputs of the trained layers, and where their outputs are in the graph."""
        seen: list[LayerPass] = []

        def note(module: Clippable, given: tuple[Tensor, ...], output: Tensor) -> None:
            if any(item.module is module for item in seen):
                raise UnclippableModel(f"a {type(module).__name__} is used twice in a pass")
            # Autograd returns the delta at an edge, so the output itself need not be kept.
            edge = torch.autograd.graph.get_gradient_edge(output)
            seen.append(LayerPass(module, given[0].detach(), edge))

        handles = [layer.register_forward_hook(note) for layer in self._layers]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()


def _measure_gradients(
    seen: Sequence[LayerPass], deltas: Sequence[Tensor], drawn: DrawnUnits
) -> tuple[list[LayerGradient], Tensor]:
    """Return the layers' gradients, and each person's squared norm over all layers.

    A gradient that is not finite counts as 0.
    """
    gradients = [layer_gradient(*both, drawn) for both in zip(seen, deltas, strict=True)]
    squares = reduce(torch.add, [squared_norm_bounds(item) for item in gradients])  # (n_units,)
    if math.isfinite(squares.sum().item()):
        return gradients, squares
    # Scaling by 0 would leave NaN. So the inputs and deltas of such persons are set to 0 and all
    # is computed again; no gradient of another person depends on them.
    lost = ~squares.isfinite()[drawn.owners]  # (B,)
    return _measure_gradients(
        [replace(item, inputs=_zero_rows(item.inputs, lost)) for item in seen],
        [_zero_rows(delta, lost) for delta in deltas],
        drawn,
    )


def _zero_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Return values of records (B, ...) with 0 in the rows of the mask (B,)."""
    return values.masked_fill(rows.reshape(-1, *[1] * (values.dim() - 1)), 0)
