"""The task of every table: encode by the agreed schema, train, evaluate, predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from privacy.layout import Layout, Tally, Vector
from sites import objective
from sites.arrays import layout_of, put, start_of, taken
from sites.constants import Constants
from sites.data import read
from sites.evaluation import Evaluation, evaluation_for
from sites.models import model_for
from sites.schema import ClassLabel, Schema
from sites.source import DataSource
from sites.split import given_hold_out, hold_out
from sites.statistics import Statistics
from sites.table import Table, TableData, columns_of, encode, joined, table_of
from sites.task import BadPlan, Labels, ModelPlan, Predictions, Trained, TrainingPlan
from sites.training import Records, TrainingDiverged, train
from sites.validation import validate


@dataclass(frozen=True)
class TabularTask:
    """A model of one table, for classes or for a number; it fills in `sites.task.Task`.

    Args:
        name: The use case.
        schema: What every column means.
        model: Which model is trained.
        seed: Of the run: new parameters are drawn from it.

    Raises:
        BadPlan: The model is `linear` for classes, or `logistic` for a number.
    """

    name: str
    schema: Schema
    model: ModelPlan
    seed: int

    def __post_init__(self) -> None:
        unfit = "linear" if self._n_classes else "logistic"
        if self.model.name == unfit:
            kind = "classes" if self._n_classes else "a number"
            raise BadPlan(
                f"{self.schema.label.column} is {kind}, which model {unfit} does not predict: "
                f"use mlp or {'logistic' if self._n_classes else 'linear'}"
            )

    @cached_property
    def layout(self) -> Layout:
        """Of the federated vector."""
        return layout_of(self._fresh(), seed=self.seed)

    @cached_property
    def statistics(self) -> Statistics:
        """What a site counts before training."""
        return Statistics(self.schema)

    @cached_property
    def evaluation(self) -> Evaluation:
        """What a site counts of its predictions."""
        return evaluation_for(self.schema)

    def load(self, source: DataSource, *, seed: int) -> TableData:
        """Read and validate a site's records, and hold out a share of its persons."""
        frame = validate(read(source), self.schema, split=source.split)
        table = table_of(frame, self.schema)
        if source.split is None:
            held_out = hold_out(table.persons, self._classes(table), seed=seed)
        else:
            held_out = given_hold_out(table.persons, (frame[source.split] == "test").to_numpy())
        return TableData(
            training=table.at(~held_out), held_out=table.at(held_out), n_classes=self._n_classes
        )

    def pool(self, parts: Sequence[TableData]) -> TableData:
        """Return the records of several sites as those of one."""
        return TableData(
            training=joined([part.training for part in parts]),
            held_out=joined([part.held_out for part in parts]),
            n_classes=self._n_classes,
        )

    def statistics_of(self, data: TableData) -> Tally:
        """Count the training records; held-out ones stay out."""
        training = data.training
        return self.statistics.tally(training.columns, training.labels, persons=data.train_persons)

    def train(
        self,
        data: TableData,
        pooled: Tally,
        vector: Vector,
        plan: TrainingPlan,
        *,
        rng: np.random.Generator,
    ) -> Trained:
        """Train from the model that `vector` stands for."""
        label, constants = self.schema.label, self._constants(pooled)
        model = self._at(vector)
        received = taken(model, self.layout)
        inputs = self._inputs(data.training, pooled)
        wanted = objective.targets(label, data.training.labels, constants)  # (n,)
        classes = self._classes(data.training)
        of_class = objective.class_weights(label, constants, plan)
        weights = None if of_class is None else torch.from_numpy(of_class[classes]).float()

        def losses(rows: Tensor) -> Tensor:
            each = objective.losses(label, model(inputs[rows]), wanted[rows])
            return each if weights is None else each * weights[rows]

        records = Records(classes, data.training.persons)
        steps = train(model, losses, records, plan, rng=rng)
        update = (taken(model, self.layout) - received).astype(np.float32).astype(np.float64)
        if not np.isfinite(update).all():
            raise TrainingDiverged("the trained parameters are not finite: lower the learning rate")
        return Trained(update=update, num_examples=data.train_examples, steps=steps)

    def evaluate(self, data: TableData, pooled: Tally, vector: Vector) -> Tally:
        """Count the held-out predictions."""
        return self.evaluation.tally(*self.score(data, pooled, vector))

    def score(self, data: TableData, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return held-out predictions and labels, row by row; they never leave the site."""
        inputs = self._inputs(data.held_out, pooled)
        return self._predicted(inputs, pooled, vector), data.held_out.labels

    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for a table without labels, in the order of its rows."""
        frame = validate(read(source), self.schema, labelled=False)
        columns = columns_of(frame, self.schema)
        inputs = torch.from_numpy(encode(columns, self.schema, self._constants(pooled)))
        return self._predicted(inputs, pooled, vector)

    def parameters(self, vector: Vector) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of the model that `vector` stands for, by name."""
        return self.layout.unflatten(self._start + vector)

    @cached_property
    def _start(self) -> Vector:
        return start_of(self.layout, seed=self.seed)

    @property
    def _n_classes(self) -> int:
        label = self.schema.label
        return len(label.classes) if isinstance(label, ClassLabel) else 0

    def _classes(self, table: Table) -> NDArray[np.int64]:
        """Class of each record, shape (n,); all the same for a number."""
        return table.labels.astype(np.int64) * (self._n_classes > 0)

    def _fresh(self) -> nn.Module:
        n_inputs = len(self.schema.encoded_names)
        n_outputs = objective.n_outputs(self.schema.label)
        return model_for(self.model, n_inputs=n_inputs, n_outputs=n_outputs)

    def _at(self, vector: Vector) -> nn.Module:
        model = self._fresh()
        put(self._start + vector, model, self.layout)
        return model

    @torch.no_grad()
    def _predicted(self, inputs: Tensor, pooled: Tally, vector: Vector) -> Predictions:
        outputs = self._at(vector)(inputs)  # (n, n_outputs)
        return objective.predictions(self.schema.label, outputs, self._constants(pooled))

    def _inputs(self, table: Table, pooled: Tally) -> Tensor:
        """Return the model's inputs of a site's records, encoded once a run: (n, n_inputs)."""
        key = self.schema.fingerprint.encode() + pooled.tobytes()
        return torch.from_numpy(table.inputs(self.schema, self._constants(pooled), key=key))

    def _constants(self, pooled: Tally) -> Constants:
        """Return the constants of pooled statistics, derived once a run."""
        key = pooled.tobytes()
        if key not in self._derived:
            self._derived.clear()
            self._derived[key] = self.statistics.constants(pooled)
        return self._derived[key]

    @cached_property
    def _derived(self) -> dict[bytes, Constants]:
        return {}
