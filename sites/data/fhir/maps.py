"""The declared map from FHIR resources to one row a person: what each column is made of.

A map belongs to a site, as its codes and units are those of its own systems. Nothing is guessed: a
resource of which the map does not speak is not read.
"""

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from sites.data.mapped.days import Days, PartialDates, require_ordered_window
from sites.data.mapped.maps import NUMBERS, ColumnName, Conversion, Declared, read_declared
from sites.data.tables import UnreadableSource

RecordType: TypeAlias = Literal["Condition", "Encounter", "MedicationRequest"]
IndexType: TypeAlias = Literal["Observation", RecordType, "DocumentReference"]
Token: TypeAlias = Annotated[str, Field(pattern=r"^[^|\s]*\|\S+( \S+)*$")]
NEAREST = ("first", "latest")


class BadFhirMap(UnreadableSource, code="bad-fhir-map"):
    """The map of a site's FHIR resources is not one."""


class PatientColumn(Declared):
    """A column from the person's Patient resource.

    Args:
        value: `age` in completed years on the index day, `gender` as FHIR writes it, or `deceased`.
        within_days: For `deceased`, the days of death that count, from the index day; the first and
            the last one count, too.
        answers: For `deceased`, what the cell says if not, and if so.
    """

    resource: Literal["Patient"]
    value: Literal["age", "gender", "deceased"]
    within_days: Days | None = None
    answers: tuple[str, str] = ("no", "yes")

    @model_validator(mode="after")
    def _window_is_of_a_death(self) -> "PatientColumn":
        if (self.value == "deceased") != (self.within_days is not None):
            raise ValueError("within_days is said of 'deceased', and of it always")
        require_ordered_window(self.within_days)
        return self


class _EventColumn(Declared):
    codes: tuple[Token, ...] = ()
    within_days: Days
    answers: tuple[str, str] = ("no", "yes")
    statuses: tuple[str, ...] | None = Field(default=None, min_length=1)


class RecordColumn(_EventColumn):
    """A column from conditions, encounters or orders of medicines.

    Args:
        resource: The type of resource.
        codes: `system|code`, and `system|code*` for all codes that begin so; none means any.
        within_days: The days that count, from the index day, both included, as in [-365, 0]; or
            `always`.
        take: `exists`, `count`, or on which day, from the index day, the `first` or `latest` was.
        answers: For `exists`, what the cell says if there is none, and if there is one.
        statuses: The statuses that count, if not those of `sites.data.fhir.statuses`.
    """

    resource: RecordType
    take: Literal["exists", "count", "first", "latest"]

    @model_validator(mode="after")
    def _window_is_ordered(self) -> "RecordColumn":
        require_ordered_window(self.within_days)
        return self


class ObservationColumn(_EventColumn):
    """A column from observations, or from components of observations.

    Args:
        codes: As for `RecordColumn`; at least one.
        within_days: As for `RecordColumn`.
        take: As for `RecordColumn`, and `min`, `max` or `mean` of numbers.
        value: What is taken: a `quantity`, an `integer`, a `boolean`, what is `coded`, or the `day`
            from the index day.
        unit: Of a quantity: the unit of the column, as UCUM writes it.
        units: How quantities in other units become one in that unit.
        limits: What a value such as "< 5" is: refused, left out, or taken as its `bound`, 5.
        means: For `coded`, the cell of each `system|code`; for `boolean`, of `false` and `true`.
        answers: As for `RecordColumn`.
        statuses: As for `RecordColumn`.
    """

    resource: Literal["Observation"]
    codes: tuple[Token, ...] = Field(min_length=1)
    take: Literal["exists", "count", "first", "latest", "min", "max", "mean"]
    value: Literal["quantity", "integer", "boolean", "coded", "day"] | None = None
    unit: str | None = Field(default=None, min_length=1)
    units: dict[str, float | Conversion] = Field(default={})
    limits: Literal["refuse", "leave-out", "bound"] = "refuse"
    means: dict[str, str] = Field(default={})

    @model_validator(mode="after")
    def _says_what_is_taken(self) -> "ObservationColumn":
        if (self.take in ("exists", "count")) != (self.value is None):
            raise ValueError(f"'{self.take}' takes {'no' if self.value else 'a'} value")
        if self.take in NUMBERS and self.value not in ("quantity", "integer"):
            raise ValueError(f"'{self.take}' is taken of a quantity or an integer")
        if (self.value == "quantity") != (self.unit is not None):
            raise ValueError("unit is said of a quantity, and of it always")
        if self.units and self.unit is None:
            raise ValueError("units are those of a quantity")
        if (self.value == "coded" and not self.means) or (
            self.means and self.value not in ("coded", "boolean")
        ):
            raise ValueError("means says what is coded, or a boolean")
        require_ordered_window(self.within_days)
        return self

    def conversion(self, unit: str) -> Conversion | None:
        """Return how a quantity in a unit becomes one in the column's unit; None if unknown."""
        # By the text: in UCUM, braces do not change a unit, but mL/min/{1.73_m2} is not mL/min.
        found = 1.0 if unit == self.unit else self.units.get(unit)
        return Conversion(factor=found) if isinstance(found, float) else found


