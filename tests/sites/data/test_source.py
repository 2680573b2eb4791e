from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from sites.data.source import (
    DataSource,
    FhirFiles,
    OmopDatabase,
    SqlQuery,
    TableFile,
    is_in_database,
)

SOURCES = TypeAdapter[DataSource](DataSource)


@pytest.mark.parametrize(
    "source",
    [
        TableFile(path=Path("patients.csv"), separator=";", split="fold"),
        SqlQuery(url="sqlite:///patients.db", query="SELECT * FROM patients"),
        FhirFiles(path=Path("export"), map=Path("ward.toml")),
        OmopDatabase(url="postgresql://host/cdm", map=Path("ward.toml")),
    ],
)
def test_a_source_is_read_back_from_its_json(source: DataSource) -> None:
    assert SOURCES.validate_json(SOURCES.dump_json(source)) == source


def test_the_repr_hides_a_password_in_a_url() -> None:
    source = SqlQuery(url="postgresql://me:secret@db/x", query="SELECT name FROM patients")
    assert "secret" not in f"{source!r} {source}"
    assert "patients" not in f"{source!r} {source}"


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "file", "path": "a.csv", "separator": "x"},
        {"kind": "file", "path": "a.csv", "query": "SELECT 1"},
        {"kind": "sql", "url": "sqlite://", "query": ""},
        {"kind": "ftp", "path": "a.csv"},
    ],
)
def test_contradictory_sources_cannot_be_built(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SOURCES.validate_python(fields)


def test_only_what_is_in_files_can_be_seen_to_be_unchanged() -> None:
    """The map of a database is a file, and older than rows that came since."""
    declared = Path("ward.toml")
    assert is_in_database(OmopDatabase(url="postgresql://host/cdm", map=declared))
    assert is_in_database(SqlQuery(url="sqlite:///patients.db", query="SELECT 1"))
    assert not is_in_database(FhirFiles(path=Path("export"), map=declared))
