"""Databases are opened to be read, and refusals do not quote a URL."""

from pathlib import Path

import pytest

from privacy import errors
from privacy.errors import MissingLibrary
from sites.data.omop.database import duckdb_path, opened_database
from sites.data.tables import MissingFile, QueryFailed
from tests.omop_databases import write_database
from tests.sites.data.omop.cdm import ENDINGS, database, person


def test_a_file_of_duckdb_is_named_by_its_path_or_as_a_url() -> None:
    assert duckdb_path("/a/ward.duckdb") == Path("/a/ward.duckdb")
    assert duckdb_path("duckdb:////a/ward.duckdb") == Path("/a/ward.duckdb")
    assert duckdb_path("postgresql://host/ward.duckdb") is None
    assert duckdb_path("sqlite:///ward.db") is None


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_come_in_chunks_and_nothing_is_written(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    write_database(path, {"person": [person(name) for name in range(3)]})
    before = path.read_bytes()
    with opened_database(database(path)) as opened:
        chunks = [*opened.chunks("SELECT person_id FROM person ORDER BY person_id")]
        assert [tuple(row) for chunk in chunks for row in chunk] == [(0,), (1,), (2,)]
        with pytest.raises(QueryFailed, match=r"refused a statement .*SELECT nothing FROM person"):
            next(opened.chunks("SELECT nothing FROM person"))
    assert path.read_bytes() == before


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_is_not_there_is_named_and_not_made(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"none{ending}"
    with pytest.raises(MissingFile, match="there is no database"), opened_database(database(path)):
        pass
    assert not path.exists()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.duckdb").write_text("text")
    with (
        pytest.raises(QueryFailed, match="cannot be opened"),
        opened_database(str(tmp_path / "a.duckdb")),
    ):
        pass


def test_without_the_package_the_command_that_installs_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda _: None)
    with (
        pytest.raises(MissingLibrary, match=r"duckdb .*pip install 'consortium-fl\[data\]'"),
        opened_database(str(tmp_path / "a.duckdb")),
    ):
        pass


def test_a_server_that_does_not_answer_is_refused_without_its_password() -> None:
    with (
        pytest.raises(QueryFailed) as refused,
        opened_database("postgresql+psycopg://u:secret@127.0.0.1:1/cdm"),
    ):
        pass
    assert "secret" not in str(refused.value)
