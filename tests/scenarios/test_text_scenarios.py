"""The contract of scenarios on texts: their records fit their schema."""

import pytest

from scenarios.library import (
    clinical_entities,
    clinical_notes,
    market_sentiment,
)
from scenarios.scenario import Scenario
from sites.schema.tables import ClassLabel
from sites.schema.texts import EntitySchema, NotesSchema

SCENARIOS = (
    clinical_notes.SCENARIO,
    clinical_entities.SCENARIO,
    clinical_entities.TEN_HOSPITALS,
    market_sentiment.SCENARIO,
    clinical_notes.TWO_DOMAINS,
)
each = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


@each
def test_every_record_has_a_site_and_fits_the_schema(scenario: Scenario) -> None:
    assert scenario.records is not None
    assert scenario.site_of_row is not None
    frame = scenario.records()
    owner = scenario.site_of_row(frame)
    assert set(owner) == set(scenario.sites)
    assert (owner.groupby(frame[scenario.table.person]).nunique() == 1).all()
    match scenario.table:
        case NotesSchema(label=ClassLabel(column=column, classes=classes), text=text):
            assert set(frame[column]) == set(classes)
            assert (frame[text].str.strip() != "").all()
        case EntitySchema(types=types):
            tags = {tag[2:] for tags in frame["tags"] for tag in tags if tag != "O"}
            assert tags == set(types)


@each
def test_synthetic_records_are_called_synthetic(scenario: Scenario) -> None:
    """Only the phrases of ICD-10-CM are real; their hospitals are not."""
    made_up = "SYNTHETIC" in scenario.story or "made up" in scenario.story
    assert made_up
    assert scenario.charter.fingerprint
    assert scenario.config_with({}).training.optimizer == "adam"