class DocumentColumn(Declared):
    """A column from the document that makes the row: the index is of type DocumentReference.

    Args:
        value: Its `text`, or its `type` or `category`.
        means: For `type` and `category`, the cell of each `system|code`.
    """

    resource: Literal["DocumentReference"]
    value: Literal["text", "type", "category"]
    means: dict[str, str] = Field(default={})

    @model_validator(mode="after")
    def _says_what_is_coded(self) -> "DocumentColumn":
        if (self.value == "text") == bool(self.means):
            raise ValueError("means is said of a type or a category, and of it always")
        return self


EventsColumn: TypeAlias = RecordColumn | ObservationColumn
Column: TypeAlias = Annotated[
    PatientColumn | RecordColumn | ObservationColumn | DocumentColumn,
    Field(discriminator="resource"),
]


class Index(Declared):
    """The day from which a row's days are counted; who has none is no row.

    Args:
        on: The same day for all.
        resource: Otherwise, the type of resource whose day it is.
        codes: As for `RecordColumn`.
        take: Whether the `first` or the `latest` of a person makes a row, or `each` of them.
        between: The first and the last day that it may be.
        statuses: As for `RecordColumn`.
    """

    on: date | None = None
    resource: IndexType | None = None
    codes: tuple[Token, ...] = ()
    take: Literal["first", "latest", "each"] = "first"
    between: tuple[date, date] | None = None
    statuses: tuple[str, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _is_one_day(self) -> "Index":
        if (self.on is None) == (self.resource is None):
            raise ValueError("the index day is either 'on' a day or that of a 'resource'")
        if self.between and self.between[0] > self.between[1]:
            raise ValueError("between begins after it ends")
        return self


class FhirMap(Declared):
    """How FHIR resources become rows: one a person, or one for each resource of the index.

    Args:
        person: The column that says whose a row is.
        identifier: The system of the identifier that stands there; Patient.id without it.
        servers: Base addresses of the servers whose absolute references are followed.
        partial_dates: The day that a year or a month stands for: its `middle` (2 July, the 16th),
            its `first` or `last` one; or it is refused.
        unknown_patients: What becomes of resources that are of none of the patients.
        index: The day from which days are counted.
        columns: What each column of the schema is made of.
    """

    version: Literal[1] = 1
    person: ColumnName
    identifier: str | None = None
    servers: tuple[str, ...] = ()
    partial_dates: PartialDates = "middle"
    unknown_patients: Literal["refuse", "leave-out"] = "refuse"
    index: Index
    columns: dict[ColumnName, Column] = Field(min_length=1)

    @model_validator(mode="after")
    def _person_is_a_column_of_its_own(self) -> "FhirMap":
        if self.person in self.columns:
            raise ValueError(f"{self.person} is the column of persons, and made of nothing else")
        documents = [n for n, one in self.columns.items() if one.resource == "DocumentReference"]
        if documents and self.index.resource != "DocumentReference":
            raise ValueError(f"for {documents[0]}, the resource of the index is a document")
        return self


def read_map(path: Path) -> FhirMap:
    """Return the map in a TOML (`.toml`) or JSON (`.json`) document.

    Raises:
        MissingFile: There is no such file.
        BadFhirMap: It is not a map; the message names what is wrong, and the nearest key.
    """
    return read_declared(path, FhirMap, refusal=BadFhirMap)


def map_json_schema() -> str:
    """Return the JSON schema of a map, for editors; published in `docs/`."""
    return json.dumps(FhirMap.model_json_schema(), indent=1) + "\n"
