"""A resource is about the patient that it says, or refused: nobody gets another one's values."""

from pathlib import Path

import pytest

from sites.data.fhir.patients import encounter_codings
from sites.data.fhir.refusals import BadResources
from tests.sites.data.fhir.wards import (
    INDEX,
    POTASSIUM,
    Json,
    aspirin,
    observation,
    order,
    patient,
    table_of,
)

MRN = "https://ward.example/mrn"
NAMED = f'identifier = "{MRN}"\n{INDEX}'


def identifier(value: str, **more: object) -> Json:
    return {"system": MRN, "value": value, **more}


def potassium_of(folder: Path, lines: list[Json], head: str = INDEX) -> dict[str, float]:
    frame = table_of(folder, lines, head + POTASSIUM).frame
    return dict(zip(frame["patient"], frame["potassium"], strict=True))


@pytest.mark.parametrize(
    "reference",
    [
        *("Patient/1", "Patient/1/_history/3", "urn:uuid:1"),
        *("https://ehr.example/fhir/Patient/1", "https://ehr.example/fhir/Patient/1/_history/2"),
    ],
)
def test_a_reference_of_any_form_leads_to_its_patient(reference: str, tmp_path: Path) -> None:
    lines = [patient("2"), patient("1"), observation(subject={"reference": reference})]
    head = 'servers = ["https://ehr.example/fhir/"]\n' + INDEX
    found = potassium_of(tmp_path, lines, head)
    assert found["1"] == 4.5
    assert found["2"] != found["2"]


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        ({"reference": "Patient/9"}, "subject is 'Patient/9'"),
        ({"reference": "urn:uuid:9"}, "export the patient too"),
        ({"reference": "Patient?identifier=1"}, "export the patient too"),
        ({"reference": "#p"}, "export the patient too"),
        ({"identifier": {"system": MRN, "value": "1"}}, "export the patient too"),
        ({}, r"\(Observation/o1, subject\)"),
        (None, "export the patient too"),
        ({"reference": 1}, "reference is 1"),
        ("Patient/1", "expected an object"),
        ({"reference": "https://other.example/fhir/Patient/1"}, r"servers = \['https://other"),
    ],
)
def test_a_resource_about_nobody_of_the_files_is_refused(
    subject: object, told: str, tmp_path: Path
) -> None:
    with pytest.raises(BadResources, match=told):
        potassium_of(tmp_path, [patient(), observation(subject=subject)])


def test_a_map_may_leave_out_what_is_about_nobody(tmp_path: Path) -> None:
    head = 'unknown_patients = "leave-out"\n' + INDEX
    lines = [patient(), observation(), observation("o2", 9, subject={"reference": "Patient/2"})]
    assert potassium_of(tmp_path, lines, head) == {"1": 4.5}


@pytest.mark.parametrize("reference", ["Group/1", "Device/1"])
def test_a_resource_about_a_group_or_a_device_is_of_no_patient(
    reference: str, tmp_path: Path
) -> None:
    lines = [patient(), observation(), observation("o2", 9, subject={"reference": reference})]
    assert potassium_of(tmp_path, [*lines, {**lines[2], "id": "o3"}]) == {"1": 4.5}


def test_persons_may_be_called_by_an_identifier(tmp_path: Path) -> None:
    one = patient("1", identifier=[identifier("A7", use="old"), identifier("B8"), {"value": "x"}])
    within = {"resourceType": "Patient", "id": "p", "identifier": [identifier("B8")]}
    lines = [
        one,
        observation("o1", 4, effectiveDateTime="2024-01-01"),
        observation("o2", 5, subject={"identifier": identifier("B8")}),
        observation(
            *("o3", 6), effectiveDateTime="2024-06-02", subject={"reference": "#p"},
            contained=[{"resourceType": "Device", "id": "d"}, within],
        ),
    ]  # fmt: skip
    assert potassium_of(tmp_path, lines[:2], NAMED) == {"B8": 4.0}
    assert potassium_of(tmp_path, lines[:3], NAMED) == {"B8": 5.0}
    assert potassium_of(tmp_path, lines, NAMED) == {"B8": 6.0}


