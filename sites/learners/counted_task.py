"""A use case as a learner that counts carries it out at a site: what all such learners share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Layout, Tally, Vector
from sites.comparison.findings import Finding
from sites.data.holdout import Sides
from sites.data.source import DataSource
from sites.evaluation.contract import Evaluation, in_bins
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.plans import (
    AnyModelPlan,
    BadPlan,
    Labels,
    Predictions,
    PrivacyPlan,
    TrainingPlan,
)
from sites.schema.texts import AnySchema
from sites.statistics.contract import Statistics
from sites.task import Data, Task, Trained


@dataclass(frozen=True)
class CountedTask(ABC, Generic[Data]):
    """It implements `sites.task.Task`: records are those of another task, which never trains.

    Args:
        base: The task whose records, statistics and evaluation these are.
    """

    base: Task[Data]

    @property
    def name(self) -> str:
        """Name of the use case."""
        return self.base.name

    @property
    def schema(self) -> AnySchema:
        """The meaning of every column."""
        return self.base.schema

    @property
    def model(self) -> AnyModelPlan:
        """What the run says of a model: none is trained."""
        return self.base.model

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """Layout of the learner's state."""

    @property
    def statistics(self) -> Statistics:
        """The statistics that a site counts before the first round."""
        return self.base.statistics

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation, which counts a site's predictions."""
        return self.base.evaluation

    def load(self, source: DataSource, *, sides: Sides) -> Data:
        """Return a site's validated records, each person on the side that `sides` says."""
        return self.base.load(source, sides=sides)

    def pool(self, parts: Sequence[Data]) -> Data:
        """Return the records of several sites as those of one."""
        return self.base.pool(parts)

    def prepare(self) -> None:
        """Load nothing: counting needs no library of learning."""

    def statistics_of(self, data: Data) -> Tally:
        """Return the tally of the training records alone."""
        return self.base.statistics_of(data)

    def findings(self, data: Data, others: Tally) -> tuple[Finding, ...]:
        """Return how the training records stand out beside those of all other sites."""
        return self.base.findings(data, others)

    def train(
        self,
        data: Data,
        pooled: Tally,
        vector: Vector,
        plan: TrainingPlan,
        *,
        rng: np.random.Generator,
    ) -> Trained:
        """Return what the site counts of its training records, with noise if the plan says so."""
        del rng
        if plan.privacy is None:
            counted = self.count(data, pooled, vector)
        else:
            counted = self.noisy_count(data, pooled, vector, plan.privacy)
        return Trained(summed=counted, num_examples=data.train_examples)

    def noisy_count(self, data: Data, pooled: Tally, vector: Vector, plan: PrivacyPlan) -> Tally:
        """Return the tally with noise, of as many records of a person as the plan allows.

        Guarantee: of a learner that is `sites.learner.BoundsEachRecord`, it is a Gaussian
        mechanism with the plan's noise multiplier for the plan's unit.

        Raises:
            BadPlan: What one record moves is not bounded: the learner's counts have no noise.
        """
        raise BadPlan(f"the counts of {self.name} have no noise here: set dp.unit to off")

    @abstractmethod
    def count(self, data: Data, pooled: Tally, vector: Vector) -> Tally:
        """Return the tally of the training records, shape (contribution.tally_size,).

        Guarantee: the tallies of two sites add up to that of both, exactly, and no entry is beyond
        the bounds of the contribution, whatever the records are.

        Args:
            data: The site's records.
            pooled: Statistics added up over sites.
            vector: The received state, shape (layout.dim,).
        """

    def evaluate(
        self, data: Data, pooled: Tally, vector: Vector, bins: ScoreBins = EQUAL_BINS
    ) -> Tally:
        """Return the tally of the held-out predictions."""
        return in_bins(self.evaluation, bins).tally(*self.score(data, pooled, vector))

    @abstractmethod
    def score(self, data: Data, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return held-out predictions and labels, row by row; they never leave the site."""

    @abstractmethod
    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for records without labels, in their order."""

    def parameters(self, vector: Vector) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of the state, by name."""
        return dict(self.layout.unflatten(vector))
