"""The arms of a comparison: models, how they are trained in one place, and what they predict."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from consortium.client.private_training import training_of
from consortium.config import RunConfig
from consortium.model.files import TrainedModel
from consortium.protocol.learning import learner_of
from consortium.run.directory import RunDirectory
from consortium.site.site import model_plan, records_of
from privacy.layout import Tally, Vector
from scenarios.experiments.local_training import LocalTraining
from sites.plans import AnyModelPlan
from sites.task import SiteData, Task
from sites.tasks.registry import task_for

Scores: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]  # predictions, and labels


@dataclass(frozen=True)
class ArmModel:
    """A trained model: its use case, the statistics that scale its inputs, and its parameters."""

    task: Task[SiteData]
    statistics: Tally
    vector: Vector

    @classmethod
    def of(cls, trained: TrainedModel) -> "ArmModel":
        """Return the model of a run that is over."""
        return cls(trained.task, trained.statistics, trained.vector)


@dataclass(frozen=True)
class ArmRecords:
    """The records of a finished run, site by site, read once for all ways to read them.

    Args:
        trained: The model of the run.
        run: Its directory.
        config: Its run config.
        sites: Its sites.
    """

    trained: TrainedModel
    run: RunDirectory
    config: RunConfig
    sites: tuple[str, ...]
    _read: dict[AnyModelPlan, list[SiteData]] = field(default_factory=dict)

    def task_of(self, config: RunConfig) -> Task[SiteData]:
        """Return the use case under another run config: the run's own if its model is the same."""
        charter = self.trained.charter
        plan = model_plan(config, charter.table)
        if plan == self.trained.task.model:
            return self.trained.task
        return task_for(
            charter.task, charter.table, plan, seed=config.seed, learning=config.learning
        )

    def parts(self, task: Task[SiteData]) -> Sequence[SiteData]:
        """Return the records of each site as a task reads them."""
        if task.model not in self._read:
            self._read[task.model] = [
                records_of(task, self.run.site(name), self.config) for name in self.sites
            ]
        return self._read[task.model]

    def of(self, names: Sequence[str], task: Task[SiteData]) -> list[SiteData]:
        """Return the records of some of the sites."""
        there = dict(zip(self.sites, self.parts(task), strict=True))
        return [there[name] for name in names]

    def at(self, name: str) -> "ArmRecords":
        """Return the records of one site."""
        read = {
            plan: [part for one, part in zip(self.sites, parts, strict=True) if one == name]
            for plan, parts in self._read.items()
        }
        return ArmRecords(self.trained, self.run, self.config, (name,), read)

    def scores(self, model: ArmModel) -> Scores:
        """Return predictions and labels of all held-out records, site after site."""
        return self.scores_at_each([model] * len(self.sites))

    def scores_at_each(self, models: Sequence[ArmModel]) -> Scores:
        """Return predictions and labels of all held-out records, each site's by its own model."""
        scored = [
            model.task.score(self.parts(model.task)[place], model.statistics, model.vector)
            for place, model in enumerate(models)
        ]
        return (
            np.concatenate([predictions for predictions, _ in scored]),
            np.concatenate([labels for _, labels in scored]),
        )


@dataclass(frozen=True)
class ArmTraining:
    """One arm of the comparison that is still to be trained.

    Args:
        config: Its run config.
        name: Name of the arm; it also seeds the shuffling of records.
        sites: Sites on whose records it is trained.
    """

    config: RunConfig
    name: str
    sites: tuple[str, ...]

    def train(self, records: ArmRecords) -> ArmModel:
        """Train for as many rounds as the run had, with the same privacy."""
        task = records.task_of(self.config)
        data = task.pool(records.of(self.sites, task))
        statistics = self.config.privacy.statistics(task, data)
        local = LocalTraining(
            task=task,
            learner=learner_of(records.trained.charter, self.config),
            data=data,
            statistics=statistics,
            # The noise depends on the number of records, which differs from arm to arm.
            plan=training_of(self.config).plan(data),
            seed=self.config.seed,
            name=self.name,
        )
        vector = local.trained(local.start(), range(1, self.config.num_server_rounds + 1))
        return ArmModel(task, statistics, vector)
