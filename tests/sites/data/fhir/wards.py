"""A small ward in FHIR: resources for tests to change, and the map of its table."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sites.data.fhir.table import FhirTable, read_fhir
from sites.data.source import FhirFiles

Json = dict[str, Any]
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"

INDEX = 'person = "patient"\n[index]\non = "2024-06-30"\n'
POTASSIUM = """
[columns.potassium]
resource = "Observation"
codes = ["http://loinc.org|2823-3"]
value = "quantity"
unit = "mmol/L"
take = "latest"
within_days = [-365, 0]
"""
PATIENT = """
[columns.age]
resource = "Patient"
value = "age"
[columns.sex]
resource = "Patient"
value = "gender"
"""


def patient(name: str = "1", **more: object) -> Json:
    """Return a Patient who was born on 30 June 1950."""
    return {"resourceType": "Patient", "id": name, "birthDate": "1950-06-30", **more}


def observation(name: str = "o1", value: object = 4.5, **more: object) -> Json:
    """Return a potassium of patient 1, on 1 June 2024."""
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2823-3"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2024-06-01",
        "valueQuantity": quantity(value),
        **more,
    }


def quantity(value: object, unit: str = "mmol/L", **more: object) -> Json:
    """Return a Quantity in a unit of UCUM."""
    return {"value": value, "unit": unit, "system": UCUM, "code": unit, **more}


def condition(code: str, name: str = "c1", **more: object) -> Json:
    """Return a condition of patient 1 in ICD-10, from May 2020."""
    return {
        "resourceType": "Condition",
        "id": name,
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": code}]},
        "subject": {"reference": "Patient/1"},
        "onsetDateTime": "2020-05-04",
        **more,
    }


def order(name: str = "m1", **more: object) -> Json:
    """Return an order of aspirin for patient 1, on 1 June 2024."""
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": aspirin(),
        "subject": {"reference": "Patient/1"},
        "authoredOn": "2024-06-01",
        **more,
    }


def aspirin() -> Json:
    """Return the concept of aspirin in ATC."""
    return {"coding": [{"system": "http://www.whocc.no/atc", "code": "B01AC06"}]}


def write_ward(
    folder: Path, resources: Sequence[Json] | Mapping[str, Sequence[Json]], declared: str
) -> FhirFiles:
    """Write resources, in one file or in files by name, and a map."""
    files = resources if isinstance(resources, Mapping) else {"all.ndjson": resources}
    export = folder / "export"
    export.mkdir(exist_ok=True)
    for name, lines in files.items():
        (export / name).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    path = folder / "ward.toml"
    path.write_text(declared)
    return FhirFiles(path=export, map=path)


def table_of(
    folder: Path, resources: Sequence[Json] | Mapping[str, Sequence[Json]], declared: str
) -> FhirTable:
    """Return the table of a small ward."""
    return read_fhir(write_ward(folder, resources, declared))


def cells_of(folder: Path, resources: Sequence[Json], columns: str) -> dict[str, object]:
    """Return the first row of the table that columns make of resources, without the person."""
    frame = table_of(folder, resources, INDEX + columns).frame
    return {str(name): cell for name, cell in frame.iloc[0].items() if name != "patient"}
