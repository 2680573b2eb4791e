"""A map is a document that says everything, and nothing twice."""

import json
import tomllib
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from sites.data.fhir.maps import BadFhirMap, FhirMap, map_json_schema, read_map
from sites.data.tables import MissingFile
from tests.fhir_exports import heart_map
from tests.sites.data.fhir.wards import INDEX, POTASSIUM

DOCS = Path(__file__).parents[4] / "docs"


def test_a_map_is_the_same_in_toml_and_in_json(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(heart_map())
    (tmp_path / "m.json").write_text(json.dumps(tomllib.loads(heart_map())))
    assert read_map(tmp_path / "m.toml") == read_map(tmp_path / "m.json")


def test_the_published_schema_is_that_of_a_map_and_a_map_fits_it() -> None:
    """If this fails, write `map_json_schema()` to `docs/fhir-map.schema.json` and tell users."""
    assert (DOCS / "fhir-map.schema.json").read_text() == map_json_schema()
    jsonschema.validate(tomllib.loads(heart_map()), json.loads(map_json_schema()))


EXISTS = '[columns.a]\nresource = "Condition"\ntake = "exists"\nwithin_days = "always"\n'


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("person = ", "is not TOML"),
        (INDEX, "columns"),
        (INDEX + POTASSIUM.replace("value =", "valeu ="), "nearest is 'value'|did you mean"),
        (INDEX + POTASSIUM.replace("http://loinc.org|", ""), "should match pattern"),
        (INDEX + POTASSIUM.replace("[-365, 0]", "[0, -365]"), "begins after it ends"),
        (INDEX + POTASSIUM.replace("latest", "exists"), "'exists' takes no value"),
        (INDEX + POTASSIUM.replace('value = "quantity"', ""), "'latest' takes a value"),
        (INDEX + POTASSIUM.replace('unit = "mmol/L"', ""), "unit is said of a quantity"),
        (INDEX + POTASSIUM.replace('"quantity"', '"integer"'), "unit is said of a quantity"),
        (INDEX + POTASSIUM + "means = { a = 'b' }", "means says what is coded"),
        (INDEX + POTASSIUM.replace("columns.potassium", "columns.patient"), "column of persons"),
        (INDEX.replace("on =", "take = 'first' #") + EXISTS, "either 'on' a day or"),
        (INDEX + 'resource = "Encounter"\n' + EXISTS, "either 'on' a day or"),
        (INDEX + EXISTS.replace("exists", "mean"), "should be 'exists'"),
        (
            INDEX + '[columns.a]\nresource = "Patient"\nvalue = "deceased"\n',
            "within_days is said of 'deceased'",
        ),
        (INDEX + EXISTS.replace("Condition", "Procedure"), "Procedure"),
    ],
)
def test_a_document_that_is_no_map_is_refused_with_its_reason(
    document: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "m.toml").write_text(document)
    with pytest.raises(BadFhirMap, match=told):
        read_map(tmp_path / "m.toml")


def test_a_map_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="there is no map"):
        read_map(tmp_path / "none.toml")
    (tmp_path / "m.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadFhirMap, match="not UTF-8"):
        read_map(tmp_path / "m.toml")
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(BadFhirMap, match="is not JSON"):
        read_map(tmp_path / "m.json")


def test_a_quantity_is_converted_as_the_map_says_or_not_at_all() -> None:
    declared = FhirMap.model_validate(
        tomllib.loads(
            INDEX + POTASSIUM + "units = { 'meq/L' = 1, 'K' = { factor = 2, plus = -3 } }"
        )
    )
    column = declared.columns["potassium"]
    assert column.resource == "Observation"
    assert (how := column.conversion("K")) is not None
    assert (how.factor, how.plus) == (2, -3)
    assert column.conversion("g/L") is None
    assert column.conversion("mmol/L{plasma}") is None
