"""A model that is tuned where its records are: at one site, or with all records in one place.

The schedule and the proposals are those of a sweep, and each place has its own. A model is trained
on the training records of the place, and judged on those that it holds out. There is no round and
no message.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from consortium.client.private_training import training_of
from consortium.protocol.learning import learner_of
from consortium.run.directory import RunDirectory
from consortium.site.site import model_plan, records_of
from privacy.errors import ConsortiumError
from privacy.layout import Vector
from scenarios.experiments.bootstrap import resampled_metric
from scenarios.experiments.local_training import LocalTraining
from scenarios.experiments.process_pool import parallel_processes
from scenarios.sweep.crew import Crew
from scenarios.sweep.order import NotTunable, SweepOrder
from scenarios.sweep.records import Judged, SiteTuned
from scenarios.sweep.sweep import search_with
from scenarios.sweep.trial import Reached, Rise, Trial
from sites.plans import AnyModelPlan
from sites.task import SiteData, Task
from sites.tasks.registry import task_for

NOBODY_TO_TRAIN = "nobody to train on"
NOBODY_HELD_OUT = "nobody is held out there"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place to tune for.

    Args:
        order: What to search.
        run: The directory in which its sites are staged.
        name: Of the place; it also seeds the shuffling of records.
        sites: Whose records are there.
    """

    order: SweepOrder
    run: RunDirectory
    name: str
    sites: tuple[str, ...]


@dataclass
class _Arm:
    """The model of one trial, as far as it is trained."""

    local: LocalTraining
    vector: Vector
    rounds: int = 0
    course: list[Judged] = field(default_factory=list)


@dataclass
class _Tuning:
    """A place at work, whose records are read once for all trials with the same model."""

    place: Place
    arms: dict[int, _Arm] = field(default_factory=dict)
    read: dict[AnyModelPlan, SiteData] = field(default_factory=dict)

    def rise(self, way: Rise) -> Reached:
        try:
            if way.trial.number not in self.arms:
                self.arms[way.trial.number] = self._arm(way.trial)
            return _risen(self.arms[way.trial.number], way)
        except ConsortiumError as error:
            return Reached(number=way.trial.number, failed=str(error))

    def _arm(self, trial: Trial) -> _Arm:
        scenario, config = self.place.order.scenario, trial.order.config
        plan = model_plan(config, scenario.table)
        task = task_for(
            scenario.task, scenario.table, plan, seed=config.seed, learning=config.learning
        )
        if plan not in self.read:
            self.read[plan] = self._records(task, trial)
        data = self.read[plan]
        local = LocalTraining(
            task=task,
            learner=learner_of(scenario.charter, config),
            data=data,
            statistics=config.privacy.statistics(task, data),
            plan=training_of(config).plan(data),
            seed=config.seed,
            name=self.place.name,
        )
        return _Arm(local, local.start())

    def _records(self, task: Task[SiteData], trial: Trial) -> SiteData:
        """Return the records of the place.

        Raises:
            NotTunable: Nobody is there to train on, or to judge a model by.
        """
        place, config = self.place, trial.order.config
        parts = []
        for name in place.sites:
            try:
                parts.append(records_of(task, place.run.site(name), config))
            except ConsortiumError:  # which a run goes on without, and says so
                if len(place.sites) == 1:
                    raise
        data = parts[0] if len(place.sites) == 1 else task.pool(parts)
        for there, why in (
            (data.train_examples, NOBODY_TO_TRAIN),
            (data.held_out_examples, NOBODY_HELD_OUT),
        ):
            if not there:
                raise NotTunable(why)
        return data


def tune_places(places: Sequence[Place], workers: int) -> list[SiteTuned]:
    """Tune the model of each place for itself; return what came of it, in their order.

    Guarantee: each uses its own records alone. The same places give the same result, whatever the
    number of workers.

    Args:
        places: The longest to train first.
        workers: Places at work side by side, in processes of their own; 0 for this process.
    """
    if workers == 0:
        return [_tune(one) for one in places]
    with parallel_processes(workers) as pool:
        return list(pool.map(_tune_on_one_thread, places))


def _tune_on_one_thread(place: Place) -> SiteTuned:
    torch.set_num_threads(1)
    return _tune(place)


def _tune(place: Place) -> SiteTuned:
    try:
        found = search_with(place.order, Crew(0, act=_Tuning(place).rise))
    except ConsortiumError as error:  # such as records that nobody is held out of
        return SiteTuned(site=place.name, failed=str(error))
    return SiteTuned(site=place.name, trials=found.trials, winner=found.winner)


def _risen(arm: _Arm, way: Rise) -> Reached:
    """Train on to a rung, and judge the model there on the held-out records of its place."""
    local, number = arm.local, way.trial.number
    arm.vector = local.trained(arm.vector, range(arm.rounds + 1, way.rounds + 1))
    arm.rounds = way.rounds
    predictions, labels = local.task.score(local.data, local.statistics, arm.vector)
    headline = way.trial.order.scenario.headline.name
    metric = resampled_metric(headline, predictions, labels.astype(np.float64))
    value = metric(np.ones(local.data.held_out_examples))
    if not np.isfinite(value):
        return Reached(number=number, failed="it has no figure, or none that is a number")
    arm.course.append(Judged(rounds=way.rounds, value=float(value)))
    return Reached(number=number, value=float(value), course=tuple(arm.course))
