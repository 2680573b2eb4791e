"""The declared map from tables of the OMOP CDM 5.4 to one row a person.

A map belongs to a site, as FHIR's do (`sites.data.fhir.maps`): its units and its habits of coding
are its own. Tables of which the map does not speak are not read.
"""

import json
from datetime import date
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, model_validator

from sites.data.mapped.days import Days, PartialDates, require_ordered_window
from sites.data.mapped.maps import NUMBERS, ColumnName, Conversion, Declared, read_declared
from sites.data.tables import UnreadableSource

RecordTable: TypeAlias = Literal[
    "condition_occurrence",
    "drug_exposure",
    "observation",
    "procedure_occurrence",
    "visit_occurrence",
]
EventTable: TypeAlias = Literal["measurement", RecordTable]
Concept: TypeAlias = Annotated[int, Field(ge=0)]
SchemaName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]


class BadOmopMap(UnreadableSource, code="bad-omop-map"):
    """The map of a site's OMOP tables is not one."""


class ConceptSet(Declared):
    """The concepts by which rows of a table are chosen.

    Args:
        concepts: Identifiers of standard concepts; none means any.
        descendants: Whether those below them in `concept_ancestor` count, too.
    """

    concepts: tuple[Concept, ...] = ()
    descendants: bool = True


class PersonColumn(Declared):
    """A column from the table `person`.

    Args:
        value: `age` in completed years on the index day, or the concept of the `gender`, the `race`
            or the `ethnicity`.
        means: For a concept, the cell of each.
    """

    table: Literal["person"]
    value: Literal["age", "gender", "race", "ethnicity"]
    means: dict[Concept, str] = Field(default={})

    @model_validator(mode="after")
    def _says_what_concepts_mean(self) -> "PersonColumn":
        if (self.value == "age") == bool(self.means):
            raise ValueError("means is said of a concept, and of it always")
        return self


class DeathColumn(Declared):
    """A column from the table `death`: whether the person died in the window.

    Args:
        within_days: The days that count, from the index day, both included; or `always`.
        answers: What the cell says if not, and if so.
    """

    take: ClassVar[Literal["exists"]] = "exists"

    table: Literal["death"]
    within_days: Days
    answers: tuple[str, str] = ("no", "yes")

    @model_validator(mode="after")
    def _window_is_ordered(self) -> "DeathColumn":
        require_ordered_window(self.within_days)
        return self


class RecordColumn(ConceptSet):
    """A column from conditions, drugs, observations, procedures or visits.

    Args:
        table: The table.
        within_days: The days that count, from the index day, both included, as in [-365, 0]; or
            `always`.
        take: `exists`, `count`, or on which day, from the index day, the `first` or `latest` was.
        answers: For `exists`, what the cell says if there is none, and if there is one.
    """

    table: RecordTable
    within_days: Days
    take: Literal["exists", "count", "first", "latest"]
    answers: tuple[str, str] = ("no", "yes")

    @model_validator(mode="after")
    def _window_is_ordered(self) -> "RecordColumn":
        require_ordered_window(self.within_days)
        return self


