"""One row a person: what a map says of resources is what stands in the table."""

import math
import random
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy.errors import ConsortiumError
from scenarios.data.datasets import heart_hospitals, load_dataset
from scenarios.library.heart_diagnosis import SCENARIO
from sites.data.fhir.refusals import BadResources
from sites.data.source import FhirFiles, TableFile
from sites.data.tables import EmptyTable, read_table
from sites.schema.tables import Schema
from sites.tasks.tabular.loading import read_valid_table
from tests.fhir_exports import heart_map, write_heart_export
from tests.sites.data.fhir.wards import (
    INDEX,
    PATIENT,
    POTASSIUM,
    Json,
    cells_of,
    condition,
    observation,
    order,
    patient,
    quantity,
    table_of,
    write_ward,
)


def test_a_table_that_is_written_as_fhir_is_that_table_again(tmp_path: Path) -> None:
    frame = load_dataset("heart-disease")
    ours = frame[heart_hospitals(frame) == "cleveland"].head(80)
    write_heart_export(ours, tmp_path / "export")
    (tmp_path / "heart.toml").write_text(heart_map())
    source = FhirFiles(path=tmp_path / "export", map=tmp_path / "heart.toml")
    assert isinstance(SCENARIO.table, Schema)
    ours.assign(patient="p" + ours["patient"].astype(str)).to_csv(tmp_path / "t.csv", index=False)
    made = read_valid_table(source, SCENARIO.table).reset_index(drop=True)
    written = read_valid_table(TableFile(path=tmp_path / "t.csv"), SCENARIO.table)
    pd.testing.assert_frame_equal(made, written.reset_index(drop=True), check_dtype=False)


COLUMNS = f"""{POTASSIUM}
[columns.lowest]
resource = "Observation"
codes = ["http://loinc.org|2823-3"]
value = "quantity"
unit = "mmol/L"
take = "min"
within_days = "always"
[columns.measured]
resource = "Observation"
codes = ["http://loinc.org|2823-3"]
take = "count"
within_days = [-60, 0]
[columns.ischaemic]
resource = "Condition"
codes = ["http://hl7.org/fhir/sid/icd-10|I2*"]
take = "exists"
within_days = "always"
[columns.aspirin]
resource = "MedicationRequest"
codes = ["http://www.whocc.no/atc|B01AC06"]
take = "latest"
within_days = "always"
"""


@pytest.mark.parametrize("seed", range(8))
def test_the_order_of_lines_and_files_changes_no_cell(seed: int, tmp_path: Path) -> None:
    drawn = random.Random(seed)  # noqa: S311 -- a draw of test cases
    lines: list[Json] = [patient(str(n)) for n in range(1, 5)]
    for n in range(24):
        about = {"reference": f"Patient/{1 + n % 4}"}
        day = drawn.choice(["2024-06-01", "2024-05", "2023", "2024-06-01T10:00:00+02:00"])
        lines.append(observation(f"o{n}", 3 + n % 3, subject=about, effectiveDateTime=day))
        lines.append(condition(drawn.choice(["I21", "E11"]), f"c{n}", subject=about))
        lines.append(order(f"m{n}", subject=about, authoredOn=day))
    first = table_of(tmp_path, lines, INDEX + COLUMNS).frame.set_index("patient").sort_index()
    drawn.shuffle(lines)
    files = {"all.ndjson": lines[::2], "b.ndjson": lines[1::2]}
    again = table_of(tmp_path, files, INDEX + COLUMNS).frame.set_index("patient").sort_index()
    pd.testing.assert_frame_equal(first, again)


