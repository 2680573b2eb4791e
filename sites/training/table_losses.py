"""The losses of a model of a table, and their gradients by formulas instead of autograd."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sites.models.tabular import Linear, Perceptron
from sites.schema.tables import Label
from sites.training import objective
from sites.training.per_layer_gradients import LayerPass
from sites.training.privacy_units import DrawnUnits


@dataclass(frozen=True, kw_only=True)
class TableLosses:
    """The loss of each record of a table under a model.

    Args:
        model: The model; all its parameters are trained.
        label: What it predicts.
        inputs: The inputs of the records, shape (n, n_inputs).
        wanted: The targets of the records, as `objective.targets` returns them.
        weights: The factor of each record's loss, shape (n,), or None for none.
    """

    model: Linear | Perceptron
    label: Label
    inputs: Tensor
    wanted: Tensor
    weights: Tensor | None

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the losses of these records, (B,) -> (B,)."""
        each = objective.losses(self.label, self.model(self.inputs[rows]), self.wanted[rows])
        return each if self.weights is None else each * self.weights[rows]

    def passes(self, drawn: DrawnUnits) -> list[LayerPass]:
        """Return each layer's inputs and deltas for the records of some persons.

        Guarantee: they are what `RecordedPasses` finds by autograd, to the rounding of float32.
        The formulas take about a third of its time, which on tables is the time of a step.
        """
        inputs, model = self.inputs.index_select(0, drawn.rows), self.model
        with torch.no_grad():
            if isinstance(model, Linear):
                deltas = self._output_deltas(model.output(inputs), drawn)
                return [LayerPass(model.output, inputs, deltas)]
            active = model.hidden(inputs).relu_()
            deltas = self._output_deltas(model.output(active), drawn)
            # The derivative of a rectified linear unit is 1 where it is active, else 0.
            inner = (deltas @ model.output.weight).mul_(active > 0)
            return [LayerPass(model.hidden, inputs, inner), LayerPass(model.output, active, deltas)]

    def _output_deltas(self, scores: Tensor, drawn: DrawnUnits) -> Tensor:
        """Return the gradient of the losses by the scores, shape (B, n_outputs).

        Each record's loss counts as its share of its person's records.
        """
        rows = drawn.rows
        deltas = objective.loss_gradients(self.label, scores, self.wanted.index_select(0, rows))
        if self.weights is not None:
            deltas *= self.weights.index_select(0, rows)[:, None]
        return deltas if drawn.one_record_each else deltas / drawn.counts[drawn.owners][:, None]
