"""Name the places from which refused cells of a table come that a map made."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sites.data.cells import Violation
from sites.data.fhir.refusals import place_name, resource_name
from sites.data.source import DataSource, FhirFiles, OmopDatabase
from sites.data.validation import BadTable

if TYPE_CHECKING:
    from sites.data.fhir.table import FhirTable
    from sites.data.omop.table import CellPlaces


@contextmanager
def places_named(source: DataSource) -> Iterator[None]:
    """Within it, a refusal names the FHIR resource, or the row of OMOP tables, behind each cell.

    The records are read again for that, so that a table which fits keeps no places.

    Args:
        source: Of the table; a refusal of any other source's table stays as it is.

    Raises:
        BadTable: With the places.
    """
    try:
        yield
    except BadTable as refusal:
        ours = source.reading.columns
        match source:  # few sites have these, so that their readers are imported here
            case FhirFiles():
                from sites.data.fhir.table import read_fhir

                table = read_fhir(source)
                named = [_with_places(one, table, ours) for one in refusal.violations]
            case OmopDatabase():
                from sites.data.omop.table import read_omop

                places = read_omop(source).places
                named = [_with_omop_places(one, places, ours) for one in refusal.violations]
            case _:
                raise
        raise BadTable(named) from None


def _with_omop_places(
    one: Violation, places: Mapping[str, "CellPlaces"], ours: dict[str, str]
) -> Violation:
    of_column = places.get(ours.get(one.column, one.column))
    if of_column is None:  # of persons, no more than the row is told
        return one
    values = tuple(
        f"{value} from {of_column.place(row - 1)}"
        for value, row in zip(one.values, one.rows, strict=True)
    )
    return replace(one, values=values)


def _with_places(one: Violation, table: "FhirTable", ours: dict[str, str]) -> Violation:
    places = table.places.get(ours.get(one.column, one.column))
    if places is None:  # of persons, no more than the row is told
        return one
    found = [places[row - 1] for row in one.rows]
    names = {
        place: resource_name(resource)
        for place, resource in table.files.read(table.files.types)
        if place in found
    }
    values = tuple(
        f"{value} from {place_name(place, table.files.files)} ({names[place]})"
        for value, place in zip(one.values, found, strict=True)
    )
    return replace(one, values=values)