def test_each_take_says_what_it_is_called_after(tmp_path: Path) -> None:
    """Of 4.0 in March, 6.0 in May and 5.0 in June; what is beyond the window is not seen."""
    days = {"a": ("2024-03-01", 4.0), "b": ("2024-05-01", 6.0), "c": ("2024-06-01", 5.0)}
    seen = [observation(n, value, effectiveDateTime=day) for n, (day, value) in days.items()]
    days = {"x": ("2024-07-01", 9.0), "y": ("2023-06-30", 9.0)}
    far = [observation(n, value, effectiveDateTime=day) for n, (day, value) in days.items()]
    takes = {"first": 4.0, "latest": 5.0, "min": 4.0, "max": 6.0, "mean": 5.0}
    head = POTASSIUM.partition("take")[0].replace("columns.potassium", "columns.{0}")
    columns = "".join(
        f'{head.format(take)}take = "{take}"\nwithin_days = [-365, 0]\n' for take in takes
    )
    counted = COLUMNS.partition("[columns.measured]")[2].partition("[columns")[0]
    columns += f"[columns.count]{counted}".replace("-60", "-365")
    columns += f"[columns.exists]{counted}".replace("count", "exists")
    found = cells_of(tmp_path, [patient(), *seen, *far], columns)
    assert found == {**takes, "count": 3.0, "exists": "yes"}


def test_where_no_resource_says_anything_a_value_is_missing_and_a_count_is_none(
    tmp_path: Path,
) -> None:
    found = cells_of(tmp_path, [patient()], COLUMNS)
    assert math.isnan(float(str(found["potassium"])))
    assert math.isnan(float(str(found["aspirin"])))
    assert (found["measured"], found["ischaemic"]) == (0.0, "no")


def test_the_latest_is_later_by_the_clock_of_the_world(tmp_path: Path) -> None:
    """03:30 in Berlin before the clocks went back is earlier than 02:45 after it."""
    before = observation("a", 4.0, effectiveDateTime="2023-10-29T02:50:00+02:00")
    after = observation("b", 5.0, effectiveDateTime="2023-10-29T02:45:00+01:00")
    assert cells_of(tmp_path, [patient(), before, after], POTASSIUM) == {"potassium": 5.0}


DECEASED = f"""{PATIENT}[columns.died]
resource = "Patient"
value = "deceased"
within_days = [0, 30]
answers = ["alive", "dead"]
"""


@pytest.mark.parametrize(
    ("person", "age", "died"),
    [
        (patient(), 74.0, "alive"),
        (patient(birthDate="1950-07-01"), 73.0, "alive"),
        (patient(birthDate="1950"), 73.0, "alive"),  # its middle is 2 July
        (patient(birthDate="1950-06"), 74.0, "alive"),  # its middle is the 16th
        (patient(deceasedBoolean=False), 74.0, "alive"),
        (patient(deceasedDateTime="2024-07-30T23:59:00Z"), 74.0, "dead"),
        (patient(deceasedDateTime="2024-07-31"), 74.0, "alive"),
    ],
)
def test_a_patient_has_an_age_and_may_have_died(
    person: Json, age: float, died: str, tmp_path: Path
) -> None:
    found = cells_of(tmp_path, [{**person, "gender": "other"}], DECEASED)
    assert found == {"age": age, "sex": "other", "died": died}


def test_a_death_without_its_day_is_refused_where_a_window_asks(tmp_path: Path) -> None:
    with pytest.raises(BadResources, match=r"died: .*line 1 \(Patient/1, deceasedBoolean\)"):
        cells_of(tmp_path, [patient(deceasedBoolean=True)], DECEASED)


INDEXED = """person = "patient"
[index]
resource = "Encounter"
codes = ["http://terminology.hl7.org/CodeSystem/v3-ActCode|EMER"]
between = ["2024-01-01", "2024-12-31"]
take = "{take}"
"""


def encounter(name: str, day: str, **more: object) -> Json:
    return {
        "resourceType": "Encounter",
        "id": name,
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "EMER"},
        "subject": {"reference": "Patient/1"},
        "period": {"start": day},
        **more,
    }


