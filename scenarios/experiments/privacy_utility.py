"""What privacy costs: the model at each epsilon, and runs until the sites' ledgers refuse."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consortium.client.private_training import ledger_of
from consortium.config import RunConfig
from consortium.model.files import read_model
from consortium.run.directory import RunDirectory
from consortium.run.privacy_records import (
    CampaignRun,
    LedgerLine,
    PrivacyCost,
    PrivacyPoint,
    ReceiptLine,
)
from consortium.run.records import write_record
from consortium.site.directory import SiteDirectory, read_site_config
from consortium.wording.refusals import MILLI, SITE_REFUSED
from privacy.differential.ledger_entries import Budget
from privacy.differential.mechanisms import SampledGaussian
from privacy.policy.document import EVERY_DATA_SET, Ceiling, PrivacyTerms, read_policy
from scenarios.engines.runner import RunFailed, ScenarioRun, carry_out
from scenarios.experiments.audit_receipts import receipt_of
from scenarios.experiments.bootstrap import Resamples, resampled
from scenarios.experiments.process_pool import side_by_side
from scenarios.scenario import Scenario
from scenarios.trials import Campaign, PrivacyTrials

N_RESAMPLES = 300


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """One run, measured on everybody's held-out records."""

    predictions: NDArray[np.float64]
    labels: NDArray[np.float64]
    noise_multipliers: tuple[float, ...]
    deltas: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class _Trial:
    scenario: Scenario
    config: RunConfig
    folder: Path


def measure_privacy(
    scenario: Scenario,
    trials: PrivacyTrials,
    config: RunConfig,
    run: RunDirectory,
    *,
    tell: Callable[[str], None],
    workers: int | None = None,
) -> PrivacyCost:
    """Run the scenario at each epsilon, and again and again on the same records.

    Guarantee: at every epsilon the same persons are trained on and the same are held out; each
    run is made by the real apps with ledgers of its own, those of the campaign with ledgers that
    go on. Written to `privacy.json`.

    Args:
        scenario: What is run.
        trials: What is tried.
        config: The scenario's, from which the trials differ.
        run: Where it is written; the single runs are not kept.
        tell: Told of every epsilon and of every run of the campaign.
        workers: Processes beside this one, as many as there are cores if None; 0: none.
    """
    began = time.monotonic()
    folder = run.path / "trials"
    epsilons: list[float | None] = [
        None,
        *(one for one in trials.epsilons for _ in range(trials.repeats)),
    ]
    planned = [
        _Trial(scenario=scenario, config=_at(config, epsilon, trials), folder=folder / str(place))
        for place, epsilon in enumerate(epsilons)
    ]
    scored = _carried_out(planned, os.cpu_count() if workers is None else workers)
    points = _points(scenario, epsilons, scored, seed=config.seed, tell=tell)
    campaign = tuple(_campaign(scenario, trials.campaign, config, folder, tell))
    cost = PrivacyCost(
        metric=scenario.headline.name,
        metric_title=scenario.headline.title,
        higher_is_better=scenario.headline.higher_is_better,
        unit=config.privacy.label,
        delta=max(delta for one in scored for delta in one.deltas),
        held_out=len(scored[0].labels),
        points=points,
        campaign=campaign,
        receipts=tuple(_receipts(run, folder, campaign)),
        seconds=time.monotonic() - began,
    )
    shutil.rmtree(folder, ignore_errors=True)
    write_record(run.privacy, cost)
    return cost


def _points(
    scenario: Scenario,
    epsilons: Sequence[float | None],
    scored: Sequence[_Scored],
    *,
    seed: int,
    tell: Callable[[str], None],
) -> tuple[PrivacyPoint, ...]:
    """Return what each epsilon costs, telling of each."""
    resamples = Resamples.draw(
        len(scored[0].labels), n_resamples=N_RESAMPLES, rng=np.random.default_rng(seed)
    )
    points = []
    for epsilon in dict.fromkeys(epsilons):
        found = [one for one, at in zip(scored, epsilons, strict=True) if at == epsilon]
        points.append(_point(scenario, epsilon, found, resamples))
        tell(_line(scenario, points[-1]))
    return tuple(points)


def _receipts(
    run: RunDirectory, folder: Path, campaign: Sequence[CampaignRun]
) -> Iterator[ReceiptLine]:
    yield receipt_of(run, "this run", home=run)
    for one in campaign:
        yield receipt_of(
            RunDirectory(folder / f"campaign-{one.number}"), f"run {one.number}", home=run
        )


def _at(config: RunConfig, epsilon: float | None, trials: PrivacyTrials) -> RunConfig:
    chosen = trials.without if epsilon is None else {"dp.epsilon": epsilon}
    return RunConfig.parse({**config.flat(), **chosen})


def _carried_out(planned: Sequence[_Trial], workers: int | None) -> list[_Scored]:
    if workers == 0:
        return [_tried(trial) for trial in planned]
    with side_by_side(workers) as pool:
        return list(pool.map(_tried, planned))


def _tried(trial: _Trial) -> _Scored:
    """Carry out one run, measure it, and let its directory go."""
    trial.folder.mkdir(parents=True)
    run = RunDirectory(trial.folder)
    carry_out(ScenarioRun(scenario=trial.scenario, config=trial.config), run)
    predictions, labels = _scores(trial.scenario, trial.config, run)
    reserved: list[tuple[SampledGaussian, Budget]] = []
    for name in trial.scenario.sites:
        with ledger_of(run.site(name)) as ledger:
            reserved += [
                (one.reserved.event, one.reserved.budget)
                for one in ledger.charges()
                if isinstance(one.reserved.event, SampledGaussian)
            ]
    shutil.rmtree(trial.folder)
    return _Scored(
        predictions=predictions,
        labels=labels,
        noise_multipliers=tuple(event.noise_multiplier for event, _ in reserved),
        deltas=tuple(budget.delta for _, budget in reserved),
    )


