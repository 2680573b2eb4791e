"""The contract every use case fills in.

A task knows how one institution's records become tallies, updates and predictions. Everything
that leaves a site is a `Tally` or a `Vector`; the records stay inside the `Data` of the task,
which callers hold and pass back but never look into.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Layout, Tally, Vector
from sites.data.source import DataSource
from sites.evaluation.contract import Evaluation
from sites.plans import AnyModelPlan, Labels, Predictions, TrainingPlan
from sites.schema.texts import AnySchema
from sites.statistics.contract import Counting


class UnfitSchema(ConsortiumError, ValueError):
    """A task cannot learn what the schema asks."""

    code = "unfit-schema"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What one round of training at a site gave.

    Args:
        update: Trained minus received parameters, shape (dim,); every entry is a float32 number.
        num_examples: Training records seen in a pass; never batches.
        steps: Optimizer steps taken.
    """

    update: Vector
    num_examples: int
    steps: int


class SiteData(Protocol):
    """A site's records as a task holds them; outside the task only these counts are read."""

    @property
    def train_examples(self) -> int:
        """Records to train on."""

    @property
    def train_persons(self) -> int:
        """Persons behind the training records."""

    @property
    def held_out_examples(self) -> int:
        """Records to evaluate on; their persons have no training record."""

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Training records of each class of the schema, in its order; empty for regression."""


Data = TypeVar("Data", bound=SiteData)


class Task(Protocol[Data]):
    """One use case: what a site does with its records.

    Guarantee: with the same schema, model plan and seed, two sites have the same `layout`, read
    the same vector as the same model, and scale by the same constants, which come from the
    pooled statistics alone.
    """

    @property
    def name(self) -> str:
        """The use case, in kebab case."""

    @property
    def schema(self) -> AnySchema:
        """What every column means."""

    @property
    def model(self) -> AnyModelPlan:
        """Which model is trained."""

    @property
    def layout(self) -> Layout:
        """Of the federated vector; a function of schema, model plan and seed, never of data."""

    @property
    def statistics(self) -> Counting:
        """What a site counts before training; torch-free."""

    @property
    def evaluation(self) -> Evaluation:
        """What a site counts of its predictions; torch-free."""

    def load(self, source: DataSource, *, seed: int) -> Data:
        """Read and validate a site's records, and hold out a share of its persons.

        Guarantee: no person has records on both sides; the split depends on `seed` and the
        person identifiers and labels only, not on the order of rows.

        Raises:
            sites.data.tables.UnreadableSource: Nothing could be read; subclasses say why.
            sites.data.validation.MissingColumns: A column of the schema is absent.
            sites.data.validation.BadTable: What was read breaks the schema.
            sites.data.holdout.PersonOnBothSides: The source's own split parts a person's records.
        """

    def pool(self, parts: Sequence[Data]) -> Data:
        """Return the records of several sites as those of one: the ideal to compare with.

        Guarantee: training and held-out records keep their side; the same identifier at two
        sites is two persons.
        """

    def statistics_of(self, data: Data) -> Tally:
        """Count the training records, shape (statistics.layout.size,); held-out ones stay out."""

    def train(
        self,
        data: Data,
        pooled: Tally,
        vector: Vector,
        plan: TrainingPlan,
        *,
        rng: np.random.Generator,
    ) -> Trained:
        """Train from the model that `vector` stands for.

        Guarantee: the same arguments give the same bytes (one torch thread, one machine), but
        for a plan with privacy, whose noise no argument knows.

        Args:
            data: The site's records.
            pooled: Statistics added up over sites.
            vector: The received state, shape (layout.dim,).
            plan: How to train.
            rng: Of the order of records.

        Raises:
            EmptySite: There is no training record.
            BadPlan: The plan does not fit the task.
            sites.training.loop.TrainingDiverged: The loss or a parameter is no longer finite.
        """

    def evaluate(self, data: Data, pooled: Tally, vector: Vector) -> Tally:
        """Count the held-out predictions, shape (evaluation.layout.size,); none is fine."""

    def score(self, data: Data, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return held-out predictions and labels, row by row; they never leave the site.

        Both are as `evaluation.tally` takes them: predictions as `predict` returns them, labels
        as class codes or values.
        """

    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for a table without labels, in the order of its rows.

        With two classes the probability of the second, shape (n,); with more, of each, shape
        (n, n_classes); for numbers the value in the label's unit, shape (n,).

        Raises:
            sites.data.tables.UnreadableSource: Nothing could be read.
            sites.data.validation.BadTable: A feature breaks the schema.
        """

    def parameters(self, vector: Vector) -> Mapping[str, NDArray[np.float32]]:
        """Return the arrays of the model that `vector` stands for, by name: what is exported."""


@runtime_checkable
class Exportable(Protocol):
    """A task whose model other programs load as files."""

    def write(self, vector: Vector, folder: Path, *, merged: bool) -> None:
        """Write the model that `vector` stands for into an existing directory.

        Args:
            vector: The federated vector.
            folder: Where to.
            merged: Whether it is whole, or only what was trained.
        """
