"""A hospital's patients, and its notes, as FHIR R4 bulk data, with the maps of their tables.

The resources are built as the examples of the specification (hl7.org/fhir/R4) are. The library
`fhir.resources` 8.3 (R4B) takes each of them as valid.
"""

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

Json = dict[str, Any]
LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
LOCAL = "https://cleveland.example/codes"
INDEX_DAY = "1988-06-15"
PRESSURE = "8480-6"
NUMBERS = {
    "peak_heart_rate": ("8867-4", "/min"),
    "cholesterol": ("2093-3", "mg/dL"),
    "st_depression": ("st-depression", "mm"),
}
CODED = ("chest_pain", "resting_ecg", "st_slope", "thallium")
TRUTHS = ("fasting_sugar_high", "exercise_angina")
MMOL_CHOLESTEROL = 38.67  # mg/dL of a mmol/L


_BEATS = 'units = { "{beats}/min" = 1.0 }\n'


def heart_map() -> str:
    """Return the map of `write_heart_export`, in TOML."""
    parts = [
        """person = "patient"

[index]                                  # days count from the admission
resource = "Encounter"
codes = ["http://terminology.hl7.org/CodeSystem/v3-ActCode|IMP"]
take = "first"

[columns.age]
resource = "Patient"
value = "age"                            # in completed years

[columns.sex]
resource = "Patient"
value = "gender"

[columns.resting_pressure]
resource = "Observation"
codes = ["http://loinc.org|8480-6"]      # a component of the blood pressure
value = "quantity"
unit = "mm[Hg]"
take = "latest"
within_days = [0, 7]

[columns.cholesterol]
resource = "Observation"
codes = ["http://loinc.org|2093-3"]
value = "quantity"
unit = "mg/dL"
units = { "mmol/L" = 38.67 }             # what another unit is multiplied by
take = "latest"
within_days = [-365, 7]
""",
        _number("peak_heart_rate", "http://loinc.org|8867-4", "/min", "max", _BEATS),
        _number("st_depression", f"{LOCAL}|st-depression", "mm", "latest"),
        """[columns.vessels]
resource = "Observation"
codes = ["https://cleveland.example/codes|vessels"]
value = "integer"
take = "latest"
within_days = [0, 7]
""",
        *(
            f"""[columns.{name}]
resource = "Observation"
codes = ["{LOCAL}|{name}"]
value = "boolean"
means = {{ false = "no", true = "yes" }}
take = "latest"
within_days = [0, 7]
"""
            for name in TRUTHS
        ),
        *(
            f"""[columns.{name}]
resource = "Observation"
codes = ["{LOCAL}|{name}"]
value = "coded"
take = "latest"
within_days = [0, 7]

[columns.{name}.means]
{_meanings(name)}"""
            for name in CODED
        ),
        """[columns.disease]
resource = "Condition"
codes = ["http://snomed.info/sct|53741008", "http://hl7.org/fhir/sid/icd-10|I25*"]
take = "exists"
within_days = [0, 30]
""",
    ]
    return "\n".join(parts)


def _number(name: str, token: str, unit: str, take: str, more: str = "") -> str:
    return f"""[columns.{name}]
resource = "Observation"
codes = ["{token}"]
value = "quantity"
unit = "{unit}"
{more}take = "{take}"
within_days = [0, 7]
"""


VALUES = {
    "chest_pain": ("asymptomatic", "non-anginal pain", "atypical angina", "typical angina"),
    "resting_ecg": ("normal", "st-t abnormality", "left ventricular hypertrophy"),
    "st_slope": ("upsloping", "flat", "downsloping"),
    "thallium": ("normal", "fixed defect", "reversible defect"),
}


def _meanings(name: str) -> str:
    return "".join(f'"{LOCAL}|{_code(value)}" = "{value}"\n' for value in VALUES[name])


def _code(value: str) -> str:
    return value.replace(" ", "-")


