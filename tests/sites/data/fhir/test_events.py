"""A map chooses resources by the codes that they say, in any of their codings."""

from datetime import date
from pathlib import Path

import pytest

from sites.data.fhir.events import date_of, require_date
from sites.data.fhir.refusals import BadResources
from sites.data.mapped.refusals import Refused
from tests.sites.data.fhir.wards import (
    INDEX,
    POTASSIUM,
    Json,
    cells_of,
    condition,
    observation,
    order,
    patient,
    table_of,
)

ICD = "http://hl7.org/fhir/sid/icd-10"


def ill(folder: Path, codes: str, *resources: Json) -> object:
    columns = (
        f'[columns.ill]\nresource = "Condition"\ntake = "count"\n{codes}within_days = "always"\n'
    )
    return cells_of(folder, [patient(), *resources], columns)["ill"]


@pytest.mark.parametrize(
    ("codes", "n_found"),
    [
        ("", 4.0),
        (f'codes = ["{ICD}|I21"]\n', 1.0),
        (f'codes = ["{ICD}|I21*"]\n', 2.0),
        (f'codes = ["{ICD}|I21", "{ICD}|I21.0", "{ICD}|I2*"]\n', 3.0),
        ('codes = ["http://hl7.org/fhir/sid/icd-10-cm|I21"]\n', 0.0),
        ('codes = ["|I21"]\n', 0.0),
        (f'codes = ["{ICD}|i21"]\n', 0.0),
    ],
)
def test_codes_choose_by_system_and_code_or_its_beginning(
    codes: str, n_found: float, tmp_path: Path
) -> None:
    found = [condition(code, f"c{code}") for code in ("I21", "I21.0", "I20", "E11")]
    assert ill(tmp_path, codes, *found) == n_found


def test_a_concept_of_several_codings_is_one_event(tmp_path: Path) -> None:
    coding = [{"system": ICD, "code": "I21"}, {"system": ICD, "code": "I21.0"}, {"code": "x"}, {}]
    both = {**condition("x"), "code": {"coding": coding, "text": "infarct"}}
    assert ill(tmp_path, f'codes = ["{ICD}|I21*", "|x"]\n', both) == 1.0
    assert (
        ill(tmp_path, f'codes = ["{ICD}|I21*"]\n', {**condition("x"), "code": {"text": "I21"}})
        == 0.0
    )


def test_several_columns_may_be_made_of_one_resource(tmp_path: Path) -> None:
    columns = POTASSIUM + POTASSIUM.replace("columns.potassium", "columns.again")
    assert cells_of(tmp_path, [patient(), observation()], columns) == {
        "potassium": 4.5,
        "again": 4.5,
    }


def test_a_malformed_concept_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(BadResources, match=r"Condition: expected an object, .*c1, code is 'I21'"):
        ill(tmp_path, f'codes = ["{ICD}|I21"]\n', {**condition("x"), "code": "I21"})


@pytest.mark.parametrize("name", ["modifierExtension", "implicitRules"])
def test_what_may_change_a_meaning_is_refused_where_it_counts(name: str, tmp_path: Path) -> None:
    changed = {**observation(), name: [{"url": "https://ward.example/not", "valueBoolean": True}]}
    with pytest.raises(BadResources, match=rf"Observation/o1, {name}\)"):
        cells_of(tmp_path, [patient(), changed], POTASSIUM)
    error = {**changed, "status": "entered-in-error"}
    assert cells_of(tmp_path, [patient(), error, observation("o2")], POTASSIUM)["potassium"] == 4.5


@pytest.mark.parametrize(
    ("resource", "day"),
    [
        (observation(), "2024-06-01"),
        (
            observation(effectiveDateTime=None, effectiveInstant="2024-06-02T00:00:00Z"),
            "2024-06-02",
        ),
        (
            observation(effectiveDateTime=None, effectivePeriod={"start": "2024-06-03"}),
            "2024-06-03",
        ),
        (condition("x", onsetDateTime=None, recordedDate="2021-01-01"), "2021-01-01"),
        (condition("x", onsetDateTime=None, onsetPeriod={"start": "2022-01-01"}), "2022-01-01"),
        (order(), "2024-06-01"),
        ({"resourceType": "Encounter", "period": {"start": "2020-01-01"}}, "2020-01-01"),
    ],
)
def test_a_resource_was_when_the_first_of_its_dates_says(resource: Json, day: str) -> None:
    found = date_of(resource, "refuse")
    assert found is not None
    assert found.day == date.fromisoformat(day).toordinal()
    assert require_date(resource, "refuse") == found


def test_a_resource_without_a_date_is_refused_where_a_window_asks_for_one(tmp_path: Path) -> None:
    undated = condition("I21", onsetDateTime=None, onsetAge={"value": 50})
    assert date_of(undated, "refuse") is None
    with pytest.raises(Refused, match="onsetDateTime or onsetPeriod or recordedDate"):
        require_date(undated, "refuse")
    assert ill(tmp_path, "", undated) == 1.0
    windowed = '[columns.ill]\nresource = "Condition"\ntake = "count"\nwithin_days = [-9999, 0]\n'
    with pytest.raises(BadResources, match="ill: expected a date"):
        table_of(tmp_path, [patient(), undated], INDEX + windowed)
