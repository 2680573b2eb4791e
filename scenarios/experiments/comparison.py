"""Compare a run with each site alone and with all records pooled, on the same held-out records."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from consortium.client.private_training import training_of
from consortium.config import DEFAULTS, RunConfig
from consortium.model.files import TrainedModel, read_model
from consortium.model.personal import personal_folder
from consortium.protocol.learning import learner_of
from consortium.run.directory import RunDirectory
from consortium.run.records import (
    Arm,
    Comparison,
    Difference,
    MeanGain,
    Summary,
    read_record,
    write_record,
)
from consortium.site.site import model_plan, records_of, site_rng
from privacy.errors import ConsortiumError
from privacy.layout import Tally, Vector
from scenarios.experiments.bootstrap import Resampled, Resamples, resampled_metric
from scenarios.experiments.local_training import LocalTraining
from scenarios.experiments.process_pool import parallel_processes
from scenarios.scenario import Scenario
from sites.learners.plans import LearnerPlans
from sites.learners.registry import learner_for
from sites.task import SiteData, Task
from sites.tasks.registry import task_for

N_RESAMPLES = 500

_Scores: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]  # predictions, and labels

_POOLED = "pooled"
_TRAINED = "trained"
_PERSONAL = "personal"
_LONG_S = 60.0  # arms of a shorter run are trained sooner than other processes start


class NobodyHeldOut(ConsortiumError, ValueError, code="nobody-held-out"):
    """Models cannot be compared: no site holds anybody out."""


@dataclass(frozen=True)
class _Model:
    """A trained model: the statistics that scale its inputs, and its parameters."""

    statistics: Tally
    vector: Vector


@dataclass(frozen=True)
class _Training:
    """One arm of the comparison that is still to be trained.

    Args:
        run: The directory of the finished run.
        config: Its run config.
        name: Name of the arm; it also seeds the shuffling of records.
        sites: Sites on whose records it is trained.
    """

    run: RunDirectory
    config: RunConfig
    name: str
    sites: tuple[str, ...]

    def train(self, parts: Sequence[SiteData]) -> _Model:
        """Train for as many rounds as the run had, with the same privacy.

        Args:
            parts: The records of each of the sites.
        """
        trained = read_model(self.run.model)
        task, learner = trained.task, learner_of(trained.charter, self.config)
        data = task.pool(parts)
        statistics = self.config.privacy.statistics(task, data)
        local = LocalTraining(
            task=task,
            learner=learner,
            data=data,
            statistics=statistics,
            # The noise depends on the number of records, which differs from arm to arm.
            plan=training_of(self.config).plan(data),
            seed=self.config.seed,
            name=self.name,
        )
        vector = local.trained(local.start(), range(1, self.config.num_server_rounds + 1))
        return _Model(statistics, vector)


@dataclass(frozen=True)
class _HeldOut:
    """The held-out records of all sites, site by site."""

    task: Task[SiteData]
    parts: Sequence[SiteData]

    def scores(self, model: _Model) -> _Scores:
        """Return predictions and labels of all held-out records, site after site."""
        return self.scores_at_each([model] * len(self.parts))

    def scores_at_each(self, models: Sequence[_Model]) -> _Scores:
        """Return predictions and labels of all held-out records, each site's by its own model."""
        scored = [
            self.task.score(part, model.statistics, model.vector)
            for part, model in zip(self.parts, models, strict=True)
        ]
        return (
            np.concatenate([predictions for predictions, _ in scored]),
            np.concatenate([labels for _, labels in scored]),
        )


