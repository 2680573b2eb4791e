"""The statements that read a database follow from the map alone, and can be shown."""

import sqlite3
from pathlib import Path

import duckdb
import pytest

from consortium.site.data_check import check_data, check_lines
from sites.data.omop.maps import OmopMap
from sites.data.omop.statements import statement_lines, statements_digest, statements_of
from tests.omop_databases import DDL, heart_omop_map
from tests.sites.data.omop.cdm import INDEX, person, ward

DECLARED = OmopMap.model_validate(
    {
        "person": "patient",
        "schema": "cdm",
        "vocabulary": "vocab",
        "index": {"table": "visit_occurrence", "concepts": [9201, 262], "descendants": False},
        "columns": {
            "age": {"table": "person", "value": "age"},
            "dead": {"table": "death", "within_days": [0, 30]},
            "potassium": {
                "table": "measurement",
                "concepts": [3023103],
                "value": "number",
                "unit": 8753,
                "take": "latest",
                "within_days": [-365, 0],
            },
        },
    }
)


def test_a_statement_chooses_by_concepts_and_what_is_below_them() -> None:
    found = statements_of(DECLARED)
    assert {name: one.text for name, one in found.items()} == {
        "person": "SELECT person_id, year_of_birth, month_of_birth, day_of_birth, "
        "gender_concept_id, race_concept_id, ethnicity_concept_id FROM cdm.person "
        "ORDER BY person_id",
        "index": "SELECT visit_occurrence_id, person_id, visit_start_date FROM "
        "cdm.visit_occurrence WHERE visit_concept_id IN (262, 9201) ORDER BY visit_occurrence_id",
        "column dead": "SELECT person_id, death_date FROM cdm.death ORDER BY person_id",
        "column potassium": "SELECT measurement_id, person_id, measurement_date, value_as_number, "
        "unit_concept_id, operator_concept_id FROM cdm.measurement WHERE measurement_concept_id IN "
        "(3023103) OR measurement_concept_id IN (SELECT descendant_concept_id FROM "
        "vocab.concept_ancestor WHERE ancestor_concept_id IN (3023103)) ORDER BY measurement_id",
    }


@pytest.mark.parametrize("connect", [sqlite3.connect, duckdb.connect])
def test_the_columns_are_those_of_the_data_model(connect: type) -> None:
    tables = (
        "condition_occurrence",
        "drug_exposure",
        "observation",
        "procedure_occurrence",
        "visit_occurrence",
        "measurement",
    )
    connection = connect(":memory:")
    for table, columns in DDL.items():
        connection.execute(f"CREATE TABLE {table} ({columns})")
    for table in tables:
        index = {"table": table, "concepts": [1]}
        age = {"age": {"table": "person", "value": "age"}}
        declared = OmopMap.model_validate({"person": "p", "index": index, "columns": age})
        for one in statements_of(declared).values():
            assert connection.execute(one.text).fetchall() == []
    connection.close()


def test_the_digest_changes_with_a_concept_and_not_with_a_window() -> None:
    """The window is no part of the SQL: it is applied to the rows that come."""
    column = DECLARED.columns["potassium"]
    found = {statements_digest(statements_of(DECLARED))}
    for changed in ({"within_days": (-30, 0)}, {"concepts": (1,)}):
        columns = {**DECLARED.columns, "potassium": column.model_copy(update=changed)}
        other = DECLARED.model_copy(update={"columns": columns})
        found.add(statements_digest(statements_of(other)))
    assert len(found) == 2


def test_check_data_shows_the_statements(tmp_path: Path) -> None:
    source = ward(
        tmp_path,
        {"person": [person(1)]},
        f'{INDEX}columns.age={{table="person",value="age"}}'.replace("[index]\n", "index."),
    )
    shown = [*check_lines(check_data(source, [], None))]
    told = [*statement_lines(source.map)]
    assert told[0].startswith("the database is read with 1 statement, SHA-256 ")
    at = shown.index(told[0])
    assert shown[at : at + len(told)] == told


def test_the_statements_of_the_documented_map_are_one_a_table_and_column(tmp_path: Path) -> None:
    (tmp_path / "heart.toml").write_text(heart_omop_map())
    assert next(statement_lines(tmp_path / "heart.toml")).startswith(
        "the database is read with 14 statements"
    )
