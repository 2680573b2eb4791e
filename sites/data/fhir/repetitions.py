"""Refuse resources that stand twice: where that changes a count or a mean, or where they differ."""

import hashlib
import json
from array import array

import numpy as np
from numpy.typing import NDArray

from sites.data.fhir.elements import require_id
from sites.data.fhir.ndjson import ResourceFiles
from sites.data.fhir.refusals import FhirRefusals, Json, resource_name
from sites.data.mapped.refusals import Refused

_SEVERAL_EXPORTS = "the files of two exports may lie together"


class Repetitions:
    """Notes which resources were chosen, and which were counted: 16 bytes for each."""

    def __init__(self) -> None:
        self._chosen, self._counted = _Noted(), _Noted()

    def see(self, resource: Json, place: int) -> None:
        """Note a resource that a column chooses by its codes, whatever its status is.

        One without an id is nobody else's version.
        """
        if resource.get("id"):
            self._chosen.add(resource, place)

    def note(self, resource: Json, place: int) -> None:
        """Note a resource that is counted; its other components and columns are the same one.

        Raises:
            Refused: It has no id.
        """
        require_id(resource)
        self._counted.add(resource, place)

    def refuse_any(self, files: ResourceFiles, refusals: FhirRefusals) -> None:
        """Refuse each resource that is counted at a second place, or stands there otherwise.

        Of two versions nobody can tell here which one holds: the later may have been withdrawn.

        Args:
            files: In which they stand.
            refusals: Take them.
        """
        counted, chosen = self._counted.repeated, self._chosen.repeated
        if not (counted or chosen):
            return
        known: dict[str, bytes] = {}  # two resources may have the same key by chance
        for place, resource in files.read(files.types):
            if place not in counted and place not in chosen:
                continue
            name, content = resource_name(resource), _content(resource)
            if name not in known:
                known[name] = content
                continue
            if known[name] != content:
                why = Refused(
                    "id",
                    "one version of a resource",
                    advice=f"leave out the one that does not hold: {_SEVERAL_EXPORTS}",
                )
            elif place in counted:
                why = Refused(
                    "id", "one line a resource", advice=f"leave one out: {_SEVERAL_EXPORTS}"
                )
            else:
                continue
            refusals.add(str(resource["resourceType"]), why, place=place, resource=resource)


class _Noted:
    """Resources and where they stand."""

    def __init__(self) -> None:
        self._keys, self._places = array("q"), array("q")

    def add(self, resource: Json, place: int) -> None:
        """Note one."""
        self._keys.append(hash(resource_name(resource)))
        self._places.append(place)

    @property
    def repeated(self) -> set[int]:
        """The places of those that stand at several."""
        found: NDArray[np.int64] = np.unique(np.stack([self._keys, self._places], axis=1), axis=0)
        keys = found[:, 0]
        alike = np.isin(keys, keys[1:][keys[1:] == keys[:-1]])
        return {int(place) for place in found[alike, 1]}


def _content(resource: Json) -> bytes:
    """Return a digest of a resource but for what the server says of it (`meta`)."""
    said = {name: value for name, value in resource.items() if name != "meta"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()
