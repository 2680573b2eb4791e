"""Make rows of a site's FHIR resources, as its map declares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sites.data.fhir.documents import read_documents
from sites.data.fhir.events import Event, Selection, chosen_events, require_date
from sites.data.fhir.maps import (
    DocumentColumn,
    EventsColumn,
    FhirMap,
    Index,
    ObservationColumn,
    PatientColumn,
    RecordColumn,
    read_map,
)
from sites.data.fhir.moments import Moment
from sites.data.fhir.ndjson import ResourceFiles
from sites.data.fhir.patients import Patients, Subjects, read_patients
from sites.data.fhir.refusals import FhirRefusals
from sites.data.fhir.repetitions import Repetitions
from sites.data.fhir.rows import Rows, event_rows, fixed_rows
from sites.data.fhir.values import Value, is_absent, value_of
from sites.data.mapped.cells import Cells, Series, empty_cells
from sites.data.mapped.days import completed_years, is_within
from sites.data.mapped.refusals import Refused
from sites.data.source import FhirFiles
from sites.data.tables import EmptyTable


@dataclass(frozen=True)
class FhirTable:
    """The rows that a map makes of FHIR resources.

    Args:
        frame: The rows, indexed from 1.
        places: By column, where the resource of each row's cell stands, or the Patient if there is
            none.
        files: The files that were read.
    """

    frame: pd.DataFrame
    places: Mapping[str, Sequence[int]]
    files: ResourceFiles


def read_fhir(source: FhirFiles) -> FhirTable:
    """Return one row for each patient who has an index day, or for each resource of the index.

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
    refusals = FhirRefusals(files.files)
    types = {column.resource for column in declared.columns.values()} | {declared.index.resource}
    also = {"Medication"} if "MedicationRequest" in types else set()
    patients = read_patients(files.read({"Patient", *also}), declared, refusals)
    refusals.raise_any()
    if not patients.persons:
        raise EmptyTable(f"{source.path} holds no Patient: a site needs at least one record")
    reading = _Reading(declared, files, patients, refusals)
    return reading.table()


