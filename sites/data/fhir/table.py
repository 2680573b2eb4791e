"""Make one row a person of a site's FHIR resources, as its map declares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from sites.data.fhir.cells import Cells, Extreme, Mean, Nearest, Series, Tallied
from sites.data.fhir.events import Event, Selection, chosen_events, require_date
from sites.data.fhir.maps import (
    Days,
    EventsColumn,
    FhirMap,
    Index,
    ObservationColumn,
    PatientColumn,
    RecordColumn,
    read_map,
)
from sites.data.fhir.moments import Moment, completed_years
from sites.data.fhir.ndjson import ResourceFiles
from sites.data.fhir.patients import Patients, Subjects, read_patients
from sites.data.fhir.refusals import Refusals, Refused
from sites.data.fhir.repetitions import Repetitions
from sites.data.fhir.values import Value, is_absent, value_of
from sites.data.source import FhirFiles
from sites.data.tables import EmptyTable

_INDEX = "index"


@dataclass(frozen=True)
class FhirTable:
    """The rows that a map makes of FHIR resources.

    Args:
        frame: One row a person, indexed from 1.
        places: By column, where the resource of each row's cell stands, or the Patient if there is
            none.
        files: The files that were read.
    """

    frame: pd.DataFrame
    places: Mapping[str, Sequence[int]]
    files: ResourceFiles


def read_fhir(source: FhirFiles) -> FhirTable:
    """Return one row for each patient of a site's FHIR files who has an index day.

    Guarantee: the files are read line by line, and nothing is kept of a resource but what a column
    takes of it. Only resources of which the map speaks are judged.

    Raises:
        BadFhirMap: The map is none.
        MissingFile, BrokenFile: A file cannot be read.
        EmptyTable: There are no patients, or none has an index day.
        BadResources: Resources cannot be made into cells; the message names each place.
    """
    declared = read_map(source.map)
    files = ResourceFiles(source.path)
    refusals = Refusals(files.files)
    types = {column.resource for column in declared.columns.values()} | {declared.index.resource}
    also = {"Medication"} if "MedicationRequest" in types else set()
    patients = read_patients(files.read({"Patient", *also}), declared, refusals)
    refusals.raise_any()
    if not patients.persons:
        raise EmptyTable(f"{source.path} holds no Patient: a site needs at least one record")
    reading = _Reading(declared, files, patients, refusals)
    return reading.table()


class _Reading:
    """One reading of the files: the index days first, then the columns."""

    def __init__(
        self, declared: FhirMap, files: ResourceFiles, patients: Patients, refusals: Refusals
    ) -> None:
        self._map, self._files, self._patients = declared, files, patients
        self._refusals = refusals
        self._subjects = Subjects(patients, declared)

    def table(self) -> FhirTable:
        days = self._index_days(self._map.index)
        rows = [row for row, day in enumerate(days) if day is not None]
        if not rows:
            raise EmptyTable("no patient has an index day: see what the map says of 'index'")
        cells = self._collected(days)
        columns: dict[str, Series] = {}
        places: dict[str, Sequence[int]] = {}
        for name, column in self._map.columns.items():
            own = self._patients.places
            if isinstance(column, PatientColumn):
                columns[name] = self._of_patients(name, column, days, rows)
                places[name] = [own[row] for row in rows]
            else:
                found = cells[name]
                columns[name] = found.column(rows)
                at = found.places
                places[name] = [at[row] if at[row] >= 0 else own[row] for row in rows]
        self._refusals.raise_any()
        persons = pd.Series([self._patients.persons[row] for row in rows], dtype="str")
        frame = pd.DataFrame({self._map.person: persons, **columns})
        frame.index = pd.RangeIndex(1, len(rows) + 1)
        return FhirTable(frame, places, self._files)

    def _index_days(self, index: Index) -> list[int | None]:
        n_rows = len(self._patients.persons)
        if index.resource is None:
            return [index.on.toordinal() if index.on else None] * n_rows
        nearest = Nearest(index.take, n_rows)
        first, last = index.between or (date.min, date.max)
        for event in self._events({_INDEX: index}):
            try:
                moment = require_date(event.resource, self._map.partial_dates)
            except Refused as why:
                self._refusals.add(_INDEX, why, place=event.place, resource=event.resource)
                continue
            if first.toordinal() <= moment.day <= last.toordinal():
                nearest.add(event.row, moment.instant_s, float(moment.day), event.place)
        self._refusals.raise_any()
        found = [nearest.value(row) for row in range(n_rows)]
        return [None if day is None else int(day) for day in found]

    def _events(self, selections: Mapping[str, Selection]) -> Iterator[Event]:
        types = {one.resource for one in selections.values() if one.resource is not None}
        found = self._files.read(types)
        return chosen_events(found, selections, self._patients, self._subjects, self._refusals)

    def _collected(self, days: Sequence[int | None]) -> dict[str, Cells]:
        columns = {
            name: column
            for name, column in self._map.columns.items()
            if not isinstance(column, PatientColumn)
        }
        cells = {name: _empty_cells(one, len(days)) for name, one in columns.items()}
        repetitions = Repetitions()
        for event in self._events(columns):
            column, day = columns[event.name], days[event.row]
            if day is None:
                continue
            try:
                found = self._cell_of(column, event, day)
                if found is None:
                    continue
                if column.take in ("count", "mean"):
                    repetitions.note(event.resource, event.place)
            except Refused as why:
                self._refusals.add(event.name, why, place=event.place, resource=event.resource)
                continue
            cells[event.name].add(event.row, found[0], found[1], event.place)
        repetitions.refuse_any(self._files, self._refusals)
        return cells

    def _cell_of(
        self, column: EventsColumn, event: Event, index_day: int
    ) -> tuple[float, float | str] | None:
        """Return when an event was, and what it says; None if it says nothing of the column."""
        rule = self._map.partial_dates
        dated = column.within_days != "always" or column.take in ("first", "latest")
        moment = require_date(event.resource, rule) if dated else Moment(index_day, 0.0)
        if not _is_within(column.within_days, moment.day - index_day):
            return None
        value: Value = float(moment.day - index_day)
        if isinstance(column, ObservationColumn):
            if is_absent(event.holder):
                return None
            if column.value not in (None, "day"):
                value = value_of(column, event.holder, event.path)
        return None if value is None else (moment.instant_s, value)

    def _of_patients(
        self, name: str, column: PatientColumn, days: Sequence[int | None], rows: Sequence[int]
    ) -> Series:
        patients = self._patients
        match column.value:
            case "gender":
                return pd.Series([patients.genders[row] for row in rows], dtype=object)
            case "age":
                ages = [_age(patients.born[row], days[row] or 0) for row in rows]
                return pd.Series(ages, dtype=np.float64)
            case _:
                died = [self._died(name, column, row, days[row] or 0) for row in rows]
                return pd.Series([column.answers[one] for one in died], dtype=object)

    def _died(self, name: str, column: PatientColumn, row: int, index_day: int) -> bool:
        said = self._patients.deceased[row]
        if isinstance(said, Moment):
            return _is_within(column.within_days or "always", said.day - index_day)
        if said and column.within_days != "always":
            why = Refused(
                "deceasedBoolean",
                "a day of death (deceasedDateTime)",
                advice="add it at its source, or say within_days = 'always' in the map",
            )
            names = [one for one, at in self._patients.rows.items() if at == row]
            patient = {"resourceType": "Patient", "id": names[0]}
            self._refusals.add(name, why, place=self._patients.places[row], resource=patient)
        return bool(said)


def _empty_cells(column: RecordColumn | ObservationColumn, n_rows: int) -> Cells:
    match column.take:
        case "exists":
            return Tallied(n_rows, column.answers)
        case "count":
            return Tallied(n_rows)
        case "first" | "latest":
            return Nearest(column.take, n_rows)
        case "min" | "max":
            return Extreme(column.take, n_rows)
        case "mean":
            return Mean(n_rows)


def _is_within(days: Days, day: int) -> bool:
    return days == "always" or days[0] <= day <= days[1]


def _age(born: int | None, day: int) -> float:
    return float("nan") if born is None else float(completed_years(born, day))