def _scores(
    scenario: Scenario, config: RunConfig, run: RunDirectory
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    model = read_model(run.model)
    sources = [read_site_config(run.site(name)).source for name in scenario.sites]
    parts = [model.task.load(source, seed=config.seed) for source in sources]
    scored = [model.task.score(part, model.statistics, model.vector) for part in parts]
    return (
        np.concatenate([predictions for predictions, _ in scored]),
        np.concatenate([labels for _, labels in scored]),
    )


def _point(
    scenario: Scenario, epsilon: float | None, found: Sequence[_Scored], resamples: Resamples
) -> PrivacyPoint:
    """Return the mean over runs; its interval is over runs and resampled records alike."""
    metrics = [resampled(scenario.headline.name, one.predictions, one.labels) for one in found]
    values = [metric(np.ones(len(found[0].labels))) for metric in metrics]
    drawn = np.concatenate([resamples.values(metric) for metric in metrics])
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return PrivacyPoint(
        epsilon=epsilon,
        value=float(np.mean(values)),
        low=float(low),
        high=float(high),
        values=tuple(values),
        noise_multiplier=tuple(sorted({n for one in found for n in one.noise_multipliers})),
    )


def _campaign(
    scenario: Scenario,
    campaign: Campaign,
    config: RunConfig,
    folder: Path,
    tell: Callable[[str], None],
) -> list[CampaignRun]:
    """Run again and again, each site's ledger going on, until no run finishes any more."""
    runs: list[CampaignRun] = []
    for number in range(1, campaign.runs + 1):
        before = RunDirectory(folder / f"campaign-{number - 1}")
        run = RunDirectory(folder / f"campaign-{number}")
        asked = RunConfig.parse({**config.flat(), "dp.epsilon": campaign.epsilon})
        run.path.mkdir(parents=True)
        order = ScenarioRun(
            scenario=scenario,
            config=asked,
            ready=partial(_go_on, scenario, campaign, before),
        )
        runs.append(_campaign_run(order, campaign, number, run))
        tell(_campaign_line(scenario, runs[-1]))
        if not runs[-1].finished:
            break
    return runs


def _campaign_run(
    order: ScenarioRun, campaign: Campaign, number: int, run: RunDirectory
) -> CampaignRun:
    value, finished = None, True
    try:
        carry_out(order, run)
    except RunFailed:
        finished = False
    else:
        predictions, labels = _scores(order.scenario, order.config, run)
        value = resampled(order.scenario.headline.name, predictions, labels)(np.ones(len(labels)))
    return CampaignRun(
        number=number,
        epsilon=campaign.epsilon,
        finished=finished,
        value=value,
        sites=tuple(
            _ledger_line(order.scenario, campaign, name, run) for name in order.scenario.sites
        ),
    )


def _ledger_line(
    scenario: Scenario, campaign: Campaign, name: str, run: RunDirectory
) -> LedgerLine:
    """Return what a site's ledger says, and what the coordinator recorded of its refusal."""
    config = read_site_config(run.site(name))
    with ledger_of(run.site(name)) as ledger:
        spent = ledger.spent(config.data_set, delta=campaign.delta).pld
    events = map(json.loads, run.events.read_text().splitlines())
    refusals = [one for one in events if one["event"] == "site-quarantined" and one["site"] == name]
    line = LedgerLine(site=name, spent=spent, allowed=campaign.ceiling(name))
    if not refusals:
        return line
    counts = refusals[0]["counts"]
    return line.model_copy(
        update={
            "refused": refusals[0]["code"].removeprefix(SITE_REFUSED),
            "asked": _milli(counts, "asked"),
            "left": _milli(counts, "left"),
        }
    )


def _milli(counts: Mapping[str, int], name: str) -> float | None:
    found = counts.get(name + MILLI)
    return None if found is None else found / 1000


def _go_on(scenario: Scenario, campaign: Campaign, before: RunDirectory, now: RunDirectory) -> None:
    """Give each staged site its operator's ceiling, and the ledger it had."""
    for name in scenario.sites:
        ceiling = Ceiling(epsilon=campaign.ceiling(name), delta=campaign.delta)
        terms = PrivacyTerms(required=True, ceilings={EVERY_DATA_SET: ceiling})
        policy = read_policy(now.site(name)).model_copy(update={"privacy": terms})
        policy.write(now.site(name))
        kept = SiteDirectory(before.site(name)).ledger
        if kept.exists():
            shutil.copytree(kept, SiteDirectory(now.site(name)).ledger)


def _line(scenario: Scenario, point: PrivacyPoint) -> str:
    at = "without privacy" if point.epsilon is None else f"epsilon {point.epsilon:g}"
    title = scenario.headline.title
    return f"{at:>16}: {title} {point.value:.4f} ({point.low:.4f} to {point.high:.4f})"


def _campaign_line(scenario: Scenario, run: CampaignRun) -> str:
    refused = [line.site for line in run.sites if line.refused]
    value = "stopped" if run.value is None else f"{scenario.headline.title} {run.value:.4f}"
    return f"run {run.number}: {value}; refused by {', '.join(refused) or 'nobody'}"
