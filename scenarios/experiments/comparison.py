"""Compare a run with each site alone and with all records pooled, on the same held-out records."""

import os
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

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
from consortium.site.site import model_plan, site_rng
from privacy.errors import ConsortiumError
from scenarios.experiments.arms import ArmModel, ArmRecords, ArmTraining, Scores
from scenarios.experiments.bootstrap import Resampled, Resamples, resampled_metric
from scenarios.experiments.process_pool import parallel_processes
from scenarios.scenario import Scenario
from scenarios.sweep.records import POOLED
from scenarios.sweep.tuned_arms import FEDERATED, TunedArms
from sites.learners.plans import LearnerPlans
from sites.learners.registry import learner_for
from sites.task import SiteData
from sites.tasks.registry import task_for

N_RESAMPLES = 500

_TRAINED = "trained"
_PERSONAL = "personal"
_LONG_S = 60.0  # arms of a shorter run are trained sooner than other processes start


class NobodyHeldOut(ConsortiumError, ValueError, code="nobody-held-out"):
    """Models cannot be compared: no site holds anybody out."""


def compare(
    scenario: Scenario,
    config: RunConfig,
    run: RunDirectory,
    *,
    tell: Callable[[str], None],
    n_resamples: int = N_RESAMPLES,
    tuned: TunedArms | None = None,
) -> Comparison:
    """Train each site alone and a model on the pooled records; compare them with a finished run.

    All arms have as many passes over their records as the run and the same epsilon, and are
    measured on the held-out records of all sites. They have the same model and training plan,
    unless each was tuned for itself. A run that counted is also compared with a model that is
    trained by gradients on the pooled records. Where the run says `personalise`, there is one arm
    more: each site's records by the model that it made for itself. The comparison is written to
    `comparison.json`.

    Args:
        scenario: The scenario of the run.
        config: Its run config.
        run: The directory of the finished run.
        tell: Called with a line about each arm.
        n_resamples: Bootstrap resamples behind each interval.
        tuned: What each arm chose for itself; the run has what it chose.

    Raises:
        NobodyHeldOut: There is nothing to measure them on.
    """
    began = time.monotonic()
    trained = read_model(run.model)
    records = ArmRecords(trained, run, config, tuple(scenario.sites))
    parts = dict(zip(scenario.sites, records.parts(trained.task), strict=True))
    if not any(part.held_out_examples for part in parts.values()):
        raise NobodyHeldOut(
            "no site of this run holds anybody out: give the sites more persons, or a column split"
        )
    models = {FEDERATED: ArmModel.of(trained)}
    # Before anything is trained: a learner that predicts nothing ends here.
    scores = {FEDERATED: records.scores(models[FEDERATED])}
    models |= _train_arms(records, _arms(config, parts, tuned), tell)
    scores |= {name: records.scores(one) for name, one in models.items() if name not in scores}
    scores |= _trained_scores(trained, records, tell)
    personal = _personal_models(run, parts)
    if personal:
        scores[_PERSONAL] = records.scores_at_each([personal[name] for name in parts])
    untrained = [name for name, part in parts.items() if not part.train_examples]
    count = sum(part.held_out_examples for part in parts.values())
    # Depends on the seed and the number of records only: comparing again gives the same.
    rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(count,)))
    resamples = Resamples.draw(count, n_resamples=n_resamples, rng=rng)
    comparison = _measure_arms(scenario, records, models, personal, scores, resamples)
    measured = {
        "arms": [_with_chosen(one, tuned) for one in comparison.arms],
        "untrained": untrained,
        "nobody_held_out": [name for name, part in parts.items() if not part.held_out_examples],
        "search": tuned.record if tuned else None,
        "seconds": time.monotonic() - began,
    }
    comparison = comparison.model_copy(update=measured)
    write_record(run.comparison, comparison)
    return comparison


def _with_chosen(arm: Arm, tuned: TunedArms | None) -> Arm:
    """Return an arm with the values that it chose for itself, if it chose any."""
    name = arm.site or arm.kind
    if tuned is None or arm.kind not in {"alone", FEDERATED, POOLED}:
        return arm
    return arm.model_copy(update={"chosen": tuned.chosen(name)})


def _arms(
    config: RunConfig, parts: Mapping[str, SiteData], tuned: TunedArms | None
) -> list[ArmTraining]:
    """Return the arms that are trained in one place: those of the sites, then the pooled one."""
    trainable = [name for name, part in parts.items() if part.train_examples]
    there = {**{name: (name,) for name in trainable}, POOLED: tuple(parts)}
    return [
        ArmTraining(tuned.config_of(name) if tuned else config, name, sites)
        for name, sites in there.items()
    ]


