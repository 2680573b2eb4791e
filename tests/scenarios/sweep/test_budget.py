"""A sweep of private runs is paid for before its first trial, or refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from consortium.client.site_ledger import ledger_of
from privacy.differential.mechanisms import SampledGaussian
from scenarios.library.registry import scenario_named
from scenarios.sweep.budget import SweepTooDear
from scenarios.sweep.order import SweepOrder
from scenarios.sweep.records import SweepDirectory
from scenarios.sweep.search.schedule import Rung, most_rounds
from scenarios.sweep.search.space import parse_searches
from scenarios.sweep.sweep import run_sweep
from scenarios.trials import Campaign, PrivacyTrials

CEILINGS = {"": 2.0, "hungary": 1.2}
HEART = replace(
    scenario_named("heart-diagnosis"),
    run_config={
        "model": "logistic",
        "num-server-rounds": 2,
        "learning-rate": 0.5,
        "weighting": "equal",
        "dp.unit": "person",
        "dp.steps": 3,
        "dp.sampling-rate": 0.3,
        "dp.delta": 1e-4,
    },
    privacy=PrivacyTrials(
        epsilons=(),
        repeats=1,
        without={},
        campaign=Campaign(epsilon=1.0, runs=1, ceilings=CEILINGS, delta=1e-4),
    ),
)


def order_of(epsilon: float) -> SweepOrder:
    chosen = {"dp.epsilon": epsilon}
    return SweepOrder(
        name=HEART.name,
        scenario=HEART,
        config=HEART.config_with(chosen),
        chosen=chosen,
        searches=parse_searches(["learning-rate=log(0.1,1)"]),
        trials=4,
        reduction=2,
    )


def test_all_trials_are_reserved_as_one_event_and_cost_what_was_asked(tmp_path: Path) -> None:
    directory = SweepDirectory(tmp_path / "sweep")
    record = run_sweep(order_of(1.0), directory, tell=print, workers=0)
    noise = record.noise["dp.noise-multiplier"]
    assert len(record.prices) == len(HEART.sites)
    for price in record.prices:
        assert 0.9 < price.epsilon <= 1.0
        assert price.allowed == CEILINGS.get(price.site, CEILINGS[""])
        # Four trials to a first rung of one round and one more, of which two were whole runs.
        (event,) = _events(directory.paid.site(price.site))
        assert (event.steps, event.noise_multiplier) == (3 * 8, noise)
        trained = [
            event.steps
            for one in record.trials
            for event in _events(directory.trial(one.number).site(price.site))
        ]
        assert trained in ([], [6])  # the losers' sites are gone
    winner = directory.trial(record.winner)
    for name in HEART.sites:
        assert [one.noise_multiplier for one in _events(winner.site(name))] == [noise]


def test_a_sweep_that_a_site_cannot_pay_is_refused_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    directory = SweepDirectory(tmp_path / "sweep")
    with pytest.raises(SweepTooDear, match=r"hungary refuses .* fewer --trials, fewer rounds"):
        run_sweep(order_of(1.5), directory, tell=print, workers=0)
    assert not (directory.path / "trials").exists()
    for name in HEART.sites:  # and nobody is left with a reservation
        assert _events(directory.paid.site(name)) == []


def test_the_steps_that_were_reserved_are_all_that_the_schedule_has() -> None:
    rungs = [Rung(one.trials, one.rounds) for one in order_of(1.0).plan.rungs]
    assert most_rounds(rungs, lag=1) == 4 * 2 + 2 * 0


def _events(site: Path) -> list[SampledGaussian]:
    if not site.exists():
        return []
    with ledger_of(site) as ledger:
        return [one for one in ledger.events() if isinstance(one, SampledGaussian)]