class MeasurementColumn(ConceptSet):
    """A column from the table `measurement`.

    Args:
        concepts: As for `ConceptSet`; at least one.
        within_days: As for `RecordColumn`.
        take: As for `RecordColumn`, and `min`, `max` or `mean` of numbers.
        value: What is taken: the `number`, the `concept`, or the `day` from the index day.
        unit: Of a number: the concept of the column's unit; 0 is none.
        units: How numbers in other units become one in that unit, by concept.
        limits: What a number with the operator < or > is: refused, left out, or taken as its bound.
        means: Of a concept: the cell of each.
        answers: As for `RecordColumn`.
    """

    table: Literal["measurement"]
    concepts: tuple[Concept, ...] = Field(min_length=1)
    within_days: Days
    take: Literal["exists", "count", "first", "latest", "min", "max", "mean"]
    value: Literal["number", "concept", "day"] | None = None
    unit: Concept | None = None
    units: dict[Concept, float | Conversion] = Field(default={})
    limits: Literal["refuse", "leave-out", "bound"] = "refuse"
    means: dict[Concept, str] = Field(default={})
    answers: tuple[str, str] = ("no", "yes")

    @model_validator(mode="after")
    def _says_what_is_taken(self) -> "MeasurementColumn":
        if (self.take in ("exists", "count")) != (self.value is None):
            raise ValueError(f"'{self.take}' takes {'no' if self.value else 'a'} value")
        if self.take in NUMBERS and self.value != "number":
            raise ValueError(f"'{self.take}' is taken of a number")
        if (self.value == "number") != (self.unit is not None):
            raise ValueError("unit is said of a number, and of it always; 0 is none")
        if self.units and self.unit is None:
            raise ValueError("units are those of a number")
        if (self.value == "concept") != bool(self.means):
            raise ValueError("means is said of a concept, and of it always")
        require_ordered_window(self.within_days)
        return self

    def conversion(self, unit: int) -> Conversion | None:
        """Return how a number in a unit becomes one in the column's unit; None if unknown."""
        found = 1.0 if unit == self.unit else self.units.get(unit)
        return Conversion(factor=found) if isinstance(found, float) else found


EventColumn: TypeAlias = DeathColumn | RecordColumn | MeasurementColumn
Column: TypeAlias = Annotated[PersonColumn | EventColumn, Field(discriminator="table")]


class Index(ConceptSet):
    """The day from which a person's days are counted; who has none is no row.

    Args:
        on: The same day for all.
        table: Otherwise, the table whose event's day it is.
        take: Which of a person's events: the `first` or the `latest`.
        between: The first and the last day that it may be. With it, the first event is the first
            between them.
    """

    on: date | None = None
    table: EventTable | None = None
    take: Literal["first", "latest"] = "first"
    between: tuple[date, date] | None = None

    @model_validator(mode="after")
    def _is_one_day(self) -> "Index":
        if (self.on is None) == (self.table is None):
            raise ValueError("the index day is either 'on' a day or that of an event of a 'table'")
        if self.between and self.between[0] > self.between[1]:
            raise ValueError("between begins after it ends")
        return self


class OmopMap(Declared):
    """How tables of the OMOP CDM become one row a person.

    Args:
        person: The column that says whose a row is: `person_id`.
        schema_name: The schema of the database in which the tables are (`schema` in the document).
        vocabulary: The schema of `concept_ancestor`, if that is another one.
        partial_dates: The day that a year or a month of birth stands for: its `middle` (2 July, the
            16th), its `first` or `last` one; or it is refused.
        unknown_persons: What becomes of rows that are of none of the persons.
        index: The day from which days are counted.
        columns: What each column of the schema is made of.
    """

    version: Literal[1] = 1
    person: ColumnName
    schema_name: SchemaName | None = Field(default=None, alias="schema")
    vocabulary: SchemaName | None = None
    partial_dates: PartialDates = "middle"
    unknown_persons: Literal["refuse", "leave-out"] = "refuse"
    index: Index
    columns: dict[ColumnName, Column] = Field(min_length=1)

    @model_validator(mode="after")
    def _person_is_a_column_of_its_own(self) -> "OmopMap":
        if self.person in self.columns:
            raise ValueError(f"{self.person} is the column of persons, and made of nothing else")
        return self


def read_map(path: Path) -> OmopMap:
    """Return the map in a TOML (`.toml`) or JSON (`.json`) document.

    Raises:
        MissingFile: There is no such file.
        BadOmopMap: It is not a map; the message names what is wrong, and the nearest key.
    """
    return read_declared(path, OmopMap, refusal=BadOmopMap)


def map_json_schema() -> str:
    """Return the JSON schema of a map, for editors; published in `docs/`."""
    return json.dumps(OmopMap.model_json_schema(), indent=1) + "\n"
