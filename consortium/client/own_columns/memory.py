"""For whom a site showed figures of its own in a Table 1, and which: it shows no others later."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from consortium.run.records import read_record, write_record
from consortium.site.directory import SiteDirectory


class ShownColumns(BaseModel):
    """What a site showed under one charter.

    Args:
        roster: Which sites took part and which showed figures, as `Standing.code` says.
        cells: SHA-256 of its own cells, in hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    roster: int = Field(ge=2)
    cells: str = Field(pattern="^[0-9a-f]{64}$")


class ShownBefore(BaseModel):
    """The file `shown-columns.json` of a site.

    Args:
        by_charter: What was shown first, by the fingerprint of the charter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    by_charter: dict[str, ShownColumns] = Field(default_factory=dict)

    @classmethod
    def at(cls, directory: Path) -> "ShownBefore":
        """Return what a site showed so far.

        Raises:
            ConsortiumError: The file is none of this kind.
        """
        path = SiteDirectory(directory).shown_columns
        return read_record(path, cls) if path.exists() else cls()

    def keep(self, directory: Path, charter: str, shown: ShownColumns) -> None:
        """Keep what is shown under a charter, before anything of it leaves; the first stays."""
        if charter not in self.by_charter:
            kept = ShownBefore(by_charter={**self.by_charter, charter: shown})
            write_record(SiteDirectory(directory).shown_columns, kept)
