"""Sums of gradients that are clipped per person, which bounds what one person can change.

The gradient of a linear layer is a sum of outer products of its inputs and the gradients of its
outputs. So the norm of a person's gradient follows from these two without the gradient itself,
and the clipped sum takes one more product (Goodfellow 2015, arXiv:1510.01799; Bu et al. 2022,
arXiv:2210.00038). The gradient of a person with several records is the sum over them, so that
the same code serves all models and units of privacy.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import torch
from torch import Tensor, nn

from sites.training.per_layer_gradients import (
    LayerGradient,
    LayerPass,
    Sums,
    clippable_layers,
    layer_gradient,
    squared_norm_bounds,
)
from sites.training.privacy_units import DrawnUnits
from sites.training.recorded_passes import Passes

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
        passes: The passes of these layers for given persons.
        clip_norm: The largest norm, above 0.

    Raises:
        UnclippableModel: A parameter is in another kind of module, or in two modules.
    """

    def __init__(self, model: nn.Module, passes: Passes, *, clip_norm: float) -> None:
        clippable_layers(model)
        self._passes = passes
        self._clip_to = clip_norm * (1 - SLACK)
        self.parameters = [item for item in model.parameters() if item.requires_grad]

    def add_sum(self, drawn: DrawnUnits, sums: Sums, *, unit: float = 1.0) -> None:
        """Add the clipped gradients of the persons drawn to the sums of the trained parameters.

        Args:
            drawn: At least one person.
            sums: By parameter, float64. A layer that the model does not use adds nothing.
            unit: Of the sums.

        Raises:
            UnclippableModel: A layer does not see the records one by one, or is used twice.
        """
        # The norm is that of the whole gradient: squared norms add up over the layers.
        gradients, squares = _measure_gradients(self._passes(drawn), drawn)
        factors = self._clip_to / squares.sqrt().clamp_(min=self._clip_to)  # (n_units,)
        of_record = factors if drawn.one_record_each else factors[drawn.owners]  # (B,)
        for gradient in gradients:
            gradient.add_weighted_sums(of_record, sums, unit=unit)


def _measure_gradients(
    seen: Sequence[LayerPass], drawn: DrawnUnits
) -> tuple[list[LayerGradient], Tensor]:
    """Return the layers' gradients, and each person's squared norm over all layers.

    A gradient that is not finite counts as 0.
    """
    gradients = [layer_gradient(item, drawn) for item in seen]
    squares = reduce(torch.add, map(squared_norm_bounds, gradients))  # (n_units,)
    if math.isfinite(squares.sum().item()):
        return gradients, squares
    # Scaling by 0 would leave NaN. So the inputs and deltas of such persons are set to 0 and all
    # is computed again; no gradient of another person depends on them.
    lost = ~squares.isfinite()[drawn.owners]  # (B,)
    return _measure_gradients(
        [
            replace(
                item, inputs=_zero_rows(item.inputs, lost), deltas=_zero_rows(item.deltas, lost)
            )
            for item in seen
        ],
        drawn,
    )


def _zero_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Return values of records (B, ...) with 0 in the rows of the mask (B,)."""
    return values.masked_fill(rows.reshape(-1, *[1] * (values.dim() - 1)), 0)