def _train_arms(
    records: ArmRecords, arms: Sequence[ArmTraining], tell: Callable[[str], None]
) -> dict[str, ArmModel]:
    """Train each site alone and the pooled arm; in parallel if that takes long."""
    for arm in arms:
        pooled = arm.name == POOLED
        tell("training on the pooled records" if pooled else f"training {arm.name} alone")
    if read_record(records.run.summary, Summary).seconds < _LONG_S:
        return {arm.name: arm.train(records) for arm in arms}
    with parallel_processes(os.cpu_count()) as pool:
        # The pooled arm takes the longest, so it starts first.
        started = {
            arm.name: pool.submit(_train_on_one_thread, arm, records.run, records.config)
            for arm in reversed(arms)
        }
        return {arm.name: started[arm.name].result() for arm in arms}


def _trained_scores(
    counted: TrainedModel, records: ArmRecords, tell: Callable[[str], None]
) -> dict[str, Scores]:
    """Return the scores of a model by gradients on the pooled records, if the run counted.

    None of it if the use case itself is learnt by counting.
    """
    charter, config, usual = counted.charter, records.config, LearnerPlans()
    exact = learner_of(charter, config).contribution.exact
    if not exact or learner_for(charter.task, charter.table, usual).contribution.exact:
        return {}
    tell("training a model by gradients on the pooled records")
    plan = model_plan(config, charter.table)
    task = task_for(charter.task, charter.table, plan, seed=config.seed)
    data = task.pool(records.parts(task))
    statistics = task.statistics_of(data)
    training, vector = training_of(config).plan(data), np.zeros(task.layout.dim)
    for server_round in range(1, int(DEFAULTS["num-server-rounds"]) + 1):
        rng = site_rng(config.seed, _TRAINED, server_round)
        update = task.train(data, statistics, vector, training, rng=rng).update
        vector = (vector + update).astype(np.float32).astype(np.float64)
    return {_TRAINED: records.scores(ArmModel(task, statistics, vector))}


def _personal_models(run: RunDirectory, parts: Mapping[str, SiteData]) -> dict[str, ArmModel]:
    """Return the model that each site made for itself; the shared one where it could make none.

    None of it if no site made any.
    """
    folders = {name: personal_folder(run.site(name)) for name in parts}
    if not any(folder.is_dir() for folder in folders.values()):
        return {}
    return {
        name: ArmModel.of(read_model(folder if folder.is_dir() else run.model))
        for name, folder in folders.items()
    }


def _train_on_one_thread(arm: ArmTraining, run: RunDirectory, config: RunConfig) -> ArmModel:
    """Train on one thread, as every core has a process already; each loads its own records."""
    torch.set_num_threads(1)
    return arm.train(ArmRecords(read_model(run.model), run, config, arm.sites))


def _measure_arms(
    scenario: Scenario,
    records: ArmRecords,
    models: Mapping[str, ArmModel],
    personal: Mapping[str, ArmModel],
    scores: Mapping[str, Scores],
    resamples: Resamples,
) -> Comparison:
    headline = scenario.headline
    metrics = {
        name: resamples.measure(resampled_metric(headline.name, *scored))
        for name, scored in scores.items()
    }
    own: dict[str, float] = {}
    read = zip(scenario.sites, records.parts(models[FEDERATED].task), strict=True)
    held_out_at = {name: part.held_out_examples for name, part in read}
    for name in scenario.sites:
        at_site = {**models, **({_PERSONAL: personal[name]} if personal else {})}
        for arm in (name, FEDERATED, _PERSONAL):
            own[f"{arm} at {name}"] = np.nan
            if arm not in at_site or not held_out_at[name]:
                continue
            metric = resampled_metric(headline.name, *records.at(name).scores(at_site[arm]))
            own[f"{arm} at {name}"] = metric(np.ones(held_out_at[name]))
    return Comparison(
        metric=headline.name,
        metric_title=headline.title,
        higher_is_better=headline.higher_is_better,
        held_out=resamples.counts.shape[1],
        resamples=len(resamples.counts),
        arms=[_arm(name, measured, own) for name, measured in metrics.items()],
        differences=[_difference(name, metrics) for name in metrics if name != FEDERATED],
        over_mean_alone=_over_mean_alone(
            metrics[FEDERATED], [metrics[name] for name in scenario.sites if name in metrics]
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
    interval = (metrics[FEDERATED] - metrics[name]).interval
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
