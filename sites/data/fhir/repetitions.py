"""Refuse resources that stand twice, where that would change a count or a mean."""

from array import array

import numpy as np

from sites.data.fhir.elements import require_id
from sites.data.fhir.ndjson import ResourceFiles
from sites.data.fhir.refusals import Json, Refusals, Refused, resource_name


class Repetitions:
    """Notes which resources were used: 16 bytes for each."""

    def __init__(self) -> None:
        self._keys, self._places = array("q"), array("q")

    def note(self, resource: Json, place: int) -> None:
        """Note a resource; its other components, or its other columns, are the same one.

        Raises:
            Refused: It has no id.
        """
        require_id(resource)
        self._keys.append(hash(resource_name(resource)))
        self._places.append(place)

    def refuse_any(self, files: ResourceFiles, refusals: Refusals) -> None:
        """Refuse each resource that stands at a second place.

        Args:
            files: In which they stand.
            refusals: Take them.
        """
        found = np.unique(np.stack([self._keys, self._places], axis=1), axis=0)
        keys = found[:, 0]
        alike = np.isin(keys, keys[1:][keys[1:] == keys[:-1]])
        places = {int(place) for place in found[alike, 1]}
        if not places:
            return
        known: set[str] = set()  # two resources may have the same key by chance
        for place, resource in files.read(files.types):
            if place not in places:
                continue
            name = resource_name(resource)
            if name in known:
                why = Refused(
                    "id",
                    "one line a resource",
                    advice="leave one out: the files of two exports may lie together",
                )
                refusals.add(str(resource["resourceType"]), why, place=place, resource=resource)
            known.add(name)
