"""What privacy costs: runs at several epsilons, and repeated runs until the ledgers refuse."""

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

from consortium.client.site_ledger import ledger_of
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
from consortium.site.site import records_of
from consortium.wording.refusals import MILLI, SITE_REFUSED
from privacy.differential.ledger_entries import Budget
from privacy.differential.mechanisms import SampledGaussian
from privacy.policy.document import EVERY_DATA_SET, Ceiling, PrivacyTerms, read_policy
from scenarios.engines.runner import RunFailed, ScenarioRun, run_scenario
from scenarios.experiments.audit_receipts import write_run_receipt
from scenarios.experiments.bootstrap import Resamples, resampled_metric
from scenarios.experiments.process_pool import parallel_processes
from scenarios.scenario import Scenario
from scenarios.trials import Campaign, PrivacyTrials

N_RESAMPLES = 300


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """Predictions of one run for the held-out records of all sites, and what its noise was."""

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
    """Run the scenario at each epsilon, and repeatedly on the same records.

    Guarantee: at every epsilon the same persons train and the same are held out. All runs use the
    real apps. A run at one epsilon starts with empty ledgers; those of the campaign continue the
    ledgers of the run before. The result is written to `privacy.json`.

    Args:
        scenario: The scenario to run.
        trials: What to try.
        config: The scenario's run config, which the trials change.
        run: Where the result is written; the directories of single runs are removed.
        tell: Called with a line about each epsilon and each run of the campaign.
        workers: Number of worker processes; by default one a core; 0 runs all in this process.
    """
    began = time.monotonic()
    folder = run.path / "trials"
    # None stands for no privacy.
    epsilons: list[float | None] = [
        None,
        *(one for one in trials.epsilons for _ in range(trials.repeats)),
    ]
    planned = [
        _Trial(
            scenario=scenario,
            config=_config_at(config, epsilon, trials),
            folder=folder / str(place),
        )
        for place, epsilon in enumerate(epsilons)
    ]
    scored = _run_trials(planned, os.cpu_count() if workers is None else workers)
    points = _privacy_points(scenario, epsilons, scored, seed=config.seed, tell=tell)
    campaign = tuple(_run_campaign(scenario, trials.campaign, config, folder, tell))
    cost = PrivacyCost(
        metric=scenario.headline.name,
        metric_title=scenario.headline.title,
        higher_is_better=scenario.headline.higher_is_better,
        unit=config.privacy.label,
        # Each site has its own delta; the largest one holds for all of them.
        delta=max(delta for one in scored for delta in one.deltas),
        held_out=len(scored[0].labels),
        points=points,
        campaign=campaign,
        receipts=tuple(_write_receipts(run, folder, campaign)),
        seconds=time.monotonic() - began,
    )
    shutil.rmtree(folder, ignore_errors=True)
    write_record(run.privacy, cost)
    return cost


def _privacy_points(
    scenario: Scenario,
    epsilons: Sequence[float | None],
    scored: Sequence[_Scored],
    *,
    seed: int,
    tell: Callable[[str], None],
) -> tuple[PrivacyPoint, ...]:
    """Return the metric at each epsilon, and tell each."""
    resamples = Resamples.draw(
        len(scored[0].labels), n_resamples=N_RESAMPLES, rng=np.random.default_rng(seed)
    )
    points = []
    for epsilon in dict.fromkeys(epsilons):
        found = [one for one, at in zip(scored, epsilons, strict=True) if at == epsilon]
        points.append(_privacy_point(scenario, epsilon, found, resamples))
        tell(_point_line(scenario, points[-1]))
    return tuple(points)


def _write_receipts(
    run: RunDirectory, folder: Path, campaign: Sequence[CampaignRun]
) -> Iterator[ReceiptLine]:
    yield write_run_receipt(run, "this run", home=run)
    for one in campaign:
        yield write_run_receipt(
            RunDirectory(folder / f"campaign-{one.number}"), f"run {one.number}", home=run
        )


def _config_at(config: RunConfig, epsilon: float | None, trials: PrivacyTrials) -> RunConfig:
    chosen = trials.without if epsilon is None else {"dp.epsilon": epsilon}
    return RunConfig.parse({**config.flat(), **chosen})


def _run_trials(planned: Sequence[_Trial], workers: int | None) -> list[_Scored]:
    if workers == 0:
        return [_run_trial(trial) for trial in planned]
    with parallel_processes(workers) as pool:
        return list(pool.map(_run_trial, planned))


def _run_trial(trial: _Trial) -> _Scored:
    """Run one trial, measure it, and remove its directory."""
    trial.folder.mkdir(parents=True)
    run = RunDirectory(trial.folder)
    run_scenario(ScenarioRun(scenario=trial.scenario, config=trial.config), run)
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
    parts = [records_of(model.task, run.site(name), config) for name in scenario.sites]
    scored = [model.task.score(part, model.statistics, model.vector) for part in parts]
    return (
        np.concatenate([predictions for predictions, _ in scored]),
        np.concatenate([labels for _, labels in scored]),
    )


