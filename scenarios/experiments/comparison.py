"""Is it worth it? Each site alone, the consortium, and the pooled ideal, on the same records."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from consortium.client.private_training import training_of
from consortium.config import RunConfig
from consortium.model.files import read_model
from consortium.run.directory import RunDirectory
from consortium.run.records import Arm, Comparison, Difference, Summary, read_record, write_record
from consortium.site.directory import read_site_config
from consortium.site.site import site_rng
from privacy.layout import Tally, Vector
from scenarios.experiments.bootstrap import Resampled, Resamples, resampled
from scenarios.experiments.process_pool import side_by_side
from scenarios.scenario import Scenario
from sites.task import SiteData, Task

N_RESAMPLES = 500

_POOLED = "pooled"
_LONG_S = 60.0  # a shorter run's arms are trained before another process has started


@dataclass(frozen=True)
class _Model:
    """A trained model: the constants it scales by, and its vector."""

    statistics: Tally
    vector: Vector


@dataclass(frozen=True)
class _Training:
    """One arm to be trained, here or in a process of its own.

    Args:
        run: The directory of the finished run.
        config: How it was run.
        name: Of the arm; its records are shuffled by it.
        sites: Whose records it is trained on.
    """

    run: RunDirectory
    config: RunConfig
    name: str
    sites: tuple[str, ...]

    def done(self) -> _Model:
        """Train for as many rounds as the run had, and as privately."""
        task = read_model(self.run.model).task
        data = task.pool(_records(task, self.run, self.config, self.sites))
        statistics = self.config.privacy.statistics(task, data)
        vector = np.zeros(task.layout.dim)
        plan = training_of(self.config).plan(data)  # noise for this arm's own records
        for server_round in range(1, self.config.num_server_rounds + 1):
            rng = site_rng(self.config.seed, self.name, server_round)
            update = task.train(data, statistics, vector, plan, rng=rng).update
            vector = (vector + update).astype(np.float32).astype(np.float64)
        return _Model(statistics, vector)


@dataclass(frozen=True)
class _Held:
    """Everybody's held-out records, and which of them are whose."""

    task: Task[SiteData]
    parts: Sequence[SiteData]

    def scores(self, model: _Model) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return predictions and labels of all held-out records, site after site."""
        scored = [self.task.score(part, model.statistics, model.vector) for part in self.parts]
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

    Every arm has the same model, the same plan, as many passes over its records as the run, as
    much privacy at the same epsilon, and is measured on the held-out records of all sites. Written
    to `comparison.json`.

    Args:
        scenario: What was run.
        config: How it was run.
        run: The directory of the finished run.
        tell: Told what is being trained.
        n_resamples: Bootstrap resamples behind each interval.
    """
    began = time.monotonic()
    trained = read_model(run.model)
    held = _Held(trained.task, _records(trained.task, run, config, scenario.sites))
    models = {"federated": _Model(trained.statistics, trained.vector)}
    models |= _train_arms(run, config, scenario.sites, tell)
    comparison = _measured(scenario, held, models, n_resamples, config.seed)
    comparison = comparison.model_copy(update={"seconds": time.monotonic() - began})
    write_record(run.comparison, comparison)
    return comparison


def _records(
    task: Task[SiteData], run: RunDirectory, config: RunConfig, sites: Sequence[str]
) -> list[SiteData]:
    return [task.load(read_site_config(run.site(name)).source, seed=config.seed) for name in sites]


def _train_arms(
    run: RunDirectory, config: RunConfig, sites: tuple[str, ...], tell: Callable[[str], None]
) -> dict[str, _Model]:
    """Train each site alone and the pooled ideal; side by side where that takes long."""
    alone = [_Training(run, config, name, (name,)) for name in sites]
    arms = [*alone, _Training(run, config, _POOLED, sites)]
    for arm in alone:
        tell(f"training {arm.name} alone")
    tell("training on the pooled records")
    if read_record(run.summary, Summary).seconds < _LONG_S:
        return {arm.name: arm.done() for arm in arms}
    with side_by_side(os.cpu_count()) as pool:  # the pooled arm first: it takes the longest
        started = {arm.name: pool.submit(_with_one_thread, arm) for arm in reversed(arms)}
        return {arm.name: started[arm.name].result() for arm in arms}


def _with_one_thread(arm: _Training) -> _Model:
    """Train in a process of its own; two threads share a core worse than one."""
    torch.set_num_threads(1)
    return arm.done()


def _measured(
    scenario: Scenario, held: _Held, models: dict[str, _Model], n_resamples: int, seed: int
) -> Comparison:
    headline = scenario.headline
    metrics: dict[str, Resampled] = {}
    own: dict[str, float] = {}
    for name, model in models.items():
        metrics[name] = resampled(headline.name, *held.scores(model))
    for name, part in zip(scenario.sites, held.parts, strict=True):
        for arm in (name, "federated"):
            mine = _Held(held.task, [part])
            metric = resampled(headline.name, *mine.scores(models[arm]))
            own[f"{arm} at {name}"] = metric(np.ones(part.held_out_examples))
    count = sum(part.held_out_examples for part in held.parts)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(count,)))
    resamples = Resamples.draw(count, n_resamples=n_resamples, rng=rng)
    return Comparison(
        metric=headline.name,
        metric_title=headline.title,
        higher_is_better=headline.higher_is_better,
        held_out=count,
        resamples=n_resamples,
        arms=[_arm(name, metric, resamples, own) for name, metric in metrics.items()],
        differences=[
            _difference(name, metrics, resamples) for name in metrics if name != "federated"
        ],
        seconds=0.0,
    )


def _arm(name: str, metric: Resampled, resamples: Resamples, own: dict[str, float]) -> Arm:
    interval = resamples.interval(metric)
    measured = {"value": interval.value, "low": interval.low, "high": interval.high}
    match name:
        case "federated":
            return Arm(name="Together (federated)", kind="federated", **measured)
        case "pooled":
            return Arm(name="All records in one place", kind="pooled", **measured)
    return Arm(
        name=f"{name} alone",
        kind="alone",
        site=name,
        own_value=_defined(own[f"{name} at {name}"]),
        federated_on_own=_defined(own[f"federated at {name}"]),
        **measured,
    )


def _difference(name: str, metrics: dict[str, Resampled], resamples: Resamples) -> Difference:
    interval = resamples.difference(metrics["federated"], metrics[name])
    return Difference(against=name, value=interval.value, low=interval.low, high=interval.high)


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value
