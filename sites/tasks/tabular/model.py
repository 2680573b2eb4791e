"""Training and prediction with a model of a table; the module that imports torch."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from privacy.layout import Layout, Vector
from sites.models.initialisation import n_outputs
from sites.models.parameters import parameter_vector, set_parameters
from sites.models.tabular import Linear, Perceptron, model_for
from sites.plans import ModelPlan, Predictions, TrainingPlan
from sites.schema.tables import Outcome
from sites.statistics.normalisation import Constants
from sites.task import Trained
from sites.tasks.tabular.data import TableData
from sites.training import objective
from sites.training.loop import Records, TrainingDiverged, train
from sites.training.table_losses import TableLosses


@dataclass(frozen=True, kw_only=True)
class TableModel:
    """A model of a table, with its parameters.

    Args:
        plan: The kind of model.
        label: What it predicts.
        layout: Layout of its parameters.
        numbers: Its parameters, shape (dim,).
        constants: Constants of the pooled statistics.
    """

    plan: ModelPlan
    label: Outcome
    layout: Layout
    numbers: Vector
    constants: Constants

    def train(
        self,
        data: TableData,
        encoded: NDArray[np.float32],
        plan: TrainingPlan,
        *,
        rng: np.random.Generator,
    ) -> Trained:
        """Train a copy of the model, starting from its parameters.

        Args:
            data: A site's records.
            encoded: The inputs of the training records, shape (n, n_inputs).
            plan: How to train.
            rng: For the order of records.

        Raises:
            EmptySite, TrainingDiverged: As in `sites.training.loop.train`.
        """
        training, classes = data.training, data.training.classes(data.n_classes)
        model, inputs = self._torch_module(encoded.shape[1]), torch.from_numpy(encoded)
        received = parameter_vector(model, self.layout)
        wanted = objective.targets(self.label, training.labels, self.constants)  # (n,)
        of_class = objective.class_weights(self.label, self.constants, plan)
        weights = None if of_class is None else torch.from_numpy(of_class[classes]).float()
        losses = TableLosses(
            model=model, label=self.label, inputs=inputs, wanted=wanted, weights=weights
        )
        records = Records(classes, training.persons, content_of=training.content_of)
        steps = train(model, losses, records, plan, rng=rng, formulas=losses)
        # Rounded to float32, as it travels. The parameters can overflow after the last finite loss.
        update = (
            (parameter_vector(model, self.layout) - received).astype(np.float32).astype(np.float64)
        )
        if not np.isfinite(update).all():
            raise TrainingDiverged("the trained parameters are not finite: lower the learning rate")
        return Trained(update=update, num_examples=data.train_examples, steps=steps)

    @torch.no_grad()
    def predictions(self, encoded: NDArray[np.float32]) -> Predictions:
        """Return the predictions for inputs of shape (n, n_inputs), as `Task.predict` says."""
        outputs = self._torch_module(encoded.shape[1])(torch.from_numpy(encoded))  # (n, n_outputs)
        return objective.predictions(self.label, outputs, self.constants)

    def _torch_module(self, n_inputs: int) -> Linear | Perceptron:
        made = model_for(self.plan, n_inputs=n_inputs, n_outputs=n_outputs(self.label))
        set_parameters(self.numbers, made, self.layout)
        return made