def write_heart_export(frame: pd.DataFrame, folder: Path) -> None:
    """Write the patients of `heart-diagnosis` as bulk data: a file a type, one of them compressed.

    Among them are what a map has to leave out (errors, plans, refuted conditions, values of other
    days), units and references of several kinds, several codings a concept, and parts of dates.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_type: dict[str, list[str]] = {}
    for row in frame.to_dict("records"):
        for resource in _resources({str(name): cell for name, cell in row.items()}):
            line = json.dumps(resource, separators=(",", ":"))
            by_type.setdefault(resource["resourceType"], []).append(line)
    for name, lines in by_type.items():
        text = "\n".join(lines) + "\n"
        if name == "Observation":
            with gzip.open(folder / f"{name}.000.ndjson.gz", "wt") as file:
                file.write(text)
        else:
            (folder / f"{name}.000.ndjson").write_text(text)


def _resources(row: Json) -> Iterator[Json]:
    name = f"p{row['patient']}"
    yield _patient(name, row)
    about = {
        0: {"reference": f"Patient/{name}"},
        1: {"reference": f"Patient/{name}/_history/1", "display": "a name"},
        2: {"reference": f"urn:uuid:{name}"},
    }[int(row["patient"]) % 3]
    yield {
        "resourceType": "Encounter",
        "id": f"{name}-stay",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": about,
        "period": {"start": f"{INDEX_DAY}T08:00:00-05:00"},
    }
    yield from _Chart(name, about, row).observations()
    ill = row["disease"] == "yes"
    yield {
        "resourceType": "Condition",
        "id": f"{name}-disease",
        "verificationStatus": _concept(
            "http://terminology.hl7.org/CodeSystem/condition-ver-status",
            "confirmed" if ill else "refuted",
        ),
        "code": {
            "coding": [
                {"system": "http://hl7.org/fhir/sid/icd-10", "code": "I25.1"},
                {"system": SNOMED, "code": "53741008"},
            ]
        },
        "subject": about,
        "onsetDateTime": "1988-06-20" if ill else "1988-06",
    }


def _patient(name: str, row: Json) -> Json:
    age, part = int(row["age"]), int(row["patient"]) % 4 == 0
    return {
        "resourceType": "Patient",
        "id": name,
        "extension": [{"url": "https://cleveland.example/ward", "valueString": "3"}],
        "identifier": [{"system": "https://cleveland.example/mrn", "value": str(row["patient"])}],
        "gender": row["sex"],
        # half of the year stands for its middle, which is after the admission
        "birthDate": str(1988 - age - 1) if part else f"{1988 - age}-03-01",
    }


@dataclass(frozen=True)
class _Chart:
    """What is observed of one patient."""

    name: str
    about: Json
    row: Json

    def observation(self, kind: str, code: Json, day: str = "1988-06-16", **more: object) -> Json:
        return {
            "resourceType": "Observation",
            "id": f"{self.name}-{kind}".replace("_", "-"),  # an id has none
            "status": "final",
            "code": code,
            "subject": self.about,
            "effectiveDateTime": day,
            **more,
        }

    def observations(self) -> Iterator[Json]:
        pressure, vessels = self.row["resting_pressure"], self.row["vessels"]
        if not pd.isna(pressure):
            other = {
                "code": _concept(LOINC, "8462-4"),
                "dataAbsentReason": _concept("x", "unknown"),
            }
            upper = {
                "code": _concept(LOINC, PRESSURE),
                "valueQuantity": _quantity(pressure, "mm[Hg]"),
            }
            panel = [other, upper]
            yield self.observation("pressure", _concept(LOINC, "85354-9"), component=panel)
        for column in NUMBERS:
            yield from self._numbers(column)
        if not pd.isna(vessels):
            code = _concept(LOCAL, "vessels")
            yield self.observation("vessels", code, valueInteger=int(vessels))
        for column in (*TRUTHS, *CODED):
            if not pd.isna(self.row[column]):
                yield self._declared(column)

    def _numbers(self, column: str) -> Iterator[Json]:
        code, unit = NUMBERS[column]
        concept = _concept(LOINC if code[0].isdigit() else LOCAL, code)
        amount, said = self.row[column], unit
        if pd.isna(amount):
            absent = _concept("x", "not-performed")
            yield self.observation(column, concept, dataAbsentReason=absent)
            return
        if column == "cholesterol" and int(self.row["patient"]) % 5 == 0:
            amount, said = amount / MMOL_CHOLESTEROL, "mmol/L"
        if column == "peak_heart_rate":
            said = "{beats}/min"
        yield self.observation(column, concept, valueQuantity=_quantity(amount, said))
        wrong = self.observation(f"{column}-x", concept, valueQuantity=_quantity(999, unit))
        yield {**wrong, "status": "entered-in-error"}
        early = _quantity(99, unit)
        yield self.observation(f"{column}-early", concept, "1980", valueQuantity=early)

    def _declared(self, column: str) -> Json:
        said = self.row[column]
        coded = {"valueCodeableConcept": _concept(LOCAL, _code(said))}
        value = {"valueBoolean": said == "yes"} if column in TRUTHS else coded
        return self.observation(column, _concept(LOCAL, column), **value)


def _concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}], "text": "as people say it"}


def _quantity(value: float, unit: str) -> Json:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


NOTES_MAP = """person = "category"                      # what clinical-notes calls it

[index]
resource = "DocumentReference"
codes = ["http://loinc.org|18842-5"]     # discharge summaries
take = "each"                            # a row for each of them

[columns.text]
resource = "DocumentReference"
value = "text"

[columns.chapter]
resource = "DocumentReference"
value = "category"

[columns.chapter.means]
"https://cleveland.example/codes|oph" = "eye"
"https://cleveland.example/codes|tra" = "injury"
"""


def write_notes_export(texts: Sequence[str], folder: Path) -> None:
    """Write notes as bulk data: two for each patient, in turns of an eye clinic and a casualty."""
    folder.mkdir(parents=True, exist_ok=True)
    patients = [{"resourceType": "Patient", "id": f"p{n}"} for n in range(len(texts) // 2)]
    notes = [
        {
            "resourceType": "DocumentReference",
            "id": f"d{n}",
            "status": "current",
            "type": _concept(LOINC, "18842-5"),
            "category": [_concept(LOCAL, ("oph", "tra")[n % 2])],
            "subject": {"reference": f"Patient/p{n // 2}"},
            "date": "2024-05-01T09:00:00+02:00",
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain; charset=utf-8",
                        "data": base64.b64encode(text.encode()).decode(),
                    }
                }
            ],
        }
        for n, text in enumerate(texts)
    ]
    for name, resources in (("Patient", patients), ("DocumentReference", notes)):
        lines = "".join(f"{json.dumps(one)}\n" for one in resources)
        (folder / f"{name}.ndjson").write_text(lines)