def compare(
    scenario: Scenario,
    config: RunConfig,
    run: RunDirectory,
    *,
    tell: Callable[[str], None],
    n_resamples: int = N_RESAMPLES,
) -> Comparison:
    """Train each site alone and a model on the pooled records; compare them with a finished run.

    All arms have the same model and training plan, as many passes over their records as the run,
    and the same epsilon, and are measured on the held-out records of all sites. A run that counted
    is also compared with a model that is trained by gradients on the pooled records. Where the run
    says `personalise`, there is one arm more: each site's records by the model that it made for
    itself. The comparison is written to `comparison.json`.

    Args:
        scenario: The scenario of the run.
        config: Its run config.
        run: The directory of the finished run.
        tell: Called with a line about each arm.
        n_resamples: Bootstrap resamples behind each interval.

    Raises:
        NobodyHeldOut: There is nothing to measure them on.
    """
    began = time.monotonic()
    trained = read_model(run.model)
    held = _HeldOut(trained.task, _load_records(trained.task, run, config, scenario.sites))
    if not any(part.held_out_examples for part in held.parts):
        raise NobodyHeldOut(
            "no site of this run holds anybody out: give the sites more persons, or a column split"
        )
    models = {"federated": _Model(trained.statistics, trained.vector)}
    # Before anything is trained: a learner that predicts nothing ends here.
    scores = {"federated": held.scores(models["federated"])}
    parts = dict(zip(scenario.sites, held.parts, strict=True))
    models |= _train_arms(run, config, parts, tell)
    scores |= {name: held.scores(model) for name, model in models.items() if name not in scores}
    scores |= _trained_scores(trained, config, held.parts, tell)
    personal = _personal_models(run, parts)
    if personal:
        scores[_PERSONAL] = held.scores_at_each([personal[name] for name in parts])
    untrained = [name for name, part in parts.items() if not part.train_examples]
    count = sum(part.held_out_examples for part in held.parts)
    # Depends on the seed and the number of records only: comparing again gives the same.
    rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(count,)))
    resamples = Resamples.draw(count, n_resamples=n_resamples, rng=rng)
    comparison = _measure_arms(scenario, held, models, personal, scores, resamples)
    measured = {
        "untrained": untrained,
        "nobody_held_out": [name for name, part in parts.items() if not part.held_out_examples],
        "seconds": time.monotonic() - began,
    }
    comparison = comparison.model_copy(update=measured)
    write_record(run.comparison, comparison)
    return comparison


def _load_records(
    task: Task[SiteData], run: RunDirectory, config: RunConfig, sites: Sequence[str]
) -> list[SiteData]:
    return [records_of(task, run.site(name), config) for name in sites]


def _train_arms(
    run: RunDirectory,
    config: RunConfig,
    parts: Mapping[str, SiteData],
    tell: Callable[[str], None],
) -> dict[str, _Model]:
    """Train each site alone and the pooled arm; in parallel if that takes long."""
    trainable = [name for name, part in parts.items() if part.train_examples]
    alone = [_Training(run, config, name, (name,)) for name in trainable]
    arms = [*alone, _Training(run, config, _POOLED, tuple(parts))]
    for arm in alone:
        tell(f"training {arm.name} alone")
    tell("training on the pooled records")
    if read_record(run.summary, Summary).seconds < _LONG_S:
        return {arm.name: arm.train([parts[name] for name in arm.sites]) for arm in arms}
    with parallel_processes(os.cpu_count()) as pool:
        # The pooled arm takes the longest, so it starts first.
        started = {arm.name: pool.submit(_train_on_one_thread, arm) for arm in reversed(arms)}
        return {arm.name: started[arm.name].result() for arm in arms}


def _trained_scores(
    counted: TrainedModel,
    config: RunConfig,
    parts: Sequence[SiteData],
    tell: Callable[[str], None],
) -> dict[str, _Scores]:
    """Return the scores of a model by gradients on the pooled records, if the run counted.

    None of it if the use case itself is learnt by counting.
    """
    charter, usual = counted.charter, LearnerPlans()
    exact = learner_of(charter, config).contribution.exact
    if not exact or learner_for(charter.task, charter.table, usual).contribution.exact:
        return {}
    tell("training a model by gradients on the pooled records")
    plan = model_plan(config, charter.table)
    task = task_for(charter.task, charter.table, plan, seed=config.seed)
    data = task.pool(parts)
    statistics = task.statistics_of(data)
    training, vector = training_of(config).plan(data), np.zeros(task.layout.dim)
    for server_round in range(1, int(DEFAULTS["num-server-rounds"]) + 1):
        rng = site_rng(config.seed, _TRAINED, server_round)
        update = task.train(data, statistics, vector, training, rng=rng).update
        vector = (vector + update).astype(np.float32).astype(np.float64)
    return {_TRAINED: _HeldOut(task, parts).scores(_Model(statistics, vector))}


