"""What was made in error, refuted, cancelled or only planned does not count."""

import pytest

from sites.data.fhir.statuses import STATUSES, counts
from sites.data.mapped.refusals import Refused
from tests.sites.data.fhir.wards import Json, condition, observation, order

VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def verified(code: str, system: str = VERIFICATION) -> Json:
    return condition("I21", verificationStatus={"coding": [{"system": system, "code": code}]})


@pytest.mark.parametrize(
    ("resource", "counted"),
    [
        *((observation(status=one), True) for one in ("final", "amended", "corrected")),
        *((observation(status=one), False) for one in ("entered-in-error", "cancelled", "unknown")),
        *((observation(status=one), False) for one in ("preliminary", "registered")),
        (condition("I21"), True),
        *((verified(one), True) for one in ("confirmed", "unconfirmed", "provisional")),
        *((verified(one), False) for one in ("refuted", "entered-in-error")),
        *((order(status=one), True) for one in ("active", "completed", "stopped", "on-hold")),
        *((order(status=one), False) for one in ("draft", "cancelled", "entered-in-error")),
        *((order(intent=one), False) for one in ("proposal", "plan", "option")),
        (order(doNotPerform=True), False),
        (order(doNotPerform=False), True),
        ({"resourceType": "Encounter", "status": "finished"}, True),
        ({"resourceType": "Encounter", "status": "planned"}, False),
    ],
)
def test_a_resource_counts_by_its_status(resource: Json, counted: bool) -> None:
    assert counts(resource, None) is counted


def test_a_map_may_say_which_statuses_count() -> None:
    assert counts(observation(status="preliminary"), ["preliminary"])
    assert not counts(observation(status="final"), ["preliminary"])
    assert not counts(condition("I21"), ["confirmed"])
    assert counts(verified("confirmed"), ["confirmed"])
    assert not counts(order(intent="plan"), ["active"])


@pytest.mark.parametrize(
    "resource",
    [
        observation(status="finall"),
        observation(status=None),
        observation(status=1),
        verified("sure"),
        verified("confirmed", "http://snomed.info/sct"),
        order(status="entered-in-errors"),
        {"resourceType": "Encounter"},
    ],
)
def test_a_status_that_fhir_does_not_have_is_refused(resource: Json) -> None:
    with pytest.raises(Refused) as refused:
        counts(resource, None)
    assert refused.value.element in {"status", "verificationStatus"}


def test_no_status_both_counts_and_does_not() -> None:
    assert not any(one.counted & one.others for one in STATUSES.values())
