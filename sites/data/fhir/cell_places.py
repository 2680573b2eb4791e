"""Name the places in FHIR files from which refused cells of a table come."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sites.data.cells import Violation
from sites.data.fhir.refusals import place_name, resource_name
from sites.data.source import DataSource, FhirFiles
from sites.data.validation import BadTable

if TYPE_CHECKING:
    from sites.data.fhir.table import FhirTable


@contextmanager
def places_named(source: DataSource) -> Iterator[None]:
    """Within it, a refusal of a table from FHIR files names the resource behind each cell.

    The files are read again for that, so that a table which fits keeps no places.

    Args:
        source: Of the table; a refusal of any other source's table stays as it is.

    Raises:
        BadTable: With the places.
    """
    try:
        yield
    except BadTable as refusal:
        if not isinstance(source, FhirFiles):
            raise
        from sites.data.fhir.table import read_fhir  # few sites have FHIR files

        table = read_fhir(source)
        ours = source.reading.columns
        named = [_with_places(one, table, ours) for one in refusal.violations]
        raise BadTable(named) from None


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
