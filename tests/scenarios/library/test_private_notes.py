"""Private training on notes: the scenario's epsilons, and a round on few records."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from consortium.client.site_ledger import ledger_of
from consortium.differential_privacy import NotPrivate
from consortium.run.directory import RunDirectory
from privacy.differential.mechanisms import SampledGaussian
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.library.private_notes import PHRASES, SCENARIO, first_phrases


def few_phrases() -> pd.DataFrame:
    """Return one phrase of every fifth category."""
    phrases = first_phrases().drop_duplicates("category")
    return phrases.iloc[::5].reset_index(drop=True)


def test_every_epsilon_of_the_scenario_protects_persons() -> None:
    assert first_phrases().groupby("category").size().max() == PHRASES
    assert SCENARIO.privacy is not None
    assert SCENARIO.privacy.epsilons == (8.0, 3.0, 1.0, 0.5)
    for epsilon in SCENARIO.privacy.epsilons:
        dp = SCENARIO.config_with({"dp.epsilon": epsilon}).dp
        assert (dp.unit, dp.max_records_per_person) == ("person", PHRASES)
    assert SCENARIO.config_with(SCENARIO.privacy.without).privacy == NotPrivate()


def test_every_site_accounts_for_a_round_on_few_records(tmp_path: Path) -> None:
    scenario = replace(SCENARIO, records=few_phrases)
    config = scenario.config_with({"num-server-rounds": 1, "dp.steps": 2, "dp.epsilon": 3.0})
    run = RunDirectory(tmp_path)
    summary = run_scenario(ScenarioRun(scenario=scenario, config=config), run)
    assert summary.status == "finished"
    assert 0 <= summary.metrics[scenario.headline.name].value <= 1
    for name in scenario.sites:
        with ledger_of(run.site(name)) as ledger:
            events = [one.reserved.event for one in ledger.charges()]
        private = [event for event in events if isinstance(event, SampledGaussian)]
        assert [(event.unit, event.steps) for event in private] == [("person", 2)]
