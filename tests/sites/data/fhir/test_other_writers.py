"""Bulk data that another program wrote make the table that one computes from them by hand.

`clinosim-0.6.5.ndjson.gz` are the resources of 11 made-up patients, of the bulk data that clinosim
0.6.5 (MIT) writes: `clinosim simulate -p 400 -s 7 --country US --end 2024-12-31 --format fhir-r4`.
"""

import base64
import gzip
import json
import math
import statistics
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from sites.data.fhir.table import read_fhir
from sites.data.source import FhirFiles
from tests.sites.data.fhir.wards import LOINC, PATIENT, Json

FILE = Path(__file__).with_name("clinosim-0.6.5.ndjson.gz")
END = date(2024, 12, 31)
SCORES = "http://clinosim.dev/fhir/CodeSystem/nursing-scores"
MAP = f"""person = "patient"
[index]
on = "{END}"
{PATIENT}[columns.systolic]
resource = "Observation"
codes = ["{LOINC}|8480-6"]
value = "quantity"
unit = "mm[Hg]"
take = "latest"
within_days = [-180, 0]
[columns.creatinine]
resource = "Observation"
codes = ["{LOINC}|2160-0"]
value = "quantity"
unit = "umol/L"
units = {{ "mg/dL" = 88.42 }}
take = "max"
within_days = [-365, 0]
[columns.heart_rate]
resource = "Observation"
codes = ["{LOINC}|8867-4"]
value = "quantity"
unit = "/min"
take = "mean"
within_days = [-365, 0]
[columns.score]
resource = "Observation"
codes = ["{SCORES}|NEWS2"]
value = "integer"
take = "first"
within_days = [-365, 0]
[columns.hypertensive]
resource = "Condition"
codes = ["http://hl7.org/fhir/sid/icd-10-cm|I1*"]
take = "exists"
within_days = "always"
[columns.visits]
resource = "Encounter"
codes = ["http://terminology.hl7.org/CodeSystem/v3-ActCode|AMB"]
take = "count"
within_days = [-365, 0]
[columns.orders]
resource = "MedicationRequest"
take = "count"
within_days = [-90, 0]
"""
NOTES = """person = "patient"
[index]
resource = "DocumentReference"
take = "each"
[columns.text]
resource = "DocumentReference"
value = "text"
"""


def lines() -> list[Json]:
    with gzip.open(FILE, "rt") as file:
        return [json.loads(line) for line in file]


def table(folder: Path, declared: str) -> list[Json]:
    (folder / "map.toml").write_text(declared)
    frame = read_fhir(FhirFiles(path=FILE, map=folder / "map.toml")).frame
    return [{str(name): cell for name, cell in row.items()} for row in frame.to_dict("records")]


class Chart:
    """What stands of one patient, looked up in the plainest way."""

    def __init__(self, patient: str, resources: list[Json]) -> None:
        about = f"Patient/{patient}"
        self.own = [one for one in resources if one.get("subject", {}).get("reference") == about]

    def of(self, kind: str, dated: Callable[[Json], str], days: int) -> list[Json]:
        """Return the resources of a type in so many days before the end."""
        found = [one for one in self.own if one["resourceType"] == kind]
        ages = [(END - date.fromisoformat(dated(one)[:10])).days for one in found]
        return [one for one, age in zip(found, ages, strict=True) if 0 <= age <= days]

    def values(self, code: str, days: int) -> list[float]:
        """Return the values of a code, the earliest first."""
        found = []
        for one in self.of("Observation", lambda one: str(one["effectiveDateTime"]), days):
            for part in (one, *one.get("component", [])):
                value = part.get("valueQuantity", {}).get("value", part.get("valueInteger"))
                if part["code"]["coding"][0]["code"] == code and value is not None:
                    found.append((one["effectiveDateTime"], value))
        return [value for _, value in sorted(found)]


def expected(patient: Json, resources: list[Json]) -> Json:
    chart = Chart(patient["id"], resources)
    born = date.fromisoformat(patient["birthDate"])
    nothing: list[Any] = [None]
    visits = chart.of("Encounter", lambda one: str(one["period"]["start"]), 365)
    ill = [one for one in chart.own if one["resourceType"] == "Condition"]
    return {
        "patient": patient["id"],
        "age": END.year - born.year,  # everybody's birthday has been
        "sex": patient["gender"],
        "systolic": (chart.values("8480-6", 180) or nothing)[-1],
        "creatinine": max((88.42 * one for one in chart.values("2160-0", 365)), default=None),
        "heart_rate": statistics.fmean(chart.values("8867-4", 365)),
        "score": (chart.values("NEWS2", 365) or nothing)[0],
        "hypertensive": "yes"
        if any(one["code"]["coding"][0]["code"].startswith("I1") for one in ill)
        else "no",
        "visits": sum(one["class"]["code"] == "AMB" for one in visits),
        "orders": len(chart.of("MedicationRequest", lambda one: str(one["authoredOn"]), 90)),
    }


def rounded(row: Json) -> Json:
    """Return a row whose missing values are None, and whose numbers are those of nine digits."""
    return {
        name: (None if math.isnan(cell) else round(cell, 9)) if isinstance(cell, float) else cell
        for name, cell in row.items()
    }


def test_each_cell_is_what_the_resources_of_the_patient_say(tmp_path: Path) -> None:
    resources = lines()
    patients = [one for one in resources if one["resourceType"] == "Patient"]
    found = table(tmp_path, MAP)
    assert len(found) == len(patients) == 11
    for row, patient in zip(found, patients, strict=True):
        assert rounded(row) == rounded(expected(patient, resources))
    assert {row["hypertensive"] for row in found} == {"no", "yes"}
    assert any(row["systolic"] > 0 for row in found)


def test_each_note_is_its_text(tmp_path: Path) -> None:
    notes = [one for one in lines() if one["resourceType"] == "DocumentReference"]
    found = [row["text"] for row in table(tmp_path, NOTES)]
    assert found == [
        base64.b64decode(one["content"][0]["attachment"]["data"]).decode() for one in notes
    ]
    assert found
