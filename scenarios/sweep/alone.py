"""Each site's own model, tuned for itself: on its own records, with no round and no message.

The schedule and the proposals are those of a sweep, and each site has its own. A model is trained
on the site's training records, and judged on those that the site holds out. Nothing leaves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from consortium.client.private_training import training_of
from consortium.protocol.learning import learner_of
from consortium.run.directory import RunDirectory
from consortium.run.records import write_record
from consortium.site.site import model_plan, records_of
from privacy.errors import ConsortiumError
from privacy.layout import Vector
from scenarios.engines.staging import stage
from scenarios.experiments.bootstrap import resampled_metric
from scenarios.experiments.local_training import LocalTraining
from scenarios.experiments.process_pool import parallel_processes
from scenarios.sweep.best_file import write_tuned_file
from scenarios.sweep.crew import Crew
from scenarios.sweep.records import AloneRecord, Judged, SiteTuned, SweepDirectory, SweepPlan
from scenarios.sweep.sweep import NotTunable, SweepOrder, keep_plan, search_with
from scenarios.sweep.trial import Reached, Rise, Trial
from sites.tasks.registry import task_for

NOBODY_TO_TRAIN = "nobody to train on"
NOBODY_HELD_OUT = "nobody is held out there"


@dataclass(frozen=True, kw_only=True)
class _Site:
    """A site to tune for."""

    order: SweepOrder
    run: RunDirectory
    name: str


@dataclass
class _Arm:
    """A site's model of one trial, as far as it is trained."""

    local: LocalTraining
    vector: Vector
    rounds: int = 0
    course: list[Judged] = field(default_factory=list)


def tune_alone(
    order: SweepOrder, directory: SweepDirectory, *, tell: Callable[[str], None], workers: int
) -> AloneRecord:
    """Tune each site's own model; return what came of it.

    Guarantee: each site uses its own records alone, and the same split as every run with this seed.
    The same order gives the same result, whatever the number of workers.

    Args:
        order: What to search.
        directory: Where the result is kept: empty, or that of the same order.
        tell: Called with a line about each site.
        workers: Sites at work side by side, in processes of their own; 0 for this process.

    Raises:
        DirectoryInUse: The directory holds something else.
        NotTunable: The runs are private.
        BadSearch, BadSchedule, NotTunable: It cannot be searched so.
    """
    if order.config.privacy.budgeted is not None:
        raise NotTunable(
            "a site that tunes for itself releases nothing, so that no noise is needed: set "
            "dp.unit=off"
        )
    plan = keep_plan(order.plan, directory)
    with TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        stage(run, order.scenario, order.own_data, config=order.config, lies=order.lies)
        sites = [_Site(order=order, run=run, name=name) for name in order.scenario.sites]
        found = _all_tuned(sites, workers)
    record = AloneRecord(plan=plan, sites=tuple(found))
    for one in found:
        tell(one.line(plan))
        if one.best is not None:
            _write_best(one, plan, directory)
    write_record(directory.alone, record)
    return record


def _all_tuned(sites: Sequence[_Site], workers: int) -> list[SiteTuned]:
    if workers == 0:
        return [_tune(one) for one in sites]
    with parallel_processes(workers) as pool:
        return list(pool.map(_tune_on_one_thread, sites))


def _tune_on_one_thread(site: _Site) -> SiteTuned:
    torch.set_num_threads(1)
    return _tune(site)


def _tune(site: _Site) -> SiteTuned:
    """Tune the model of one site."""
    arms: dict[int, _Arm] = {}

    def rise(way: Rise) -> Reached:
        try:
            arm = arms.setdefault(way.trial.number, _arm(site, way.trial))
            return _risen(arm, way)
        except ConsortiumError as error:
            return Reached(number=way.trial.number, failed=str(error))

    try:
        found = search_with(site.order, Crew(0, act=rise))
    except ConsortiumError as error:  # such as records that nobody is held out of
        return SiteTuned(site=site.name, failed=str(error))
    return SiteTuned(site=site.name, trials=found.trials, winner=found.winner)


def _arm(site: _Site, trial: Trial) -> _Arm:
    scenario, config = site.order.scenario, trial.order.config
    plan = model_plan(config, scenario.table)
    task = task_for(scenario.task, scenario.table, plan, seed=config.seed, learning=config.learning)
    data = records_of(task, site.run.site(site.name), config)
    for there, why in (
        (data.train_examples, NOBODY_TO_TRAIN),
        (data.held_out_examples, NOBODY_HELD_OUT),
    ):
        if not there:
            raise NotTunable(why)
    local = LocalTraining(
        task=task,
        learner=learner_of(scenario.charter, config),
        data=data,
        statistics=config.privacy.statistics(task, data),
        plan=training_of(config).plan(data),
        seed=config.seed,
        name=site.name,
    )
    return _Arm(local, local.start())


def _risen(arm: _Arm, way: Rise) -> Reached:
    """Train on to a rung, and judge the model there on the site's own held-out records."""
    local, number = arm.local, way.trial.number
    arm.vector = local.trained(arm.vector, range(arm.rounds + 1, way.rounds + 1))
    arm.rounds = way.rounds
    predictions, labels = local.task.score(local.data, local.statistics, arm.vector)
    headline = way.trial.order.scenario.headline.name
    metric = resampled_metric(headline, predictions, labels.astype(np.float64))
    value = metric(np.ones(len(labels)))
    if not np.isfinite(value):
        return Reached(number=number, failed="it has no figure, or none that is a number")
    arm.course.append(Judged(rounds=way.rounds, value=float(value)))
    return Reached(number=number, value=float(value), course=tuple(arm.course))


def _write_best(one: SiteTuned, plan: SweepPlan, directory: SweepDirectory) -> None:
    best = one.best
    if best is None:
        return
    write_tuned_file(
        directory.best_alone(one.site),
        scenario=plan.scenario,
        settings={**plan.chosen, **best.settings},
        said=f"tuned by {one.site} for itself: {plan.metric_title} {best.rungs[-1].value:.4f} on "
        "its own records that chose it",
    )
