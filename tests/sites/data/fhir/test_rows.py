"""A row is a person with a day; each stay, or each document, may be a row of its own."""

from datetime import date
from pathlib import Path

import pytest

from sites.data.fhir.refusals import BadResources
from sites.data.fhir.rows import Rows, fixed_rows
from tests.sites.data.fhir.wards import POTASSIUM, Json, observation, patient, table_of

STAYS = """person = "patient"
[index]
resource = "Encounter"
take = "each"
[columns.age]
resource = "Patient"
value = "age"
[columns.again]
resource = "Encounter"
take = "exists"
within_days = [1, 30]
"""


def stay(name: str, day: str, person: str = "1") -> Json:
    return {
        "resourceType": "Encounter",
        "id": name,
        "status": "finished",
        "subject": {"reference": f"Patient/{person}"},
        "period": {"start": day},
    }


def test_each_stay_is_a_row_with_days_of_its_own(tmp_path: Path) -> None:
    lines = [
        patient("1"),
        patient("2"),
        stay("a", "2024-06-01"),
        stay("b", "2024-06-29", "2"),
        stay("c", "2024-07-01"),
        observation("o", 4.0, effectiveDateTime="2024-06-15"),
    ]
    table = table_of(tmp_path, lines, STAYS + POTASSIUM)
    rows = table.frame.fillna(0).to_dict("records")
    assert rows == [
        {"patient": "1", "age": 73.0, "again": "yes", "potassium": 0.0},
        {"patient": "2", "age": 73.0, "again": "no", "potassium": 0.0},
        {"patient": "1", "age": 74.0, "again": "no", "potassium": 4.0},
    ]


def test_a_stay_that_stands_twice_would_be_two_rows_and_is_refused(tmp_path: Path) -> None:
    lines = [patient("1"), stay("a", "2024-06-01"), stay("a", "2024-06-01")]
    with pytest.raises(BadResources, match="one line a resource"):
        table_of(tmp_path, lines, STAYS)
    bare = {name: one for name, one in lines[1].items() if name != "id"}
    with pytest.raises(BadResources, match="index: expected an id"):
        table_of(tmp_path, [patient("1"), bare], STAYS)


def test_an_index_without_a_day_is_refused(tmp_path: Path) -> None:
    undated = {**stay("a", "2024-06-01"), "period": {}}
    with pytest.raises(BadResources, match="index: expected a date"):
        table_of(tmp_path, [patient("1"), undated], STAYS)


def test_a_fixed_day_makes_a_row_of_each_patient() -> None:
    rows = fixed_rows(date(2024, 1, 1), [7, 9])
    assert rows == Rows([0, 1], [date(2024, 1, 1).toordinal()] * 2, [7, 9])
    rows.add(0, 5, 11)
    assert rows.by_patient() == {0: [0, 2], 1: [1]}
