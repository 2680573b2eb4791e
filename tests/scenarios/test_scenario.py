from dataclasses import FrozenInstanceError, replace

import pytest

from consortium.config import KEYS, BadConfig
from scenarios.library.registry import scenario_named

HEART = scenario_named("heart-diagnosis")


def test_the_users_choices_override_the_scenarios_and_those_the_defaults() -> None:
    assert HEART.run_config["learning-rate"] != KEYS["learning-rate"]
    assert HEART.config_with({}).training.learning_rate == HEART.run_config["learning-rate"]
    assert HEART.config_with({"learning-rate": 0.5}).training.learning_rate == 0.5
    assert HEART.config_with({}).seed == KEYS["seed"]


def test_the_users_choices_are_checked_together_with_the_scenarios() -> None:
    with pytest.raises(BadConfig, match="did you mean 'seed'"):
        HEART.config_with({"sed": 1})
    weighted = replace(HEART, run_config={"weighting": "examples"})
    with pytest.raises(BadConfig, match="set weighting to classes or equal"):
        weighted.config_with({"aggregation": "encrypted"})


def test_the_charter_is_the_agreement_of_the_scenarios_sites() -> None:
    charter = HEART.charter
    assert charter.names == HEART.sites
    assert (charter.name, charter.task, charter.table) == (HEART.name, HEART.task, HEART.table)
    assert charter.floors == HEART.floors
    assert not charter.floors.encrypted


def test_another_site_or_column_or_floor_is_another_agreement() -> None:
    others = [
        replace(HEART, sites=HEART.sites[:-1]),
        replace(HEART, table=scenario_named("heart-severity").table),
        replace(HEART, floors=HEART.floors.model_copy(update={"min_sites": 3})),
    ]
    prints = {one.charter.fingerprint for one in (HEART, *others)}
    assert len(prints) == 4


def test_words_for_people_and_run_configs_change_no_agreement() -> None:
    told = replace(HEART, title="Other words", story="Other words", run_config={})
    assert told.charter.fingerprint == HEART.charter.fingerprint


def test_a_scenario_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        HEART.name = "other"  # type: ignore[misc]
