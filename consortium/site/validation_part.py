"""A part of a site's training records on which somebody chooses between models.

Whoever searches for a good run config and then reports the figure of the held-out records must not
have chosen by them. So the search divides the training records once more. Only an experiment on one
machine writes the file that says so: what is judged leaves in exact counts, and at a site between
institutions nobody's records are ever both judged and trained on.
"""

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from consortium.run.records import read_record, write_record
from consortium.site.directory import BadSite, SiteDirectory
from sites.data.holdout import KEY_BYTES, KeyedSides, Mask, PersonRecords
from sites.task import SiteData
from sites.tasks.divided_records import DividedRecords, Records

Use: TypeAlias = Literal["judged", "left-out"]


class ValidationPart(BaseModel):
    """The file `validation.json` of a site.

    Args:
        use: `judged`: the part takes the place of the held-out records, which are not read.
            `left-out`: nobody of it is trained on, and the held-out records stay.
        key: Decides who is in it, as the site's secret decides who is held out; in hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: Use
    key: str = Field(pattern=f"^[0-9a-f]{{{2 * KEY_BYTES}}}$")

    def write(self, directory: Path) -> None:
        """Set the part aside at a site from now on."""
        write_record(SiteDirectory(directory).validation, self)

    def of(self, data: SiteData) -> SiteData:
        """Return a site's records as they stand with this part set aside.

        Guarantee: all records of a person are in the part or outside of it, and nobody who is held
        out is in it.

        Raises:
            BadSite: They are no records that are trained on.
        """
        if not isinstance(data, DividedRecords):
            raise BadSite(
                "records of which nobody is trained on have no part to judge by: run what trains"
            )
        chosen = self._persons(data.training)
        return data.judged_by(chosen) if self.use == "judged" else data.without(chosen)

    def _persons(self, training: Records) -> Mask:
        count = len(training)
        found = PersonRecords(
            persons=training.persons,
            places=np.arange(count),
            strata=np.zeros(count, np.int64),
        )
        return KeyedSides(bytes.fromhex(self.key)).held_out(found)


def with_validation_part(data: SiteData, directory: Path) -> SiteData:
    """Return a site's records; those of an experiment that sets a part aside, with it set aside.

    Args:
        data: As they were read.
        directory: The site's.
    """
    path = SiteDirectory(directory).validation
    return read_record(path, ValidationPart).of(data) if path.exists() else data
