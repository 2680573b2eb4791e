"""The SELECT statements of a map: the same text for PostgreSQL, SQLite and DuckDB.

They choose rows by concept, and no more: dates, units and windows are worked out in Python, because
the three databases do not agree on them.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from privacy.errors import number_of
from sites.data.omop.maps import (
    ConceptSet,
    DeathColumn,
    EventTable,
    MeasurementColumn,
    OmopMap,
    PersonColumn,
    read_map,
)


class EventNames(NamedTuple):
    """What the columns of a table of events are called.

    Args:
        key: Its primary key.
        concept: The standard concept of the event.
        day: The day on which it was, or began.
    """

    key: str
    concept: str
    day: str


EVENT_NAMES: Mapping[EventTable, EventNames] = {
    "condition_occurrence": EventNames(
        "condition_occurrence_id", "condition_concept_id", "condition_start_date"
    ),
    "drug_exposure": EventNames("drug_exposure_id", "drug_concept_id", "drug_exposure_start_date"),
    "measurement": EventNames("measurement_id", "measurement_concept_id", "measurement_date"),
    "observation": EventNames("observation_id", "observation_concept_id", "observation_date"),
    "procedure_occurrence": EventNames(
        "procedure_occurrence_id", "procedure_concept_id", "procedure_date"
    ),
    "visit_occurrence": EventNames("visit_occurrence_id", "visit_concept_id", "visit_start_date"),
}
PERSON = "person"
INDEX = "index"
_PERSON_COLUMNS = (
    "person_id",
    "year_of_birth",
    "month_of_birth",
    "day_of_birth",
    "gender_concept_id",
    "race_concept_id",
    "ethnicity_concept_id",
)
_VALUE_COLUMNS = {
    "number": ("value_as_number", "unit_concept_id", "operator_concept_id"),
    "concept": ("value_as_concept_id",),
}


class Statement(NamedTuple):
    """A SELECT statement.

    Args:
        table: The table that it reads.
        columns: The names of its columns, in order. The first is the key of a row, by which the
            rows are ordered.
        day: The column that says when an event was; empty for persons.
        text: The statement.
    """

    table: str
    columns: tuple[str, ...]
    day: str
    text: str


def statements_of(declared: OmopMap) -> dict[str, Statement]:
    """Return every statement that reads a database for a map, by what it is for, in order.

    They are for `person`, for the `index` unless that is the same day for all, and for each column
    that is not of the person, by its name after `column `.
    """
    found = {PERSON: _statement(declared, "person", _PERSON_COLUMNS)}
    index = declared.index
    if index.table is not None:
        found[INDEX] = _event_statement(declared, index.table, index)
    for name, column in declared.columns.items():
        match column:
            case PersonColumn():
                continue
            case DeathColumn():
                made = _statement(declared, "death", ("person_id", "death_date"), day="death_date")
            case MeasurementColumn():
                also = _VALUE_COLUMNS.get(column.value or "", ())
                made = _event_statement(declared, column.table, column, also)
            case _:
                made = _event_statement(declared, column.table, column)
        found[column_key(name)] = made
    return found


def column_key(name: str) -> str:
    """Return what the statement of a column is called among those of `statements_of`."""
    return f"column {name}"


def statements_digest(statements: Mapping[str, Statement]) -> str:
    """Return the SHA-256 of the statements' texts, a line for each, in hexadecimal."""
    lines = "".join(f"{one.text}\n" for one in statements.values())
    return hashlib.sha256(lines.encode()).hexdigest()


def _event_statement(
    declared: OmopMap, table: EventTable, chosen: ConceptSet, also: tuple[str, ...] = ()
) -> Statement:
    names = EVENT_NAMES[table]
    where = ""
    if chosen.concepts:
        listed = ", ".join(map(str, sorted({*chosen.concepts})))
        where = f"{names.concept} IN ({listed})"
        if chosen.descendants:
            ancestors = _qualified(declared.vocabulary or declared.schema_name, "concept_ancestor")
            below = _statement_text(("descendant_concept_id",), ancestors)
            where += f" OR {names.concept} IN ({below} WHERE ancestor_concept_id IN ({listed}))"
    columns = (names.key, "person_id", names.day, *also)
    return _statement(declared, table, columns, day=names.day, where=where)


def _statement(
    declared: OmopMap, table: str, columns: tuple[str, ...], *, day: str = "", where: str = ""
) -> Statement:
    text = _statement_text(columns, _qualified(declared.schema_name, table))
    if where:
        text += f" WHERE {where}"
    return Statement(table, columns, day, f"{text} ORDER BY {columns[0]}")


def _statement_text(columns: Sequence[str], table: str) -> str:
    # All names are those of this file, and a schema's, which the map holds to letters and digits.
    return f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608


def _qualified(schema: str | None, table: str) -> str:
    return table if schema is None else f"{schema}.{table}"


def statement_lines(path: Path) -> Iterator[str]:
    """Yield the statements of a map, for whoever answers for the database, after their digest.

    Raises:
        MissingFile, BadOmopMap: There is no such map.
    """
    statements = statements_of(read_map(path))
    counted = number_of(len(statements), "statement")
    yield f"the database is read with {counted}, SHA-256 {statements_digest(statements)}:"
    yield from (f"  {one.text}" for one in statements.values())