def _personal_models(run: RunDirectory, parts: Mapping[str, SiteData]) -> dict[str, _Model]:
    """Return the model that each site made for itself; the shared one where it could make none.

    None of it if no site made any.
    """
    folders = {name: personal_folder(run.site(name)) for name in parts}
    if not any(folder.is_dir() for folder in folders.values()):
        return {}
    found = {
        name: read_model(folder if folder.is_dir() else run.model)
        for name, folder in folders.items()
    }
    return {name: _Model(model.statistics, model.vector) for name, model in found.items()}


def _train_on_one_thread(arm: _Training) -> _Model:
    """Train on one thread, as every core has a process already; each loads its own records."""
    torch.set_num_threads(1)
    task = read_model(arm.run.model).task
    return arm.train(_load_records(task, arm.run, arm.config, arm.sites))


def _measure_arms(
    scenario: Scenario,
    held: _HeldOut,
    models: Mapping[str, _Model],
    personal: Mapping[str, _Model],
    scores: Mapping[str, _Scores],
    resamples: Resamples,
) -> Comparison:
    headline = scenario.headline
    metrics = {
        name: resamples.measure(resampled_metric(headline.name, *scored))
        for name, scored in scores.items()
    }
    own: dict[str, float] = {}
    for name, part in zip(scenario.sites, held.parts, strict=True):
        at_site = {**models, **({_PERSONAL: personal[name]} if personal else {})}
        for arm in (name, "federated", _PERSONAL):
            own[f"{arm} at {name}"] = np.nan
            if arm not in at_site or not part.held_out_examples:
                continue
            mine = _HeldOut(held.task, [part])
            metric = resampled_metric(headline.name, *mine.scores(at_site[arm]))
            own[f"{arm} at {name}"] = metric(np.ones(part.held_out_examples))
    return Comparison(
        metric=headline.name,
        metric_title=headline.title,
        higher_is_better=headline.higher_is_better,
        held_out=resamples.counts.shape[1],
        resamples=len(resamples.counts),
        arms=[_arm(name, measured, own) for name, measured in metrics.items()],
        differences=[_difference(name, metrics) for name in metrics if name != "federated"],
        over_mean_alone=_over_mean_alone(
            metrics["federated"], [metrics[name] for name in scenario.sites if name in metrics]
        ),
        seconds=0.0,
    )


def _arm(name: str, resampled: Resampled, own: dict[str, float]) -> Arm:
    interval = resampled.interval
    measured = {"value": interval.value, "low": interval.low, "high": interval.high}
    match name:
        case "federated":
            return Arm(name="Together (federated)", kind="federated", **measured)
        case "trained":
            return Arm(name="A model by gradients, on all records", kind="trained", **measured)
        case "personal":
            title = "Made each site's own"
            return Arm(name=title, kind="personal", **measured)
        case "pooled":
            return Arm(name="All records in one place", kind="pooled", **measured)
    return Arm(
        name=f"{name} alone",
        kind="alone",
        site=name,
        own_value=_none_if_nan(own[f"{name} at {name}"]),
        federated_on_own=_none_if_nan(own[f"federated at {name}"]),
        personal_on_own=_none_if_nan(own[f"{_PERSONAL} at {name}"]),
        **measured,
    )


def _difference(name: str, metrics: Mapping[str, Resampled]) -> Difference:
    interval = (metrics["federated"] - metrics[name]).interval
    return Difference(against=name, value=interval.value, low=interval.low, high=interval.high)


def _over_mean_alone(together: Resampled, alone: Sequence[Resampled]) -> MeanGain | None:
    if not alone:
        return None
    mean = Resampled.mean(alone)
    # A resample whose mean is 0 has no ratio: leaving such ones out would flatter the gain.
    if mean.value <= 0 or (mean.values <= 0).any():
        return None
    found = (together / mean).interval
    return MeanGain(mean_alone=mean.value, ratio=found.value, low=found.low, high=found.high)


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else value
