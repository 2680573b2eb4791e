"""A value is a number in the column's unit, a declared word, absent, or refused with its place."""

import math
from pathlib import Path

import pytest

from sites.data.fhir.refusals import BadResources
from sites.data.fhir.values import unit_of
from tests.sites.data.fhir.wards import (
    LOINC,
    POTASSIUM,
    UCUM,
    Json,
    cells_of,
    observation,
    patient,
    quantity,
)


def potassium(folder: Path, value: Json, columns: str = POTASSIUM) -> object:
    bare = {k: v for k, v in observation().items() if k != "valueQuantity"}
    return cells_of(folder, [patient(), {**bare, **value}], columns)["potassium"]


UNITS = 'units = { "meq/L" = 1.0, "mg/dL" = 0.2558, "[degF]" = { factor = 0.5, plus = -16.0 } }\n'


@pytest.mark.parametrize(
    ("said", "value"),
    [
        (quantity(4), 4.0),
        (quantity(4.10), 4.1),
        (quantity(10, "mg/dL"), 2.558),
        (quantity(50, "[degF]"), 9.0),
        ({"value": 4, "unit": "mmol/L"}, 4.0),
        ({"value": 4, "unit": "millimole per litre", "system": UCUM, "code": "mmol/L"}, 4.0),
        ({"value": 4, "unit": "meq/L", "system": "https://local.example", "code": "7"}, 4.0),
    ],
)
def test_a_quantity_is_read_in_the_unit_of_the_column(
    said: Json, value: float, tmp_path: Path
) -> None:
    assert potassium(tmp_path, {"valueQuantity": said}, POTASSIUM + UNITS) == pytest.approx(value)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"dataAbsentReason": {"coding": [{"code": "not-performed"}]}},
        {"valueQuantity": quantity(4), "dataAbsentReason": {"text": "error"}},
        {"valueQuantity": {"unit": "mmol/L", "_value": {"extension": []}}},
        {"_valueQuantity": {"extension": []}},
    ],
)
def test_an_absent_value_is_missing(value: Json, tmp_path: Path) -> None:
    assert math.isnan(float(str(potassium(tmp_path, value))))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"valueQuantity": quantity(4, "mol/L")}, r"valueQuantity is 'mol/L'\); say in the map"),
        ({"valueQuantity": quantity(4, "mmol/L{plasma}")}, r"valueQuantity is 'mmol/L\{plasma\}'"),
        ({"valueQuantity": {"value": 4}}, r"valueQuantity is ''"),
        ({"valueQuantity": quantity("4")}, r"a finite number, .*valueQuantity.value is '4'"),
        ({"valueQuantity": quantity(True)}, "valueQuantity.value is True"),
        ({"valueQuantity": quantity(10**400)}, "valueQuantity.value is 1000"),
        ({"valueQuantity": quantity(4, comparator="<")}, "valueQuantity.comparator is '<'"),
        ({"valueQuantity": quantity(4, comparator="ad")}, "comparator is 'ad'"),
        (
            {"valueString": "4.5"},
            r"a quantity \(valueQuantity\), .*\(Observation/o1, valueString\)",
        ),
        ({"valueQuantity": [quantity(4)]}, "a value that is a quantity"),
    ],
)
def test_what_is_no_quantity_of_the_column_is_refused(
    value: Json, told: str, tmp_path: Path
) -> None:
    with pytest.raises(BadResources, match=told):
        potassium(tmp_path, value)


def test_a_limit_is_what_the_map_says(tmp_path: Path) -> None:
    said = {"valueQuantity": quantity(3, comparator="<")}
    assert potassium(tmp_path, said, POTASSIUM + 'limits = "bound"\n') == 3.0
    left_out = potassium(tmp_path, said, POTASSIUM + 'limits = "leave-out"\n')
    assert math.isnan(float(str(left_out)))
    strange = {"valueQuantity": quantity(3, comparator="ad")}
    for limits in ("bound", "leave-out"):
        with pytest.raises(BadResources, match="comparator is 'ad'"):
            potassium(tmp_path, strange, f'{POTASSIUM}limits = "{limits}"\n')


def column(value: str, means: str = "") -> str:
    head = POTASSIUM.replace('value = "quantity"\nunit = "mmol/L"', f'value = "{value}"')
    return head + means


CODED = column("coded", 'means = { "s|a" = "low", "s|b" = "low", "s|c" = "high" }\n')


def coded(*codes: str) -> Json:
    return {"valueCodeableConcept": {"coding": [{"system": "s", "code": code} for code in codes]}}


@pytest.mark.parametrize(
    ("columns", "value", "cell"),
    [
        (column("integer"), {"valueInteger": 3}, 3.0),
        (column("boolean"), {"valueBoolean": True}, "true"),
        (column("boolean", 'means = { true = "1", false = "0" }\n'), {"valueBoolean": False}, "0"),
        (CODED, coded("a"), "low"),
        (CODED, coded("x", "a", "b"), "low"),
        (column("day"), {}, -29.0),
    ],
)
def test_other_values_are_taken_as_the_map_says(
    columns: str, value: Json, cell: object, tmp_path: Path
) -> None:
    assert potassium(tmp_path, value, columns) == cell


@pytest.mark.parametrize(
    ("columns", "value", "told"),
    [
        (column("integer"), {"valueInteger": 3.5}, "an integer"),
        (column("integer"), {"valueInteger": True}, "an integer"),
        (column("boolean"), {"valueBoolean": "true"}, "true or false"),
        (CODED, coded("x"), "one value that the map declares, .*is 's|x'"),
        (CODED, coded("a", "c"), "codings that mean one value"),
        (CODED, {"valueCodeableConcept": {"text": "low"}}, "one value that the map declares"),
        (CODED, {"valueCodeableConcept": {"coding": "a"}}, "valueCodeableConceptcoding is 'a'"),
    ],
)
def test_other_values_that_do_not_fit_are_refused(
    columns: str, value: Json, told: str, tmp_path: Path
) -> None:
    with pytest.raises(BadResources, match=told):
        potassium(tmp_path, value, columns)


def test_a_component_is_read_with_the_code_of_its_own(tmp_path: Path) -> None:
    code = {"coding": [{"system": LOINC, "code": "2823-3"}]}
    absent = {"code": code, "dataAbsentReason": {"text": "clotted"}}
    panel = {
        "code": {"coding": [{"system": LOINC, "code": "24326-1"}]},
        "component": [absent, {"code": code, "valueQuantity": quantity(5)}],
    }
    assert potassium(tmp_path, panel) == 5.0
    panel["component"] = [absent, {"code": code, "valueQuantity": quantity(5, "g")}]
    with pytest.raises(BadResources, match=r"component\[1\].valueQuantity is 'g'"):
        potassium(tmp_path, panel)


def test_a_unit_is_its_code_in_ucum_or_what_people_read() -> None:
    assert unit_of({"unit": "x", "code": "g", "system": UCUM}) == "g"
    assert unit_of({"unit": "x", "code": "g"}) == "x"
    assert unit_of({"code": "g"}) == "g"
    assert unit_of({}) == ""