@pytest.mark.parametrize(("take", "value"), [("first", 4.0), ("latest", 5.0)])
def test_days_count_from_the_index_day_and_who_has_none_is_no_row(
    take: str, value: float, tmp_path: Path
) -> None:
    lines = [
        observation("a", 4.0, effectiveDateTime="2024-01-10"),
        observation("b", 5.0, effectiveDateTime="2024-06-10"),
        encounter("e1", "2024-02-01"),
        encounter("e2", "2024-07-01"),
        encounter("e3", "2025-07-01"),
        encounter("e4", "2024-08-01", status="cancelled"),
        patient("1"),
        patient("2"),
    ]
    window = POTASSIUM.replace("-365", "-40")
    frame = table_of(tmp_path, lines, INDEXED.format(take=take) + window).frame
    assert frame.to_dict("records") == [{"patient": "1", "potassium": value}]


def test_without_a_patient_or_an_index_day_there_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(EmptyTable, match="no Patient"):
        table_of(tmp_path, [observation()], INDEX + POTASSIUM)
    with pytest.raises(EmptyTable, match="no patient has an index day"):
        table_of(tmp_path, [patient()], INDEXED.format(take="first") + POTASSIUM)


def test_several_refusals_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    lines = [
        patient(),
        observation("o1", valueQuantity=quantity(18, "mg/dL")),
        observation("o2", subject={"reference": "Patient/2"}),
        observation("o3", effectiveDateTime="June"),
    ]
    with pytest.raises(BadResources) as refused:
        table_of(tmp_path, lines, INDEX + POTASSIUM)
    told = str(refused.value)
    assert "3 elements" in told
    assert "a quantity in mmol/L, not so in 1 place: all.ndjson line 2" in told
    assert "all.ndjson line 3 (Observation/o2, subject is 'Patient/2')" in told
    assert "all.ndjson line 4 (Observation/o3, effectiveDateTime is 'June')" in told
    assert refused.value.counts == {"refused": 3}


WARD = [
    patient(identifier=[{"system": "mrn", "value": "A"}], deceasedDateTime="2024-07-01"),
    observation(component=[{"code": observation()["code"], "valueQuantity": quantity(3)}]),
    condition("I21", verificationStatus={"coding": [{"code": "confirmed"}]}),
    order(medicationCodeableConcept=None, medicationReference={"reference": "Medication/m"}),
    {"resourceType": "Medication", "id": "m", "code": order()["medicationCodeableConcept"]},
    encounter("e", "2024-06-01", type=[{"coding": [{"system": "s", "code": "c"}]}]),
]
ODD: tuple[Any, ...] = (
    *(
        None,
        0,
        -1,
        1.5,
        10**400,
        True,
        "",
        "x",
        "2024",
        "Patient/1",
        "\ud800",
        [],
        {},
        [None],
        [{}],
    ),
    *({"a": 1}, ["x"], {"coding": [{"code": 1}]}, {"reference": []}, {"value": []}),
)


def paths_in(element: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    parts: Iterable[tuple[str | int, object]] = ()
    if isinstance(element, dict):
        parts = element.items()
    elif isinstance(element, list):
        parts = enumerate(element)
    for name, inner in parts:
        yield (*path, name)
        yield from paths_in(inner, (*path, name))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.sampled_from([(n, path) for n, line in enumerate(WARD) for path in paths_in(line)]),
    st.sampled_from(ODD),
)
def test_whatever_an_element_holds_there_is_a_table_or_a_refusal(
    tmp_path: Path, element: tuple[int, tuple[str | int, ...]], odd: object
) -> None:
    lines: list[Any] = deepcopy(WARD)
    number, path = element
    holder = lines[number]
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = odd
    declared = 'identifier = "mrn"\n' + INDEXED.format(take="first") + COLUMNS + DECEASED
    try:
        told = table_of(tmp_path, lines, declared).frame.to_csv()
    except ConsortiumError as refusal:
        told = str(refusal)
    assert told.encode()


def test_read_table_reads_fhir_files(tmp_path: Path) -> None:
    source = write_ward(tmp_path, [patient(), observation()], INDEX + POTASSIUM)
    assert read_table(source).to_dict("records") == [{"patient": "1", "potassium": 4.5}]
