"""Name the places from which refused cells of a table come that a map made."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sites.data.cells import Violation
from sites.data.fhir.refusals import place_name, resource_name
from sites.data.source import DataSource, FhirFiles, OmopDatabase
from sites.data.tables import BadTexts
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
        BadTable, BadTexts: With the places.
    """
    try:
        yield
    except BadTexts as refusal:
        if not isinstance(source, FhirFiles) or not any(refusal.cells.values()):
            raise
        told = "; ".join(_text_places(source, refusal.cells))
        raise BadTexts(f"{refusal}; {told}", cells=refusal.cells, **refusal.counts) from None
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


def _text_places(source: FhirFiles, cells: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Yield of which resource and element the cells of texts and labels were made."""
    from sites.data.fhir.maps import DocumentColumn, read_map
    from sites.data.fhir.table import read_fhir

    table, declared = read_fhir(source), read_map(source.map)
    for ours, rows in cells.items():
        name = source.reading.columns.get(ours, ours)
        column = declared.columns.get(name)
        # What a document says stands in an element that the column's value names.
        path = ""
        if isinstance(column, DocumentColumn):
            path = ", content.attachment" if column.value == "text" else f", {column.value}"
        if name in table.places:
            found = [table.places[name][row - 1] for row in rows]
            names = _resource_names(table, found)
            for row, place in zip(rows, found, strict=True):
                where = place_name(place, table.files.files)
                yield f"row {row} is {where} ({names[place]}{path})"


def _resource_names(table: "FhirTable", places: Sequence[int]) -> dict[int, str]:
    return {
        place: resource_name(resource)
        for place, resource in table.files.read(table.files.types)
        if place in places
    }


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
    names = _resource_names(table, found)
    values = tuple(
        f"{value} from {place_name(place, table.files.files)} ({names[place]})"
        for value, place in zip(one.values, found, strict=True)
    )
    return replace(one, values=values)
