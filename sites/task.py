"""The contract of every use case.

A task turns one institution's records into tallies, updates and predictions. Everything that
leaves a site is a `Tally` or a `Vector`. The records stay inside the `Data` of the task: callers
hold it and pass it back, but never look into it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Layout, Tally, Vector
from sites.comparison.findings import Finding
from sites.data.holdout import Sides
from sites.data.source import DataSource
from sites.evaluation.contract import Evaluation
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.plans import AnyModelPlan, Labels, Predictions, TrainingPlan
from sites.schema.texts import AnySchema
from sites.statistics.contract import Statistics


class UnfitSchema(ConsortiumError, ValueError, code="unfit-schema"):
    """The schema does not fit the task."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The result of one round at a site: an update, or a tally of exact integers in its place.

    Args:
        update: Trained minus received parameters, shape (dim,); every entry is a float32 number.
        summed: Exact integers, to be added to those of the other sites.
        num_examples: Number of training records (never batches) in a pass.
        steps: Number of optimizer steps.
    """

    update: Vector = field(default_factory=lambda: np.zeros(0))
    summed: Tally = field(default_factory=lambda: np.zeros(0, np.int64))
    num_examples: int
    steps: int = 0


class SiteData(Protocol):
    """A site's records as a task holds them; outside the task only these counts are read."""

    @property
    def train_examples(self) -> int:
        """Number of training records."""

    @property
    def train_persons(self) -> int:
        """Number of persons with training records."""

    @property
    def fewest_train_persons(self) -> int:
        """Fewest persons with training records of one class; of all if there are no classes."""

    @property
    def held_out_examples(self) -> int:
        """Number of held-out records; their persons have no training records."""

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Training records of each class, in the schema's order; empty for regression."""


Data = TypeVar("Data", bound=SiteData)


class Task(Protocol[Data]):
    """One use case: model, data, loss and metrics.

    Guarantee: with the same schema, model plan and seed, two sites have the same `layout`, read
    the same vector as the same model, and scale by the same constants, which come from the
    pooled statistics alone.
    """

    @property
    def name(self) -> str:
        """Name of the use case, in kebab-case."""

    @property
    def schema(self) -> AnySchema:
        """The meaning of every column."""

    @property
    def model(self) -> AnyModelPlan:
        """The model that is trained."""

    @property
    def layout(self) -> Layout:
        """Layout of the federated vector; it depends on schema, model plan and seed only."""

    @property
    def statistics(self) -> Statistics:
        """The statistics that a site counts before training; needs no torch."""

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation, which counts a site's predictions; needs no torch."""

    def load(self, source: DataSource, *, sides: Sides) -> Data:
        """Return a site's validated records, each person on the side that `sides` says.

        Guarantee: no person has records on both sides, whatever the order of the rows.

        Raises:
            sites.data.tables.UnreadableSource: Nothing could be read; subclasses say why.
            sites.data.validation.MissingColumns: A column of the schema is absent.
            sites.data.validation.BadTable: What was read breaks the schema.
            sites.data.holdout.PersonOnBothSides: The source's own split has a person on both
                sides.
            ConsortiumError: A person stood on another side before.
        """

    def pool(self, parts: Sequence[Data]) -> Data:
        """Return the records of several sites as those of one, as an ideal to compare with.

        Guarantee: training and held-out records keep their side. The same identifier at two
        sites stands for two persons.
        """

    def prepare(self) -> None:
        """Load what `train` and `evaluate` compute with, if anything; let it use one thread.

        Two sites on one machine then share no core.
        """

    def statistics_of(self, data: Data) -> Tally:
        """Return the tally of the training records alone, shape (statistics.layout.size,)."""

    def findings(self, data: Data, others: Tally) -> tuple[Finding, ...]:
        """Return how the training records stand out beside those of all other sites.

        They are for this site's operator alone. A task without a comparison has none.

        Args:
            data: The site's records.
            others: Statistics of the other sites added up, shape (statistics.layout.size,).

        Raises:
            sites.statistics.tally.ImpossibleTally: No records have these statistics.
        """

    def train(
        self,
        data: Data,
        pooled: Tally,
        vector: Vector,
        plan: TrainingPlan,
        *,
        rng: np.random.Generator,
    ) -> Trained:
        """Train from the model that `vector` stands for, or count what its next step needs.

        Guarantee: the same arguments give the same bytes (one torch thread, one machine), except
        with a plan with privacy, whose draws and noise come from the operating system.

        Args:
            data: The site's records.
            pooled: Statistics added up over sites.
            vector: The received state, shape (layout.dim,).
            plan: How to train.
            rng: For the order of records.

        Raises:
            EmptySite: There is no training record.
            BadPlan: The plan does not fit the task.
            sites.training.loop.TrainingDiverged: The loss or a parameter is no longer finite.
        """

    def evaluate(
        self, data: Data, pooled: Tally, vector: Vector, bins: ScoreBins = EQUAL_BINS
    ) -> Tally:
        """Return the tally of the held-out predictions, shape (evaluation.layout.size,).

        A site without held-out records has a tally of zeros.

        Args:
            data: The site's records.
            pooled: Statistics added up over sites.
            vector: The received state, shape (layout.dim,).
            bins: By which scores of two classes are counted.
        """

    def score(self, data: Data, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return held-out predictions and labels, row by row; they never leave the site.

        They are the arguments of `evaluation.tally`: predictions as `predict` returns them,
        labels as class codes or values.
        """

    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for records without labels, in their order.

        For two classes the probability of the second, shape (n,); for more classes that of each,
        shape (n, n_classes); for a number its value in the label's unit, shape (n,).

        Raises:
            sites.data.tables.UnreadableSource: Nothing could be read.
            sites.data.validation.BadTable: A feature breaks the schema.
        """

    def parameters(self, vector: Vector) -> Mapping[str, NDArray[np.float32]]:
        """Return the arrays of the model that `vector` stands for, by name, for export."""


@runtime_checkable
class Exportable(Protocol):
    """A task whose model can be written as files that other programs load."""

    def write(self, vector: Vector, folder: Path, *, merged: bool) -> None:
        """Write the model that `vector` stands for into an existing directory.

        Args:
            vector: The federated vector.
            folder: An existing directory.
            merged: Whether to write the whole model, or the trained parameters only.
        """


@runtime_checkable
class Explains(Protocol):
    """A task that says more of each record than its prediction."""

    def explain(self, source: DataSource, vector: Vector) -> Mapping[str, NDArray[Any]]:
        """Return what stands beside the predictions for records without labels, by name.

        Args:
            source: The records.
            vector: The received state, shape (layout.dim,).

        Returns:
            Columns of shape (n,), in the order of the records.
        """
