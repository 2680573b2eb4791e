"""A scenario in a file is the scenario that it declares, and a mistake in it is named."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from consortium.cli.options import BadOption
from consortium.config import Scalar
from privacy.errors import ConsortiumError
from scenarios.library.registry import UnknownScenario, scenario_named
from scenarios.user_data.scenario_file import (
    BadScenarioFile,
    ScenarioFile,
    named_scenario,
    named_scenario_with_data,
    scenario_file_schema,
)
from scenarios.user_data.sources import with_user_data
from sites.data.source import FhirFiles, SqlQuery, TableFile
from sites.schema.tables import ClassLabel, Number, Schema

DOCS = Path(__file__).parents[3] / "docs"
WHOLE = """
name = "readmission"
title = "Three wards learn together"

[schema]
name = "discharges"
person = "patient"
features = [{ kind = "number", name = "age", low = 0, high = 120 }]
label = { kind = "classes", column = "back", classes = ["no", "yes"] }

[sites.ward-a]
data = "data/a.csv"
words = ["decimal:comma", "separator:semicolon"]
split = "side"

[sites.ward-b]
data = "sqlite:///b.db::SELECT * FROM wards"

[sites.ward-c]

[config]
model = "logistic"
num-server-rounds = 5
rule.name = "median"
dp = { epsilon = 3.0, unit = "person" }

[floors]
full_class_examples = 100
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("patient;age;back;side\n1;63,5;no;train\n")
    path = tmp_path / "readmission.toml"
    path.write_text(WHOLE)
    return path


def test_a_file_declares_schema_sites_config_and_floors(file: Path) -> None:
    scenario = named_scenario(str(file))
    assert (scenario.name, scenario.title) == ("readmission", "Three wards learn together")
    assert scenario.table == Schema(
        name="discharges",
        person="patient",
        features=(Number(name="age", low=0, high=120),),
        label=ClassLabel(column="back", classes=("no", "yes")),
    )
    assert scenario.sites == ("ward-a", "ward-b", "ward-c")
    assert scenario.task == "diagnosis"
    assert scenario.floors.full_class_examples == 100
    assert scenario.run_config == {
        "model": "logistic",
        "num-server-rounds": 5,
        "rule.name": "median",
        "dp.epsilon": 3.0,
        "dp.unit": "person",
    }


def test_data_are_found_from_where_the_file_is(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A query stays as it is written; a site without data gets them from `--data`."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    declared = named_scenario_with_data(str(file))
    first, second = declared.sources["ward-a"], declared.sources["ward-b"]
    assert isinstance(first, TableFile)
    assert first.path == file.parent / "data" / "a.csv"
    assert (first.separator, first.reading.decimal, first.split) == (";", ",", "side")
    assert second == SqlQuery(url="sqlite:///b.db", query="SELECT * FROM wards")
    assert "ward-c" not in declared.sources


def test_fhir_files_and_their_map_are_found_from_where_the_file_is(file: Path) -> None:
    (file.parent / "ehr").mkdir()
    (file.parent / "ward.toml").touch()
    file.write_text(
        file.read_text().replace("sqlite:///b.db::SELECT * FROM wards", "fhir:ehr,map:ward.toml")
    )
    source = FhirFiles(path=file.parent / "ehr", map=file.parent / "ward.toml")
    assert named_scenario_with_data(str(file)).sources["ward-b"] == source


def test_data_of_the_command_line_take_the_place_of_those_in_the_file(file: Path) -> None:
    other = file.parent / "other.csv"
    other.write_text("patient,age,back\n1,63,no\n")
    declared = named_scenario_with_data(str(file))
    found = with_user_data(declared, [f"ward-a={other}", f"ward-c={other}"], seed=7)
    assert [*found.sources] == ["ward-a", "ward-b", "ward-c"]
    assert found.sources["ward-a"] == found.sources["ward-c"] == TableFile(path=other)


def test_a_name_without_the_ending_is_one_of_the_library() -> None:
    assert named_scenario("heart-diagnosis") is scenario_named("heart-diagnosis")
    with pytest.raises(UnknownScenario):
        named_scenario("readmission")


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("title =", "titel =", "titel.*did you mean 'title'"),
        ('kind = "number"', 'kind = "numbre"', "number"),
        ("low = 0,", "low = 200,", "needs low clearly below high"),
        ('words = ["dec', 'wrods = ["dec', "did you mean 'words'"),
        ("[sites.ward-b]", '[sites."Ward B"]', "Ward B"),
        ("[sites.ward-b]", "[sites.pooled]", "a site cannot be called pooled.*another name"),
        ("[sites.ward-c]", "[sites.personal]", "a site cannot be called personal"),
        ("[schema]", "[schemas]", "there is no key 'schemas'.*did you mean 'schema'"),
        ("[schema]", "[schema", "no TOML in UTF-8"),
        ("full_class_examples", "full_class", "did you mean 'full_class_examples'"),
    ],
)
def test_a_mistake_is_named_with_what_was_meant(
    file: Path, wrong: str, right: str, said: str
) -> None:
    assert wrong in WHOLE
    file.write_text(WHOLE.replace(wrong, right))
    with pytest.raises(BadScenarioFile, match=said):
        ScenarioFile.read(file)


