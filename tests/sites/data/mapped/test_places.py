"""A cell that breaks the schema is named by the resource, or the row, from which it comes."""

from pathlib import Path

import pytest

from consortium.site.data_check import check_data
from sites.data.source import FhirFiles, TableFile, with_words
from sites.data.tables import BadTexts
from sites.data.validation import BadTable
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.schema.texts import NotesSchema
from sites.tasks.tabular.loading import read_valid_table
from sites.tasks.text.classification_data import load_notes
from tests.fhir_exports import NOTES_MAP, write_notes_export
from tests.sites.data.fhir.wards import INDEX, PATIENT, POTASSIUM, observation, patient, write_ward
from tests.sites.data.omop import cdm as omop
from tests.sites.sides import keyed

SCHEMA = Schema(
    name="ward",
    person="patient",
    features=(Number(name="potassium", low=2, high=8), Number(name="age", low=0, high=110)),
    label=ClassLabel(column="sex", classes=("female", "male")),
)
COLUMNS = POTASSIUM + PATIENT


def ward(folder: Path) -> FhirFiles:
    files = {
        "a.ndjson": [observation("o1"), observation("o2", 45)],
        "b.ndjson": [patient("1", gender="male"), patient("2", gender="?", birthDate="1850")],
    }
    files["a.ndjson"][1]["effectiveDateTime"] = "2024-06-02"
    return write_ward(folder, files, INDEX + COLUMNS)


def test_a_refusal_names_file_line_and_resource(tmp_path: Path) -> None:
    with pytest.raises(BadTable) as refused:
        read_valid_table(ward(tmp_path), SCHEMA)
    told = str(refused.value)
    assert "from 2 to 8, not so in row 1 (45.0) from a.ndjson line 2 (Observation/o2)" in told
    assert (
        "age: expected a number from 0 to 110, not so in row 2 (173.0) from b.ndjson line 2" in told
    )
    assert "row 2 from b.ndjson line 2 (Patient/2)" in told  # of potassium, which is missing


def test_check_data_names_them_too(tmp_path: Path) -> None:
    check = check_data(ward(tmp_path), [], SCHEMA)
    assert "a.ndjson line 2 (Observation/o2)" in check.refusal


def test_words_may_say_more_of_what_the_map_made(tmp_path: Path) -> None:
    schema = SCHEMA.model_copy(
        update={
            "features": (Category(name="gender", values=("m", "x"), missing=True),),
            "label": ClassLabel(column="age", classes=("74", "75")),
        }
    )
    words = ["column:gender=sex", "values:gender:male=m"]
    source = with_words(ward(tmp_path), words)
    with pytest.raises(BadTable, match=r"age: .*row 2 \('173'\) from b.ndjson line 2") as refused:
        read_valid_table(source, schema)
    assert "gender" not in str(refused.value)


def test_the_refusal_of_another_source_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("patient,potassium,age,sex\n1,45,20,male\n")
    with pytest.raises(BadTable, match=r"not so in row 2 \(45\.0\); correct it"):
        read_valid_table(TableFile(path=tmp_path / "t.csv"), SCHEMA)


def test_a_refusal_names_the_row_of_an_omop_table(tmp_path: Path) -> None:
    declared = (
        f'{omop.INDEX}[columns.potassium]\ntable = "measurement"\nconcepts = [20]\nunit = 1\n'
        'value = "number"\ntake = "latest"\nwithin_days = "always"\n'
        '[columns.age]\ntable = "person"\nvalue = "age"\n[columns.sex]\ntable = "person"\n'
        'value = "gender"\nmeans = { 0 = "male" }\n'
    )
    people = [omop.person(1), {**omop.person(2), "year_of_birth": 1850}]
    measured = [omop.measurement(5, 1, value_as_number=45)]
    source = omop.ward(tmp_path, {"person": people, "measurement": measured}, declared)
    with pytest.raises(BadTable) as refused:
        read_valid_table(source, SCHEMA)
    told = str(refused.value)
    assert "not so in row 1 (45.0) from measurement 5" in told
    assert "row 2 (174.0) from person 2" in told
    assert "row 2 from person 2" in told  # of potassium, which is missing


NOTES = NotesSchema(
    name="letters",
    person="category",
    text="text",
    label=ClassLabel(column="chapter", classes=("eye", "ear")),
)


def letters(folder: Path) -> FhirFiles:
    """Write a letter, one that says nothing, and one of another chapter."""
    write_notes_export(["My eye", " - ", "NA", "My arm"], folder / "ehr")
    (folder / "map.toml").write_text(NOTES_MAP)
    return FhirFiles(path=folder / "ehr", map=folder / "map.toml")


def test_a_refused_text_is_named_by_file_line_resource_and_element(tmp_path: Path) -> None:
    with pytest.raises(BadTexts) as refused:
        load_notes(letters(tmp_path), NOTES, sides=keyed(1))
    told = str(refused.value)
    assert "no text in row 3" in told
    where = "DocumentReference.ndjson line"
    assert f"row 3 is {where} 3 (DocumentReference/d2, content.attachment)" in told
    assert f"row 2 is {where} 2 (DocumentReference/d1, category)" in told
    assert f"row 4 is {where} 4 (DocumentReference/d3, category)" in told
    assert "arm" not in told
    assert refused.value.counts == {"empty": 1, "unknown": 2}


def test_check_data_names_refused_texts_too(tmp_path: Path) -> None:
    check = check_data(letters(tmp_path), [], NOTES)
    assert "line 3 (DocumentReference/d2, content.attachment)" in check.refusal


def test_a_refused_text_of_a_file_keeps_its_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("category,text,chapter\n1,NA,eye\n")
    with pytest.raises(BadTexts, match=r"^no text in row 2: fill it in or leave it out$"):
        load_notes(TableFile(path=tmp_path / "t.csv"), NOTES, sides=keyed(1))
