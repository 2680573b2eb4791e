"""The map that the charter names for a site: the site reads its records by no other."""

from consortium.charter.document import Charter
from privacy.errors import ConsortiumError
from sites.data.mapped.digests import map_digests
from sites.data.source import DataSource


class OtherMap(ConsortiumError, PermissionError, code="other-map"):
    """A site's records are read by another map than the members agreed on."""


def require_agreed_map(charter: Charter, name: str, source: DataSource) -> None:
    """Check that a site reads its records by the map which the charter names for it, if any.

    Args:
        charter: The charter.
        name: The site's name in it.
        source: The site's records.

    Raises:
        OtherMap: It reads them by another map, or by none.
        MissingFile, BadFhirMap, BadOmopMap: The map cannot be read.
    """
    agreed = charter.map_of(name)
    if agreed is None:
        return
    found = map_digests(source)
    if found is None or found.map != agreed:
        came = "its records have no map" if found is None else f"its map has SHA-256 {found.map}"
        raise OtherMap(
            f"the members agreed that {name} reads its records by the map with SHA-256 {agreed}, "
            f"and {came}: put that map in its place, or let the members sign a charter that names "
            f"this one (`consortium charter revise --map {name}=FILE`)"
        )
