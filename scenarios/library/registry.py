"""The scenarios by name."""

from collections.abc import Mapping
from types import MappingProxyType

from privacy.errors import ConsortiumError, look_up
from scenarios.library import (
    bank_credit,
    byzantine_banks,
    card_fraud,
    careless_hospital,
    clinical_entities,
    clinical_notes,
    five_clinics,
    heart_diagnosis,
    heart_odds,
    house_prices,
    lung_survival,
    market_sentiment,
    private_banks,
    private_notes,
    regional_lenders,
)
from scenarios.scenario import Scenario

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        scenario.name: scenario
        for scenario in (
            bank_credit.SCENARIO,
            bank_credit.SCORECARD,
            bank_credit.TREES,
            regional_lenders.SCENARIO,
            card_fraud.SCENARIO,
            card_fraud.EASY,
            card_fraud.HARD,
            heart_diagnosis.SCENARIO,
            heart_diagnosis.SEVERITY,
            five_clinics.SCENARIO,
            heart_odds.SCENARIO,
            house_prices.SCENARIO,
            lung_survival.SCENARIO,
            byzantine_banks.SCENARIO,
            careless_hospital.SCENARIO,
            clinical_notes.SCENARIO,
            clinical_notes.TWO_DOMAINS,
            clinical_entities.SCENARIO,
            clinical_entities.TEN_HOSPITALS,
            market_sentiment.SCENARIO,
            private_banks.SCENARIO,
            private_notes.SCENARIO,
        )
    }
)


class UnknownScenario(ConsortiumError, LookupError, code="unknown-scenario"):
    """There is no scenario of this name."""


def scenario_named(name: str) -> Scenario:
    """Return the scenario of that name.

    Raises:
        UnknownScenario: There is none; the error suggests the nearest name.
    """
    return look_up(name, SCENARIOS, kind="scenario", refusal=UnknownScenario)
