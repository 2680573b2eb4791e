"""The task of every table: encode by the agreed schema, train, evaluate, predict.

What is asked of a site before and after it learns needs neither pandas nor torch; both are loaded
where records are read and where something is computed with a model. On the deployment engine
every message meets a fresh process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Layout, Tally, Vector
from sites.data.source import DataSource
from sites.evaluation.contract import Evaluation, evaluation_for
from sites.models.initialisation import layout_of, model_fields, n_outputs, start_of
from sites.plans import BadPlan, Labels, ModelPlan, Predictions, TrainingPlan
from sites.schema.tables import ClassLabel, Schema
from sites.statistics.normalisation import Constants
from sites.statistics.tables import Statistics
from sites.task import Trained
from sites.tasks.tabular.data import Table, TableData, encode, joined

if TYPE_CHECKING:
    from sites.tasks.tabular.model import TableModel


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
        n_inputs, label = len(self.schema.encoded_names), self.schema.label
        fields = model_fields(self.model, n_inputs=n_inputs, n_outputs=n_outputs(label))
        return layout_of(fields, seed=self.seed)

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
        from sites.tasks.tabular.loading import load_table

        return load_table(source, self.schema, n_classes=self._n_classes, seed=seed)

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
        inputs = self._inputs(data.training, pooled)
        return self._at(vector, pooled).trained(data, inputs, plan, rng=rng)

    def evaluate(self, data: TableData, pooled: Tally, vector: Vector) -> Tally:
        """Count the held-out predictions."""
        return self.evaluation.tally(*self.score(data, pooled, vector))

    def score(self, data: TableData, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return held-out predictions and labels, row by row; they never leave the site."""
        inputs = self._inputs(data.held_out, pooled)
        return self._at(vector, pooled).predictions(inputs), data.held_out.labels

    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for a table without labels, in the order of its rows."""
        from sites.tasks.tabular.loading import load_columns

        columns = load_columns(source, self.schema)
        inputs = encode(columns, self.schema, self._constants(pooled))
        return self._at(vector, pooled).predictions(inputs)

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

    def _at(self, vector: Vector, pooled: Tally) -> "TableModel":
        """Return the model that `vector` stands for."""
        from sites.tasks.tabular.model import TableModel

        return TableModel(
            plan=self.model,
            label=self.schema.label,
            layout=self.layout,
            numbers=self._start + vector,
            constants=self._constants(pooled),
        )

    def _inputs(self, table: Table, pooled: Tally) -> NDArray[np.float32]:
        """Return the model's inputs of a site's records, encoded once a run: (n, n_inputs)."""
        key = self.schema.fingerprint.encode() + pooled.tobytes()
        return table.inputs(self.schema, self._constants(pooled), key=key)

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
