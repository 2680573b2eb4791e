"""Make rows of a site's OMOP database, one a person, as its map declares."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sites.data.mapped.cells import Cells, Nearest, Series, Value, empty_cells
from sites.data.mapped.days import Days, completed_years
from sites.data.mapped.refusals import Refused
from sites.data.omop.database import opened_database
from sites.data.omop.events import EventReader, Events, Persons, read_persons
from sites.data.omop.maps import (
    EventColumn,
    MeasurementColumn,
    OmopMap,
    PersonColumn,
    read_map,
)
from sites.data.omop.refusals import OmopRefusals, Place
from sites.data.omop.statements import INDEX, PERSON, Statement, column_key, statements_of
from sites.data.omop.values import day_of_birth, meaning_of, measured_number
from sites.data.source import OmopDatabase
from sites.data.tables import EmptyTable

_NO_ROW = -1


@dataclass(frozen=True)
class CellPlaces:
    """Where the cells of a column come from.

    Args:
        table: The table of events, or `person`.
        keys: The key of each cell's row; None where no event says anything.
        persons: The `person_id` of each.
    """

    table: str
    keys: Sequence[int | None]
    persons: Sequence[int]

    def place(self, row: int) -> Place:
        """Return the place of a cell: its event, or its person if there is none."""
        key = self.keys[row]
        return Place(PERSON, self.persons[row]) if key is None else Place(self.table, key)


@dataclass(frozen=True)
class OmopTable:
    """The rows that a map makes of an OMOP database.

    Args:
        frame: The rows, indexed from 1, in ascending order of `person_id`.
        places: By column, where the cells come from.
    """

    frame: pd.DataFrame
    places: Mapping[str, CellPlaces]


def read_omop(source: OmopDatabase) -> OmopTable:
    """Return one row for each person who has an index day.

    Guarantee: the database is only read, with the statements of
    `sites.data.omop.statements.statements_of`. Identifiers are never floating numbers. The same
    rows make the same table, whichever database holds them.

    Raises:
        BadOmopMap: The map is none.
        MissingFile, QueryFailed, MissingLibrary: The database cannot be read.
        EmptyTable: There are no persons, or none has an index day.
        BadCdmRows: Rows cannot be made into cells; the message names each place.
    """
    declared = read_map(source.map)
    statements, refusals = statements_of(declared), OmopRefusals()
    with opened_database(source.url) as database:
        persons = read_persons(database, statements[PERSON], refusals)
        refusals.raise_any()
        if not len(persons.ids):
            raise EmptyTable("the table person has no rows: a site needs at least one record")
        leaves_out = declared.unknown_persons == "leave-out"
        reader = EventReader(database, persons, leaves_out, refusals)
        return _Reading(declared, statements, persons, reader).table()


@dataclass(frozen=True)
class _Rows:
    """The rows: which person each is, and from which day its days are counted."""

    persons: NDArray[np.int64]
    days: NDArray[np.int64]


class _Reading:
    """One reading of a database: the rows first, then the columns."""

    def __init__(
        self,
        declared: OmopMap,
        statements: Mapping[str, Statement],
        persons: Persons,
        reader: EventReader,
    ) -> None:
        self._map, self._statements = declared, statements
        self._persons, self._reader = persons, reader
        self._refusals = reader.refusals

    def table(self) -> OmopTable:
        rows = self._rows()
        self._refusals.raise_any()
        if not len(rows.days):
            raise EmptyTable("no person has an index day: see what the map says of 'index'")
        ids = self._persons.ids[rows.persons].tolist()
        columns: dict[str, Series] = {}
        places: dict[str, CellPlaces] = {}
        for name, column in self._map.columns.items():
            keys: Sequence[int | None] = [None] * len(ids)
            if isinstance(column, PersonColumn):
                columns[name] = self._of_persons(name, column, rows)
            else:
                cells, keys = self._of_events(name, column, rows)
                columns[name] = cells.column(range(len(ids)))
            places[name] = CellPlaces(column.table, keys, ids)
        self._refusals.raise_any()
        frame = pd.DataFrame({self._map.person: pd.Series(map(str, ids), dtype="str"), **columns})
        frame.index = pd.RangeIndex(1, len(frame) + 1)
        return OmopTable(frame, places)

    def _rows(self) -> _Rows:
        index, n = self._map.index, len(self._persons.ids)
        if index.on is not None:
            return _Rows(np.arange(n), np.full(n, index.on.toordinal()))
        nearest = Nearest(index.take, n)
        for events in self._reader.events(INDEX, self._statements[INDEX]):
            chosen = np.ones(len(events.days), np.bool_)
            if index.between is not None:
                first, last = (one.toordinal() for one in index.between)
                chosen = (first <= events.days) & (events.days <= last)
            for person, day, key in zip(
                events.persons[chosen].tolist(),
                events.days[chosen].tolist(),
                events.keys[chosen].tolist(),
                strict=True,
            ):
                nearest.add(person, float(day), float(day), key)
        days = [nearest.value(person) for person in range(n)]
        have = np.array([day is not None for day in days], np.bool_)
        return _Rows(
            np.flatnonzero(have), np.array([int(day) for day in days if day is not None], np.int64)
        )

    def _of_events(
        self, name: str, column: EventColumn, rows: _Rows
    ) -> tuple[Cells, Sequence[int | None]]:
        """Return the cells of a column of events, and the key of the event of each."""
        n_rows = len(rows.days)
        cells = empty_cells(column.take, column.answers, n_rows)
        row_of = np.full(len(self._persons.ids), _NO_ROW)
        row_of[rows.persons] = np.arange(n_rows)
        seen = np.zeros(n_rows, np.bool_)
        for events in self._reader.events(name, self._statements[column_key(name)]):
            at = row_of[events.persons]
            offsets = events.days - rows.days[at]
            chosen = np.flatnonzero((at != _NO_ROW) & _are_within(column.within_days, offsets))
            for row, day, value, key in zip(
                at[chosen].tolist(),
                events.days[chosen].tolist(),
                self._values(name, column, events, chosen, offsets),
                events.keys[chosen].tolist(),
                strict=True,
            ):
                if value is not None:
                    cells.add(row, float(day), value, key)
                    seen[row] = True
        keys = [key if one else None for key, one in zip(cells.places, seen.tolist(), strict=True)]
        return cells, keys

    def _values(
        self,
        name: str,
        column: EventColumn,
        events: Events,
        chosen: NDArray[np.int64],
        offsets: NDArray[np.int64],
    ) -> Iterator[Value | None]:
        """Yield what each chosen event says; None if it says nothing, or is refused."""
        if not isinstance(column, MeasurementColumn) or column.value in (None, "day"):
            yield from map(float, offsets[chosen].tolist())
            return
        for event in chosen.tolist():
            try:
                yield _measured_value(column, events, int(events.rows[event]))
            except Refused as why:
                key = int(events.keys[event])
                self._refusals.add(name, why, Place(column.table, key))
                yield None

    def _of_persons(self, name: str, column: PersonColumn, rows: _Rows) -> Series:
        found: list[Value | None] = []
        for person, day in zip(rows.persons.tolist(), rows.days.tolist(), strict=True):
            try:
                found.append(self._person_value(column, person, day))
            except Refused as why:
                found.append(None)
                place = Place(PERSON, int(self._persons.ids[person]))
                self._refusals.add(name, why, place)
        if column.value == "age":
            return pd.Series(found, dtype=np.float64)
        return pd.Series(found, dtype=object)

    def _person_value(self, column: PersonColumn, person: int, day: int) -> Value | None:
        cells = self._persons.cells
        if column.value != "age":
            name = f"{column.value}_concept_id"
            return meaning_of(cells[name][person], column.means, name)
        year, month, day_of_month = (cells[f"{part}_of_birth"][person] for part in _PARTS)
        born = day_of_birth(year, month, day_of_month, self._map.partial_dates)
        return None if born is None else float(completed_years(born, day))


_PARTS = ("year", "month", "day")


def _are_within(days: Days, offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    first, last = (-math.inf, math.inf) if days == "always" else days
    return (first <= offsets) & (offsets <= last)


def _measured_value(column: MeasurementColumn, events: Events, row: int) -> Value | None:
    cells = events.cells
    if column.value == "concept":
        name = "value_as_concept_id"
        return meaning_of(cells[name][row], column.means, name)
    return measured_number(
        column,
        cells["value_as_number"][row],
        cells["unit_concept_id"][row],
        cells["operator_concept_id"][row],
    )
