"""The persons of an OMOP database, and the events that its statements choose."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sites.data.mapped.refusals import Refused
from sites.data.omop.database import Database, Row
from sites.data.omop.refusals import OmopRefusals, Place
from sites.data.omop.statements import PERSON, Statement
from sites.data.omop.values import NO_DAY, days_of, whole_numbers

Cells = Sequence[object]
_AT_SOURCE = "correct it at its source"


@dataclass(frozen=True)
class Persons:
    """The persons of a database.

    Args:
        ids: Their `person_id`, in ascending order.
        cells: The cells of each column of `person`, by the column.
    """

    ids: NDArray[np.int64]
    cells: Mapping[str, Cells]

    def positions(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where persons stand among these; -1 for those who do not."""
        if not len(self.ids):
            return np.full(len(ids), -1)
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[at] == ids, at, -1)


@dataclass(frozen=True)
class Events:
    """Events of known persons.

    Args:
        keys: The key of each.
        persons: The position of the person of each.
        days: The day of each, as `datetime.date.toordinal` counts.
        cells: The cells of each column, by the column, for all rows that were read.
        rows: Which of these rows the events are.
    """

    keys: NDArray[np.int64]
    persons: NDArray[np.int64]
    days: NDArray[np.int64]
    cells: Mapping[str, Cells]
    rows: NDArray[np.int64]


def read_persons(database: Database, statement: Statement, refusals: OmopRefusals) -> Persons:
    """Return the persons of a database.

    Args:
        database: The database.
        statement: Selects them.
        refusals: Take identifiers that are no whole numbers, or stand twice.
    """
    rows = [row for chunk in database.chunks(statement.text) for row in chunk]
    cells = _by_column(statement, rows)
    ids, fit = _keys(cells["person_id"], PERSON, statement, refusals)
    twice = ~fit | np.r_[False, ids[1:] == ids[:-1]]
    _refuse_repeated(ids[twice & fit], PERSON, statement, refusals)
    return Persons(ids, cells)


@dataclass(frozen=True)
class EventReader:
    """Reads the events of a database.

    Args:
        database: The database.
        persons: Whose events they may be.
        leaves_out_unknown: Whether events of others are left out, or refused.
        refusals: Take what cannot be used.
    """

    database: Database
    persons: Persons
    leaves_out_unknown: bool
    refusals: OmopRefusals

    def events(self, name: str, statement: Statement) -> Iterator[Events]:
        """Yield the events that a statement selects, some at a time.

        Args:
            name: What is made of them, for refusals.
            statement: Selects them.
        """
        before: int | None = None
        for chunk in self.database.chunks(statement.text):
            cells = _by_column(statement, chunk)
            keys, fit = _keys(cells[statement.columns[0]], name, statement, self.refusals)
            if statement.columns[0] != "person_id":  # of which death has no other key
                start = keys[0] == before
                repeated = np.r_[start, keys[1:] == keys[:-1]] & fit
                _refuse_repeated(keys[repeated], name, statement, self.refusals)
                before = int(keys[-1])
            yield self._known(name, statement, cells, keys, fit)

    def _known(
        self,
        name: str,
        statement: Statement,
        cells: Mapping[str, Cells],
        keys: NDArray[np.int64],
        fit: NDArray[np.bool_],
    ) -> Events:
        ids, no_id = whole_numbers(cells["person_id"])
        at = np.where(no_id, -1, self.persons.positions(ids))
        unknown = fit & (no_id | ((at < 0) & (not self.leaves_out_unknown)))
        days = days_of(cells[statement.day])
        undated = fit & (days == NO_DAY) & (at >= 0)
        for wrong, column, expected, advice in (
            (unknown, "person_id", "a person_id of the table person", _UNKNOWN),
            (undated, statement.day, "a date such as 2024-05-31", _AT_SOURCE),
        ):
            for row in np.flatnonzero(wrong).tolist():
                why = Refused(column, expected, advice=advice, got=cells[column][row])
                self.refusals.add(name, why, Place(statement.table, int(keys[row])))
        rows = np.flatnonzero(fit & (at >= 0) & ~undated)
        return Events(keys[rows], at[rows], days[rows], cells, rows)


_UNKNOWN = "add the person, or say unknown_persons = 'leave-out' in the map"


def _by_column(statement: Statement, rows: Sequence[Row]) -> dict[str, Cells]:
    columns: Sequence[Cells] = [*zip(*rows, strict=True)] or [()] * len(statement.columns)
    return dict(zip(statement.columns, columns, strict=True))


def _keys(
    cells: Cells, name: str, statement: Statement, refusals: OmopRefusals
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return keys, and which of them are such."""
    keys, none = whole_numbers(cells)
    for row in np.flatnonzero(none).tolist():
        why = Refused(
            statement.columns[0],
            "a whole number as the key",
            advice="give the column an integer type: a floating number merges neighbours",
            got=cells[row],
        )
        refusals.add(name, why, Place(statement.table, cells[row]))
    return keys, ~none


def _refuse_repeated(
    keys: NDArray[np.int64], name: str, statement: Statement, refusals: OmopRefusals
) -> None:
    for key in keys.tolist():
        why = Refused(
            statement.columns[0],
            "a key of its own",
            advice="remove the repeated row: it would count twice",
            got=key,
        )
        refusals.add(name, why, Place(statement.table, key))
