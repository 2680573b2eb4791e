"""A small database in OMOP for tests to change, and the map of its table."""

import itertools
from pathlib import Path

import pandas as pd

from sites.data.source import OmopDatabase
from sites.data.tables import read_table
from tests.omop_databases import UNKNOWN, Row, Tables, write_database

ENDINGS = (".db", ".duckdb")
INDEX = 'person = "patient"\n[index]\non = 2024-06-30\n'
_NUMBERS = itertools.count()


def database(path: Path) -> str:
    """Return how a database is named as a source."""
    return str(path) if path.suffix == ".duckdb" else f"sqlite:///{path}"


def person(name: object) -> Row:
    """Return a person who was born on 30 June 1950."""
    born = {"year_of_birth": 1950, "month_of_birth": 6, "day_of_birth": 30}
    return {"person_id": name, **UNKNOWN, **born}


def measurement(key: int, name: int, **more: object) -> Row:
    """Return a measurement, of 1 June 2024."""
    return {
        "measurement_id": key,
        "person_id": name,
        "measurement_concept_id": 20,
        "measurement_date": "2024-06-01",
        "unit_concept_id": 1,
        "value_as_number": 4.5,
        "operator_concept_id": None,
        **more,
    }


def ward(folder: Path, tables: Tables, declared: str, ending: str = ".db") -> OmopDatabase:
    """Write a database and its map, each with a name of its own, and return the source."""
    name = f"ward-{next(_NUMBERS)}"
    write_database(folder / f"{name}{ending}", tables)
    (folder / f"{name}.toml").write_text(declared)
    return OmopDatabase(url=database(folder / f"{name}{ending}"), map=folder / f"{name}.toml")


def table_of(folder: Path, tables: Tables, declared: str, ending: str = ".db") -> pd.DataFrame:
    """Return the table that a map makes of a database."""
    return read_table(ward(folder, tables, declared, ending))