class _Reading:
    """One reading of the files: the rows first, then the columns."""

    def __init__(
        self, declared: FhirMap, files: ResourceFiles, patients: Patients, refusals: FhirRefusals
    ) -> None:
        self._map, self._files, self._patients = declared, files, patients
        self._refusals, self._repetitions = refusals, Repetitions()
        self._subjects = Subjects(patients, declared)

    def table(self) -> FhirTable:
        rows = self._rows(self._map.index)
        self._refusals.raise_any()
        if not rows.days:
            raise EmptyTable("no patient has an index day: see what the map says of 'index'")
        columns, places = self._columns(rows)
        self._repetitions.refuse_any(self._files, self._refusals)
        self._refusals.raise_any()
        persons = pd.Series([self._patients.persons[one] for one in rows.patients], dtype="str")
        frame = pd.DataFrame({self._map.person: persons, **columns})
        frame.index = pd.RangeIndex(1, len(frame) + 1)
        return FhirTable(frame, places, self._files)

    def _rows(self, index: Index) -> Rows:
        if index.on is not None:
            return fixed_rows(index.on, self._patients.places)
        return event_rows(
            index,
            self._events({"index": index}),
            n_patients=len(self._patients.persons),
            rule=self._map.partial_dates,
            repetitions=self._repetitions,
            refusals=self._refusals,
        )

    def _events(self, selections: Mapping[str, Selection]) -> Iterator[Event]:
        types = {one.resource for one in selections.values() if one.resource is not None}
        found = self._files.read(types)
        return chosen_events(
            found,
            selections,
            self._patients,
            self._subjects,
            refusals=self._refusals,
            repetitions=self._repetitions,
        )

    def _columns(self, rows: Rows) -> tuple[dict[str, Series], dict[str, Sequence[int]]]:
        """Return the cells of each column, and where each comes from."""
        cells = self._collected(rows)
        documents = self._documents(rows)
        columns: dict[str, Series] = {}
        places: dict[str, Sequence[int]] = {}
        own = [self._patients.places[patient] for patient in rows.patients]
        for name, column in self._map.columns.items():
            match column:
                case PatientColumn():
                    columns[name] = self._of_patients(name, column, rows)
                    places[name] = own
                case DocumentColumn():
                    found = documents[name]
                    columns[name] = pd.Series([found.get(at) for at in rows.places], dtype=object)
                    places[name] = rows.places
                case _:
                    columns[name] = cells[name].column(range(len(own)))
                    at = cells[name].places
                    places[name] = [a if a >= 0 else b for a, b in zip(at, own, strict=True)]
        return columns, places

    def _documents(self, rows: Rows) -> dict[str, dict[int, str]]:
        columns = {
            name: one for name, one in self._map.columns.items() if isinstance(one, DocumentColumn)
        }
        return read_documents(columns, {*rows.places}, self._files, self._refusals)

    def _collected(self, rows: Rows) -> dict[str, Cells]:
        columns = {
            name: one
            for name, one in self._map.columns.items()
            if isinstance(one, RecordColumn | ObservationColumn)
        }
        cells = {
            name: empty_cells(one.take, one.answers, len(rows.days))
            for name, one in columns.items()
        }
        of_patient = rows.by_patient()
        for event in self._events(columns):
            column = columns[event.name]
            try:
                for row in of_patient.get(event.row, ()):
                    found = self._cell_of(column, event, rows.days[row])
                    if found is not None:
                        cells[event.name].add(row, found[0], found[1], event.place)
                        if column.take in ("count", "mean"):
                            self._repetitions.note(event.resource, event.place)
            except Refused as why:
                self._refusals.add(event.name, why, place=event.place, resource=event.resource)
        return cells

    def _cell_of(
        self, column: EventsColumn, event: Event, index_day: int
    ) -> tuple[float, float | str] | None:
        """Return when an event was, and what it says; None if it says nothing of the column."""
        rule = self._map.partial_dates
        dated = column.within_days != "always" or column.take in ("first", "latest")
        moment = require_date(event.resource, rule) if dated else Moment(index_day, 0.0)
        if not is_within(column.within_days, moment.day - index_day):
            return None
        value: Value = float(moment.day - index_day)
        if isinstance(column, ObservationColumn):
            if is_absent(event.holder):
                return None
            if column.value not in (None, "day"):
                value = value_of(column, event.holder, event.path)
        return None if value is None else (moment.instant_s, value)

    def _of_patients(self, name: str, column: PatientColumn, rows: Rows) -> Series:
        patients, days = self._patients, zip(rows.patients, rows.days, strict=True)
        match column.value:
            case "gender":
                return pd.Series([patients.genders[one] for one in rows.patients], dtype=object)
            case "age":
                ages = [_age(patients.born[patient], day) for patient, day in days]
                return pd.Series(ages, dtype=np.float64)
            case "deceased":
                died = [self._died(name, column, patient, day) for patient, day in days]
                return pd.Series([column.answers[one] for one in died], dtype=object)

    def _died(self, name: str, column: PatientColumn, patient: int, index_day: int) -> bool:
        said = self._patients.deceased[patient]
        if isinstance(said, Moment):
            return is_within(column.within_days or "always", said.day - index_day)
        if said and column.within_days != "always":
            why = Refused(
                "deceasedBoolean",
                "a day of death (deceasedDateTime)",
                advice="add it at its source, or say within_days = 'always' in the map",
            )
            names = [one for one, at in self._patients.rows.items() if at == patient]
            resource = {"resourceType": "Patient", "id": names[0]}
            self._refusals.add(name, why, place=self._patients.places[patient], resource=resource)
        return bool(said)


def _age(born: int | None, day: int) -> float:
    return float("nan") if born is None else float(completed_years(born, day))
