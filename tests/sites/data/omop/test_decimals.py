"""A database that rounded measurements when they were loaded is named, and no other one."""

from pathlib import Path

import pytest

from consortium.site.data_check import check_data, check_lines
from sites.data.omop.decimals import notice_of_decimals
from sites.data.source import OmopDatabase
from tests.omop_databases import DDL, write_database
from tests.sites.data.omop.cdm import ENDINGS, INDEX, database, measurement, person

NUMBER = """
[columns.troponin]
table = "measurement"
concepts = [20]
value = "number"
unit = 1
take = "latest"
within_days = "always"
"""


def ward(folder: Path, ending: str, kind: str = "NUMERIC", columns: str = NUMBER) -> OmopDatabase:
    tables = {"person": [person(1)], "measurement": [measurement(5, 1, value_as_number=0.0004)]}
    ddl = {**DDL, "measurement": DDL["measurement"].replace("NUMERIC", kind)}
    write_database(folder / f"a{ending}", tables, ddl=ddl)
    (folder / "map.toml").write_text(INDEX + columns)
    return OmopDatabase(url=database(folder / f"a{ending}"), map=folder / "map.toml")


def test_duckdb_rounds_a_numeric_and_the_check_says_so(tmp_path: Path) -> None:
    source = ward(tmp_path, ".duckdb")
    check = check_data(source, [], None)
    assert check.frame["troponin"].tolist() == [0.0]
    (said,) = [line for line in check_lines(check) if "keeps 3 decimals" in line]
    assert said.startswith("NOTICE: measurement.value_as_number keeps 3 decimals (DECIMAL(18,3))")
    assert "read are troponin" in said


@pytest.mark.parametrize(
    ("ending", "kind"), [*((one, "DOUBLE") for one in ENDINGS), (".db", "NUMERIC")]
)
def test_what_keeps_all_digits_is_not_named(tmp_path: Path, ending: str, kind: str) -> None:
    source = ward(tmp_path, ending, kind)
    assert notice_of_decimals(source) == ""
    assert check_data(source, [], None).frame["troponin"].tolist() == [0.0004]


def test_a_map_that_reads_no_number_needs_no_notice(tmp_path: Path) -> None:
    exists = NUMBER.replace('value = "number"\nunit = 1\n', "").replace("latest", "exists")
    assert notice_of_decimals(ward(tmp_path, ".duckdb", columns=exists)) == ""
