"""Training in one place, round by round as a run trains, without a consortium."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from consortium.site.site import site_rng
from privacy.layout import Tally, Vector
from sites.learner import Learner
from sites.plans import TrainingPlan
from sites.task import SiteData, Task


@dataclass(frozen=True, kw_only=True)
class LocalTraining:
    """How a model is trained on records of one place.

    Args:
        task: The use case.
        learner: How a round moves the model.
        data: The records.
        statistics: By which inputs are scaled.
        plan: How a round is trained.
        seed: Of the experiment.
        name: Of the place; it also seeds the shuffling of records.
    """

    task: Task[SiteData]
    learner: Learner
    data: SiteData
    statistics: Tally
    plan: TrainingPlan
    seed: int
    name: str

    def start(self) -> Vector:
        """Return the model before the first round."""
        return np.zeros(self.task.layout.dim)

    def trained(self, vector: Vector, rounds: Iterable[int]) -> Vector:
        """Return the model after further rounds, each by its number from 1."""
        for server_round in rounds:
            rng = site_rng(self.seed, self.name, server_round)
            given = self.task.train(self.data, self.statistics, vector, self.plan, rng=rng)
            if self.learner.move is None:
                vector = vector + given.update
            else:
                vector = self.learner.move(vector, self.statistics, given.summed)
            # Round as the model does when it travels between coordinator and sites.
            vector = vector.astype(np.float32).astype(np.float64)
        return vector
