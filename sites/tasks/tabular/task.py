"""The task of every table: encode by the agreed schema, train, evaluate, predict.

Many messages to a site need neither pandas nor torch. Both are imported only where records are
read and where a model is computed, because on the deployment engine every message is handled by
a new process.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Layout, Tally, Vector
from sites.comparison.comparison import Comparison
from sites.comparison.findings import Finding
from sites.data.holdout import Sides
from sites.data.source import DataSource
from sites.evaluation.contract import Evaluation, evaluation_for, in_bins, tally_by_group
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.models.initialisation import initial_vector, layout_of, model_fields, n_outputs
from sites.plans import BadPlan, Counting, Labels, ModelPlan, Predictions, TrainingPlan
from sites.schema.tables import EventTimeLabel, NumberLabel, Outcome, Schema
from sites.statistics.by_class import ClassedStatistics, counts_by_class
from sites.statistics.coefficients import LinearSum, linear_sums
from sites.statistics.normalisation import Constants
from sites.statistics.tables import TableStatistics
from sites.task import Trained
from sites.tasks.tabular.data import Columns, Table, TableData, encode_columns, pooled_table

if TYPE_CHECKING:
    from sites.tasks.tabular.model import TableModel


@dataclass(frozen=True)
class TabularTask:
    """Classification or regression on one table; it implements `sites.task.Task`.

    Args:
        name: Name of the use case.
        schema: The meaning of every column.
        model: The model that is trained.
        seed: Of the run: new parameters are drawn from it.
        counting: What is counted besides what every run counts.

    Raises:
        BadPlan: The model is `linear` for classes, or `logistic` for a number.
    """

    name: str
    schema: Schema
    model: ModelPlan
    seed: int
    counting: Counting = field(default_factory=Counting)

    def __post_init__(self) -> None:
        if isinstance(self.schema.label, EventTimeLabel):
            return
        unfit = "linear" if self._n_classes else "logistic"
        if self.model.name == unfit:
            kind = "classes" if self._n_classes else "a number"
            raise BadPlan(
                f"{self.schema.label.column} is {kind}, which the model {unfit} cannot predict: "
                f"use mlp or {'logistic' if self._n_classes else 'linear'}"
            )

    @cached_property
    def layout(self) -> Layout:
        """Layout of the federated vector."""
        n_inputs, outputs = len(self.schema.encoded_names), n_outputs(self._outcome)
        fields = model_fields(self.model, n_inputs=n_inputs, n_outputs=outputs)
        return layout_of(fields, seed=self.seed)

    @cached_property
    def statistics(self) -> TableStatistics | ClassedStatistics:
        """The statistics that a site counts before training."""
        classed = self.counting.by_class and counts_by_class(self.schema)
        return ClassedStatistics(self.schema) if classed else TableStatistics(self.schema)

    @cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation, which counts a site's predictions."""
        return evaluation_for(self.schema, self.counting)

    def load(self, source: DataSource, *, sides: Sides) -> TableData:
        """Return a site's validated records, each person on the side that `sides` says.

        Those of a later period, of which nobody is trained on, are on both sides.
        """
        from sites.tasks.tabular.loading import load_period, load_table

        if self.counting.columns:
            return load_period(source, self.schema, n_classes=self._n_classes)
        return load_table(source, self.schema, n_classes=self._n_classes, sides=sides)

    def pool(self, parts: Sequence[TableData]) -> TableData:
        """Return the records of several sites as those of one."""
        return TableData(
            training=pooled_table([part.training for part in parts]),
            held_out=pooled_table([part.held_out for part in parts]),
            n_classes=self._n_classes,
        )

    def prepare(self) -> None:
        """Load torch, and let it compute on one thread."""
        from sites.training.loop import compute_on_one_thread

        compute_on_one_thread()

    def statistics_of(self, data: TableData) -> Tally:
        """Return the tally of the training records alone."""
        training, statistics = data.training, self.statistics
        counted = training.once(
            "statistics",
            self._schema_digest + type(statistics).__name__.encode(),
            lambda: statistics.tally(training.columns, training.labels, persons=data.train_persons),
        )
        return counted.copy()

    def findings(self, data: TableData, others: Tally) -> tuple[Finding, ...]:
        """Return how the training records stand out beside the statistics of all other sites."""
        training, compare = data.training, Comparison(self.schema).findings
        return training.once(
            "findings",
            self._schema_digest + others.tobytes(),
            lambda: compare(training.columns, training.labels, others),
        )

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
        return self._model_at(vector, pooled).train(data, inputs, plan, rng=rng)

    def evaluate(
        self, data: TableData, pooled: Tally, vector: Vector, bins: ScoreBins = EQUAL_BINS
    ) -> Tally:
        """Return the tally of the held-out predictions."""
        scored, held_out = self.score(data, pooled, vector), data.held_out
        return tally_by_group(in_bins(self.evaluation, bins), *scored, held_out.columns)

    def score(self, data: TableData, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return held-out predictions and labels, row by row; they never leave the site."""
        inputs = self._inputs(data.held_out, pooled)
        return self._model_at(vector, pooled).predictions(inputs), data.held_out.labels

    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for a table without labels, in the order of its rows."""
        inputs = encode_columns(self.read_columns(source), self.schema, self._constants(pooled))
        return self._model_at(vector, pooled).predictions(inputs)

    def read_columns(self, source: DataSource) -> Columns:
        """Return the validated features of a table without labels, row by row."""
        from sites.tasks.tabular.loading import load_columns

        return load_columns(source, self.schema)

    def parameters(self, vector: Vector) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of the model that `vector` stands for, by name."""
        return self.layout.unflatten(self._start + vector)

    def linear_sums(self, vector: Vector, pooled: Tally) -> tuple[LinearSum, ...]:
        """Return the coefficients of a linear model; none of a model with a hidden layer."""
        if self.model.name == "mlp":
            return ()
        return linear_sums(self.schema, self._constants(pooled), self.parameters(vector))

    @cached_property
    def _start(self) -> NDArray[np.float32]:
        # In half the memory: its numbers are float32 numbers.
        return initial_vector(self.layout, seed=self.seed).astype(np.float32)

    @property
    def _outcome(self) -> Outcome:
        """What a model is trained for.

        Raises:
            BadPlan: No model is: the label is a time until an event.
        """
        label = self.schema.label
        if isinstance(label, EventTimeLabel):
            raise BadPlan(f"{label.time} is a time until an event: set learner to cox or auto")
        return label

    @property
    def _n_classes(self) -> int:
        label = self.schema.label
        return 0 if isinstance(label, NumberLabel) else len(label.classes)

    def _model_at(self, vector: Vector, pooled: Tally) -> "TableModel":
        """Return the model that `vector` stands for."""
        from sites.tasks.tabular.model import TableModel

        return TableModel(
            plan=self.model,
            label=self._outcome,
            layout=self.layout,
            numbers=self._start + vector,
            constants=self._constants(pooled),
        )

    def _inputs(self, table: Table, pooled: Tally) -> NDArray[np.float32]:
        """Return the inputs of a site's records, shape (n, n_inputs), encoded once per run."""
        key = self._schema_digest + pooled.tobytes()
        return table.inputs(self.schema, self._constants(pooled), key=key)

    @cached_property
    def _schema_digest(self) -> bytes:
        return self.schema.fingerprint.encode()

    def _constants(self, pooled: Tally) -> Constants:
        """Return the constants of pooled statistics, derived once per run."""
        # Pooled statistics stay the same during a run, so that one entry is enough.
        key = pooled.tobytes()
        if key not in self._constants_cache:
            self._constants_cache.clear()
            self._constants_cache[key] = self.statistics.constants(pooled)
        return self._constants_cache[key]

    @cached_property
    def _constants_cache(self) -> dict[bytes, Constants]:
        return {}
