"""PostgreSQL gives the table that SQLite and DuckDB give of the same rows, and the same digest."""

import math
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from scenarios.data.datasets import heart_hospitals, load_dataset
from sites.data.fingerprint import fingerprint_of
from sites.data.omop.decimals import notice_of_decimals
from sites.data.omop.refusals import BadCdmRows
from sites.data.omop.table import read_omop
from sites.data.source import OmopDatabase, SqlQuery
from sites.data.tables import QueryFailed, read_table
from tests.omop_databases import (
    DDL,
    below,
    heart_omop_map,
    heart_tables,
    write_database,
    write_heart_database,
)
from tests.postgresql_server import Server, running_server
from tests.sites.data.omop.cdm import ENDINGS, INDEX, database, measurement, person

pytestmark = pytest.mark.slow

MEASURED = """
[columns.potassium]
table = "measurement"
concepts = [20]
value = "number"
unit = 1
take = "latest"
within_days = "always"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


def source(folder: Path, url: str, declared: str) -> OmopDatabase:
    (folder / "map.toml").write_text(declared)
    return OmopDatabase(url=url, map=folder / "map.toml")


def test_all_rows_and_the_digest_are_those_of_sqlite_and_duckdb(
    tmp_path: Path, server: Server
) -> None:
    frame = load_dataset("heart-disease")
    ours = frame[heart_hospitals(frame) == "cleveland"]
    url = server.write("heart", heart_tables(ours))
    made = source(tmp_path, url, heart_omop_map())
    in_postgresql = read_omop(made)
    assert len(in_postgresql.frame) == len(ours)
    for ending in ENDINGS:
        write_heart_database(ours, tmp_path / f"ward{ending}")
        other = source(tmp_path, database(tmp_path / f"ward{ending}"), heart_omop_map())
        found = read_omop(other)
        pd.testing.assert_frame_equal(found.frame, in_postgresql.frame)
        assert found.places == in_postgresql.places
        assert fingerprint_of(other) == fingerprint_of(made)


def test_many_rows_come_in_chunks_by_concepts_and_those_below_them(
    tmp_path: Path, server: Server
) -> None:
    """More rows than a chunk holds, in a schema of their own, in no order."""
    n = 120_000
    persons = [person(one) for one in range(1, 501)]
    measured = [
        measurement(
            key,
            key % 500 + 1,
            measurement_concept_id=(20, 21, 22)[key % 3],
            measurement_date=(date(2024, 1, 1) + timedelta(key % 150)).isoformat(),
            value_as_number=key / 1000,
        )
        for key in (at * 7919 % n for at in range(n))
    ]
    tables = {"person": persons, "measurement": measured, "concept_ancestor": below(20, 21)}
    url = server.write("many", tables, schema="cdm")
    declared = INDEX + MEASURED
    made = read_table(source(tmp_path, url, f'schema = "cdm"\n{declared}'))
    write_database(tmp_path / "a.db", tables)
    pd.testing.assert_frame_equal(
        made, read_table(source(tmp_path, database(tmp_path / "a.db"), declared))
    )


def test_numbers_and_identifiers_keep_all_their_digits(tmp_path: Path, server: Server) -> None:
    """`NUMERIC` has as many decimals as were written, and DuckDB three."""
    ddl = {**DDL, "person": DDL["person"].replace("person_id integer", "person_id NUMERIC")}
    ddl["measurement"] = DDL["measurement"].replace("person_id integer", "person_id bigint")
    names = [2**56 + 1, 2**56 + 2]
    measured = [measurement(at, one, value_as_number=0.00042) for at, one in enumerate(names)]
    tables: dict[str, Any] = {"person": [*map(person, names)], "measurement": measured}
    made = read_table(source(tmp_path, server.write("exact", tables, ddl=ddl), INDEX + MEASURED))
    assert made["patient"].tolist() == [str(one) for one in names]
    assert made["potassium"].tolist() == [0.00042, 0.00042]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"unit_concept_id": 3}, r"measurement 5 \(unit_concept_id is 3\)"),
        ({"value_as_number": "NaN"}, "a finite number, .* measurement 5"),
        ({"person_id": 9}, r"measurement 5 \(person_id is 9\)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_table_and_key(
    tmp_path: Path, server: Server, row: dict[str, object], told: str
) -> None:
    name = "wrong-" + "-".join(row)
    tables = {"person": [person(1)], "measurement": [measurement(5, 1, **row)]}
    with pytest.raises(BadCdmRows, match=told):
        read_table(source(tmp_path, server.write(name, tables), INDEX + MEASURED))


@pytest.mark.parametrize("day", ["infinity", "0044-03-15 BC", "12024-06-01"])
def test_a_date_that_no_calendar_of_ours_has_is_refused(
    tmp_path: Path, server: Server, day: str
) -> None:
    tables = {"person": [person(1)], "measurement": [measurement(5, 1, measurement_date=day)]}
    url = server.write(f"day-{day[:4]}", tables)
    with pytest.raises(QueryFailed, match="measurement"):
        read_table(source(tmp_path, url, INDEX + MEASURED))


def test_times_are_dates_and_a_view_is_a_table(tmp_path: Path, server: Server) -> None:
    tables = {"person": [person(1)], "measurement": [measurement(5, 1)]}
    ddl = {**DDL, "measurement": DDL["measurement"].replace("_date date", "_date timestamptz")}
    url = server.write("views", tables, ddl=ddl)
    server.execute(
        "ALTER TABLE measurement RENAME TO all_measurements",
        "CREATE VIEW measurement AS SELECT * FROM all_measurements",
        database="views",
    )
    made = read_table(source(tmp_path, url, INDEX + MEASURED))
    assert made["potassium"].tolist() == [4.5]


def test_an_account_that_may_only_read_is_enough(tmp_path: Path, server: Server) -> None:
    server.write("readonly", {"person": [person(1)], "measurement": [measurement(5, 1)]})
    server.execute(
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        database="readonly",
    )
    url = server.url("readonly").replace("consortium@", "reader@")
    assert len(read_table(source(tmp_path, url, INDEX + MEASURED))) == 1
    with (
        psycopg.connect(url.replace("+psycopg", "")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("DELETE FROM person")


def test_a_query_returns_whole_numbers_texts_and_missing_values(server: Server) -> None:
    url = server.url()
    query = (
        "SELECT * FROM (VALUES (9007199254740993::bigint, 'näve 50%', 1.25::numeric, NULL::date), "
        "(2, 'a:b', NULL, DATE '2024-02-29')) AS t (patient, note, amount, seen)"
    )
    frame = read_table(SqlQuery(url=url, query=query))
    assert frame["patient"].tolist() == [2**53 + 1, 2]
    assert frame["note"].tolist() == ["näve 50%", "a:b"]
    assert float(frame["amount"][1]) == 1.25
    assert math.isnan(float(frame["amount"][2]))
    assert frame["seen"].tolist() == [None, date(2024, 2, 29)]


@pytest.mark.parametrize(("kind", "told"), [("NUMERIC", ""), ("NUMERIC(18,3)", "keeps 3 decimals")])
def test_a_column_that_rounds_is_named(
    tmp_path: Path, server: Server, kind: str, told: str
) -> None:
    ddl = {**DDL, "measurement": DDL["measurement"].replace("NUMERIC", kind)}
    tables = {"person": [person(1)], "measurement": [measurement(5, 1)]}
    url = server.write(f"decimals-{len(kind)}", tables, ddl=ddl)
    said = notice_of_decimals(source(tmp_path, url, INDEX + MEASURED))
    assert bool(said) == bool(told)
    assert told in said
