"""Digests of the map by which a site's records are read, and of the SQL that follows from it.

With them members agree on a map, and a site proves later by which one it read. Neither depends on
records.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sites.data.source import DataSource, FhirFiles, OmopDatabase

if TYPE_CHECKING:
    from sites.data.mapped.maps import Declared

_TAG = "consortium.map/1\n"


class MapDigests(NamedTuple):
    """What a map is told by.

    Args:
        map: SHA-256 of what the map says, hexadecimal.
        statements: SHA-256 of the SQL statements that follow from it, hexadecimal; empty for FHIR.
    """

    map: str
    statements: str


def map_digests(source: DataSource) -> MapDigests | None:
    """Return the digests of a source's map; None for a source that has none.

    Raises:
        MissingFile, BadFhirMap, BadOmopMap: The map cannot be read.
    """
    match source:  # few sites have these, so that their readers, and pandas, are imported here
        case FhirFiles(map=path):
            from sites.data.fhir.maps import read_map

            return MapDigests(_digest(read_map(path)), "")
        case OmopDatabase(map=path):
            from sites.data.omop.maps import read_map as read_omop_map
            from sites.data.omop.statements import statements_digest, statements_of

            declared = read_omop_map(path)
            return MapDigests(_digest(declared), statements_digest(statements_of(declared)))
    return None


def map_digest_of(path: Path) -> str:
    """Return the SHA-256 of what a map says, of OMOP or of FHIR, hexadecimal.

    Raises:
        MissingFile: There is no such file.
        BadFhirMap: It is a map of neither kind; the message says what FHIR's lacks.
    """
    from sites.data.fhir.maps import read_map
    from sites.data.omop.maps import BadOmopMap
    from sites.data.omop.maps import read_map as read_omop_map

    try:
        return _digest(read_omop_map(path))
    except BadOmopMap:
        return _digest(read_map(path))


def _digest(declared: "Declared") -> str:
    """Return the digest of what is declared, however it is written: comments, order, defaults."""
    said = declared.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{_TAG}{text}".encode()).hexdigest()