def _privacy_point(
    scenario: Scenario, epsilon: float | None, found: Sequence[_Scored], resamples: Resamples
) -> PrivacyPoint:
    """Return the mean over runs, with an interval over both runs and resampled records."""
    resampled = [
        resamples.measure(resampled_metric(scenario.headline.name, one.predictions, one.labels))
        for one in found
    ]
    values = [one.value for one in resampled]
    # All resamples of all runs in one sample: its spread has both sources.
    drawn = np.concatenate([one.values for one in resampled])
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return PrivacyPoint(
        epsilon=epsilon,
        value=float(np.mean(values)),
        low=float(low),
        high=float(high),
        values=tuple(values),
        noise_multiplier=tuple(sorted({n for one in found for n in one.noise_multipliers})),
    )


def _run_campaign(
    scenario: Scenario,
    campaign: Campaign,
    config: RunConfig,
    folder: Path,
    tell: Callable[[str], None],
) -> list[CampaignRun]:
    """Run repeatedly, continuing each site's ledger, until a run fails or all are done."""
    runs: list[CampaignRun] = []
    for number in range(1, campaign.runs + 1):
        before = RunDirectory(folder / f"campaign-{number - 1}")
        run = RunDirectory(folder / f"campaign-{number}")
        asked = RunConfig.parse({**config.flat(), "dp.epsilon": campaign.epsilon})
        run.path.mkdir(parents=True)
        order = ScenarioRun(
            scenario=scenario,
            config=asked,
            on_staged=partial(_hand_ledgers_over, scenario, campaign, before),
        )
        runs.append(_run_of_campaign(order, campaign, number, run))
        tell(_campaign_line(scenario, runs[-1]))
        if not runs[-1].finished:
            break
    return runs


def _run_of_campaign(
    order: ScenarioRun, campaign: Campaign, number: int, run: RunDirectory
) -> CampaignRun:
    value, finished = None, True
    try:
        run_scenario(order, run)
    except RunFailed:
        # A refusal is a result here: it is what the campaign waits for.
        finished = False
    else:
        predictions, labels = _scores(order.scenario, order.config, run)
        value = resampled_metric(order.scenario.headline.name, predictions, labels)(
            np.ones(len(labels))
        )
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
    """Return what a site's ledger has spent, and its refusal if the coordinator recorded one."""
    config = read_site_config(run.site(name))
    with ledger_of(run.site(name)) as ledger:
        spent = ledger.spent(
            config.data_set, Budget(epsilon=campaign.ceiling(name), delta=campaign.delta)
        ).weighed
    events = map(json.loads, run.events.read_text().splitlines())
    refusals = [one for one in events if one["event"] == "site-quarantined" and one["site"] == name]
    line = LedgerLine(site=name, spent=spent, allowed=campaign.ceiling(name))
    if not refusals:
        return line
    counts = refusals[0]["counts"]
    return line.model_copy(
        update={
            "refused": refusals[0]["code"].removeprefix(SITE_REFUSED),
            "asked": _from_milli(counts, "asked"),
            "left": _from_milli(counts, "left"),
        }
    )


def _from_milli(counts: Mapping[str, int], name: str) -> float | None:
    found = counts.get(name + MILLI)
    return None if found is None else found / 1000


def _hand_ledgers_over(
    scenario: Scenario, campaign: Campaign, before: RunDirectory, now: RunDirectory
) -> None:
    """Give each staged site its ceiling, and its ledger from the run before."""
    for name in scenario.sites:
        ceiling = Ceiling(epsilon=campaign.ceiling(name), delta=campaign.delta)
        terms = PrivacyTerms(required=True, ceilings={EVERY_DATA_SET: ceiling})
        policy = read_policy(now.site(name)).model_copy(update={"privacy": terms})
        policy.write(now.site(name))
        # Staging makes new sites; the ledger is what must outlast a run.
        kept = SiteDirectory(before.site(name)).ledger
        if kept.exists():
            shutil.copytree(kept, SiteDirectory(now.site(name)).ledger)


def _point_line(scenario: Scenario, point: PrivacyPoint) -> str:
    at = "without privacy" if point.epsilon is None else f"epsilon {point.epsilon:g}"
    title = scenario.headline.title
    return f"{at:>16}: {title} {point.value:.4f} ({point.low:.4f} to {point.high:.4f})"


def _campaign_line(scenario: Scenario, run: CampaignRun) -> str:
    refused = [line.site for line in run.sites if line.refused]
    value = "stopped" if run.value is None else f"{scenario.headline.title} {run.value:.4f}"
    return f"run {run.number}: {value}; refused by {', '.join(refused) or 'nobody'}"
