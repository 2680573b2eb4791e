"""Forward and backward passes of any model, layer by layer, by hooks and autograd."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from sites.training.per_layer_gradients import (
    Clippable,
    LayerPass,
    UnclippableModel,
    clippable_layers,
)
from sites.training.privacy_units import DrawnUnits

Losses: TypeAlias = Callable[[Tensor], Tensor]
Passes: TypeAlias = Callable[[DrawnUnits], Sequence[LayerPass]]


class RecordedPasses:
    """Returns each trained layer's inputs and deltas for the records of some persons.

    The loss whose gradient the deltas are is that of each record, divided by the number of its
    person's records: so the records' gradients add up to the mean over a person's records.

    Args:
        model: Its trained parameters are in linear, embedding and layer-norm modules only.
        losses: The loss of each of the given records under the model, (B,) -> (B,).

    Raises:
        UnclippableModel: A parameter is in another kind of module, or in two modules.
    """

    def __init__(self, model: nn.Module, losses: Losses) -> None:
        self._layers = clippable_layers(model)
        self._losses = losses

    def __call__(self, drawn: DrawnUnits) -> list[LayerPass]:
        """Return the passes of the layers that the model used.

        Raises:
            UnclippableModel: A layer is used twice.
        """
        with self._noted_layers() as seen:
            each = self._losses(drawn.rows)  # (B,)
        shares = torch.ones_like(each)
        if not drawn.one_record_each:
            shares /= drawn.counts[drawn.owners]
        # One backward pass gives the deltas of all records, as the loss of a record depends on no
        # other record.
        deltas = torch.autograd.grad(each, [edge for _, _, edge in seen], shares)
        return [
            LayerPass(layer, inputs, delta)
            for (layer, inputs, _), delta in zip(seen, deltas, strict=True)
        ]

    @contextmanager
    def _noted_layers(self) -> Iterator[list[tuple[Clippable, Tensor, GradientEdge]]]:
        """Note the inputs of the trained layers, and where their outputs are in the graph."""
        seen: list[tuple[Clippable, Tensor, GradientEdge]] = []

        def note(layer: Clippable, given: tuple[Tensor, ...], output: Tensor) -> None:
            if any(noted is layer for noted, _, _ in seen):
                raise UnclippableModel(f"a {type(layer).__name__} is used twice in a pass")
            # Autograd returns the delta at an edge, so the output itself need not be kept.
            edge = torch.autograd.graph.get_gradient_edge(output)
            seen.append((layer, given[0].detach(), edge))

        handles = [layer.register_forward_hook(note) for layer in self._layers]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()