@pytest.mark.parametrize(
    ("patients", "told"),
    [
        ([patient("1")], f"one identifier of {MRN}"),
        ([patient("1", identifier=[identifier("A"), identifier("B")])], "one identifier of"),
        ([patient("1", identifier=[identifier("")])], "one identifier of"),
        ([patient(n, identifier=[identifier("A")]) for n in "12"], "one Patient an identifier"),
        ([patient("1", identifier=[identifier("A")])] * 2, "one line a Patient"),
        ([{"resourceType": "Patient"}], "expected an id"),
        ([patient(birthDate="1950-13")], "patient: expected a date"),
        ([patient(gender=1)], "gender is 1"),
        ([patient(deceasedBoolean="no")], "deceasedBoolean"),
    ],
)
def test_a_patient_who_cannot_be_told_is_refused(
    patients: list[Json], told: str, tmp_path: Path
) -> None:
    named = "identifier" in told or "an identifier" in told or "line" in told
    with pytest.raises(BadResources, match=told):
        potassium_of(tmp_path, patients, NAMED if named else INDEX)


def test_who_was_replaced_is_the_other_patient_and_no_row(tmp_path: Path) -> None:
    def replaced(name: str, by: str) -> Json:
        link = {"other": {"reference": f"Patient/{by}"}, "type": "replaced-by"}
        return patient(name, link=[{"other": {"reference": "Patient/3"}, "type": "seealso"}, link])

    lines = [replaced("1", "2"), replaced("2", "4"), patient("3"), patient("4"), observation()]
    assert potassium_of(tmp_path, lines)["4"] == 4.5
    assert [*potassium_of(tmp_path, lines)] == ["3", "4"]
    with pytest.raises(BadResources, match="a Patient in the files"):
        potassium_of(
            tmp_path, [replaced("1", "2"), replaced("2", "1"), patient("3"), observation()]
        )


ASPIRIN = """
[columns.aspirin]
resource = "MedicationRequest"
codes = ["http://www.whocc.no/atc|B01AC06"]
take = "exists"
within_days = "always"
"""
MEDICATION = {"resourceType": "Medication", "id": "m", "code": aspirin()}


@pytest.mark.parametrize(
    "medicine",
    [
        {"medicationCodeableConcept": aspirin()},
        {"medicationReference": {"reference": "Medication/m"}},
        {"medicationReference": {"reference": "urn:uuid:m"}},
        {"medicationReference": {"reference": "#c"}, "contained": [{**MEDICATION, "id": "c"}]},
    ],
)
def test_a_medicine_is_known_wherever_its_code_stands(medicine: Json, tmp_path: Path) -> None:
    bare = {k: v for k, v in order().items() if k != "medicationCodeableConcept"}
    lines = [{**bare, **medicine}, patient(), MEDICATION]
    assert table_of(tmp_path, lines, INDEX + ASPIRIN).frame["aspirin"].item() == "yes"


def test_a_medicine_that_is_not_there_is_refused_and_one_that_is_not_said_is_none(
    tmp_path: Path,
) -> None:
    bare = {k: v for k, v in order().items() if k != "medicationCodeableConcept"}
    assert table_of(tmp_path, [bare, patient()], INDEX + ASPIRIN).frame["aspirin"].item() == "no"
    lines = [{**bare, "medicationReference": {"reference": "Medication/x"}}, patient()]
    with pytest.raises(BadResources, match="export the type Medication too"):
        table_of(tmp_path, lines, INDEX + ASPIRIN)


def test_an_encounter_is_coded_by_class_and_types() -> None:
    types = [{"coding": [{"system": "s", "code": "a"}, {"code": "b"}]}, {"text": "visit"}]
    assert encounter_codings({"class": {"code": "IMP"}, "type": types}) == (
        *(("", "IMP"), ("s", "a"), ("", "b")),
    )
    assert encounter_codings({}) == ()
