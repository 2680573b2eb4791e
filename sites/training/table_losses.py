"""The losses of a model of a table, and their gradients by formulas instead of autograd."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sites.models.tabular import Linear, Perceptron
from sites.schema.tables import ClassLabel, Outcome
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
    label: Outcome
    inputs: Tensor
    wanted: Tensor
    weights: Tensor | None

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the losses of these records, (B,) -> (B,)."""
        each = objective.losses(self.label, self.model(self.inputs[rows]), self.wanted[rows])
        return each if self.weights is None else each * self.weights[rows]

    def set_gradients(self, rows: Tensor) -> Tensor:
        """Set each parameter's gradient of the mean loss of these records, and return that loss.

        Guarantee: both are those of autograd, to the bit: the same operations in the same order.
        The formulas take about half its time.
        """
        inputs, model = self.inputs[rows], self.model
        with torch.no_grad():
            active = inputs if isinstance(model, Linear) else _outputs(model.hidden, inputs).relu_()
            loss, deltas = self._mean_loss(_outputs(model.output, active), rows)
            _set_gradients_of(model.output, active, deltas)
            if isinstance(model, Perceptron):
                # The derivative of a rectified linear unit is 1 where it is active, else 0.
                inner = deltas.mm(model.output.weight).masked_fill_(active <= 0, 0.0)
                _set_gradients_of(model.hidden, inputs, inner)
        return loss

    def _mean_loss(self, scores: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean loss of records and its gradient by their scores, (B, n_outputs)."""
        wanted = self.wanted[rows]
        factors = 1.0 if self.weights is None else self.weights[rows]
        if isinstance(self.label, ClassLabel) and not self.label.binary:
            # The backward pass of a softmax rounds otherwise than the formula does.
            with torch.enable_grad():
                each = objective.losses(self.label, scores.requires_grad_(), wanted)
                loss = (each * factors).mean()
            return loss.detach(), torch.autograd.grad(loss, scores)[0]
        each = objective.losses(self.label, scores, wanted)
        shares = torch.ones_like(each).div_(len(rows)) * factors
        deltas = objective.loss_gradients(self.label, scores, wanted).mul_(shares[:, None])
        return (each * factors).mean(), deltas

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


def _outputs(layer: nn.Linear, inputs: Tensor) -> Tensor:
    """Return what a layer makes of its inputs, without its hooks."""
    return torch.addmm(layer.bias, inputs, layer.weight.t())


def _set_gradients_of(layer: nn.Linear, inputs: Tensor, deltas: Tensor) -> None:
    layer.weight.grad = deltas.t().mm(inputs)
    layer.bias.grad = deltas.sum(0)