def test_a_file_of_data_that_is_not_there_is_refused_but_the_schema_can_be_used(
    file: Path,
) -> None:
    (file.parent / "data" / "a.csv").unlink()
    with pytest.raises(BadOption, match="there is no file"):
        named_scenario_with_data(str(file))
    assert named_scenario(str(file)).table.name == "discharges"


def test_a_file_that_is_not_there_is_refused_with_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(BadScenarioFile, match="`scenario init` proposes one"):
        named_scenario(str(tmp_path / "none.toml"))


def test_a_password_in_a_url_is_in_no_message(file: Path) -> None:
    secret = "postgresql://ann:sesame@host/db::SELECT 1"  # noqa: S105 -- it opens nothing
    file.write_text(WHOLE.replace("sqlite:///b.db::SELECT * FROM wards", secret))
    assert "sesame" not in repr(ScenarioFile.read(file))
    file.write_text(file.read_text().replace("[config]", "[confg]"))
    with pytest.raises(BadScenarioFile) as refused:
        ScenarioFile.read(file)
    assert "sesame" not in str(refused.value)


def test_the_published_schema_is_that_of_the_file_and_takes_it(file: Path) -> None:
    """If this fails, write `scenario_file_schema()` to `docs/scenario.schema.json`."""
    published = (DOCS / "scenario.schema.json").read_text()
    assert published == scenario_file_schema()
    schema, whole = json.loads(published), tomllib.loads(WHOLE)
    jsonschema.validate(whole, schema)
    with pytest.raises(jsonschema.ValidationError, match="titel"):
        jsonschema.validate({**whole, "titel": "x"}, schema)


def test_a_file_may_extend_a_scenario_of_the_library_or_another_file(tmp_path: Path) -> None:
    """Its settings go before those of the scenario, in tables or with dots."""
    first, second = tmp_path / "first.toml", tmp_path / "sub" / "second.toml"
    second.parent.mkdir()
    first.write_text(
        'extends = "heart-diagnosis"\n[config]\n"rule.num-byzantine" = 1\nmomentum = 0.5\n'
    )
    second.write_text('extends = "../first.toml"\n[config.rule]\nname = "coordinate-median"\n')
    heart, found = named_scenario("heart-diagnosis"), named_scenario(str(second))
    settings: dict[str, Scalar] = {
        "rule.num-byzantine": 1,
        "momentum": 0.5,
        "rule.name": "coordinate-median",
    }
    assert found == replace(heart, run_config={**heart.run_config, **settings})
    assert named_scenario_with_data(str(second)).scenario == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "own.toml"', "names itself"),
        ('extends = "heart-diagnosis"\ntitle = "mine"', "title"),
        ('extends = "heart-diagnosi"', "heart-diagnosis"),
    ],
)
def test_a_file_that_extends_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConsortiumError, match=said):
        named_scenario_with_data(str(path))
