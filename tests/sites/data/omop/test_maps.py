"""A map of an OMOP database says all that is needed, or is refused."""

import json
import tomllib
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from sites.data.omop.maps import BadOmopMap, OmopMap, map_json_schema, read_map
from sites.data.tables import MissingFile
from tests.omop_databases import heart_omop_map
from tests.sites.data.omop.cdm import INDEX

DOCS = Path(__file__).parents[4] / "docs"


def test_the_published_json_schema_is_that_of_the_maps() -> None:
    """If this fails, write `map_json_schema()` to `docs/omop-map.schema.json` and tell users."""
    assert (DOCS / "omop-map.schema.json").read_text() == map_json_schema()
    jsonschema.validate(
        json.loads(read_heart_map().model_dump_json(by_alias=True, exclude_none=True)),
        json.loads(map_json_schema()),
    )


def read_heart_map() -> OmopMap:
    return OmopMap.model_validate(tomllib.loads(heart_omop_map()))


def test_a_map_may_be_json(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(read_heart_map().model_dump_json(by_alias=True, exclude_unset=True))
    assert read_map(path) == read_heart_map()


LAB = 'table = "measurement"\nwithin_days = [0, 7]\n'


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ('table = "persons"\nvalue = "age"', "persons"),
        ('table = "person"\nvalue = "gender"', "means is said of a concept"),
        ('table = "person"\nvalue = "age"\nmeans = { 1 = "x" }', "means is said of a concept"),
        ('table = "death"\nwithin_days = [3, 0]', "begins after it ends"),
        ('table = "drug_exposure"\ntake = "mean"\nwithin_days = [0, 3]', "take"),
        ('table = "visit_occurrence"\ntake = "count"\nwithin_days = [3, 0]', "begins after"),
        (f'{LAB}take = "count"', "concepts"),
        (f'{LAB}concepts = [1]\ntake = "count"\nvalue = "day"', "takes no value"),
        (f'{LAB}concepts = [1]\ntake = "latest"', "takes a value"),
        (f'{LAB}concepts = [1]\ntake = "mean"\nvalue = "day"', "taken of a number"),
        (f'{LAB}concepts = [1]\ntake = "mean"\nvalue = "number"', "unit is said of a number"),
        (
            f'{LAB}concepts = [1]\ntake = "first"\nvalue = "day"\nunits = {{ 2 = 3 }}',
            "units are those of a number",
        ),
        (f'{LAB}concepts = [1]\ntake = "first"\nvalue = "concept"', "means is said of a concept"),
        (f'{LAB}concepts = [-1]\ntake = "count"', "concepts"),
        ('table = "death"\nwithin = [0, 3]', "within_days"),
    ],
)
def test_a_column_that_is_not_whole_is_refused(tmp_path: Path, column: str, told: str) -> None:
    (tmp_path / "map.toml").write_text(f"{INDEX}[columns.x]\n{column}\n")
    with pytest.raises(BadOmopMap, match=told):
        read_map(tmp_path / "map.toml")


COLUMN = '[columns.x]\ntable = "person"\nvalue = "age"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('person = "x"\n[index]\non = 2024-06-30\n' + COLUMN, "made of nothing else"),
        ('person = "p"\n[index]\n' + COLUMN, "either 'on' a day or"),
        (
            'person = "p"\n[index]\ntable = "measurement"\nbetween = [2024-02-01, 2024-01-01]\n'
            + COLUMN,
            "between begins after it ends",
        ),
        ('person = "p"\nschema = "a; DROP"\n[index]\non = 2024-06-30\n' + COLUMN, "schema"),
        ("person", "not TOML"),
    ],
)
def test_what_is_no_map_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(BadOmopMap, match=told):
        read_map(tmp_path / "map.toml")


def test_a_map_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="there is no map"):
        read_map(tmp_path / "map.toml")
