"""Declare a consortium in Python: its sites with their records, and what they learn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pandas as pd
from pydantic import ValidationError

from consortium.charter.document import BadCharter, Charter, Floors
from consortium.cli.options import parse_data_source
from consortium.config import Scalar
from privacy.storage.document_mistakes import document_mistakes
from scenarios.api.frames import write_frame
from scenarios.scenario import Scenario, headline_of
from scenarios.user_data.sources import with_sides
from sites.data.source import DataSource, TableFile, with_words
from sites.schema.texts import AnySchema
from sites.tasks.registry import usual_task

Data: TypeAlias = pd.DataFrame | str | Path | DataSource


@dataclass(frozen=True, eq=False)
class Site:
    """A member of a consortium, and where its records are.

    Guarantee: the object's `repr` shows no record, and no URL, which may hold a password.

    Args:
        name: Its name: lower case, without spaces.
        data: A DataFrame; a file, as a path; or the rows of a query, as `url::query`.
        words: How the columns and cells are to be understood, such as `decimal:comma`; the same
            words as for `scenario run --data`.
        split: The column of a table that says `train` or `test` for every row. Without it the site
            holds out a fifth of its persons by a rule of its own.
    """

    name: str
    data: Data = field(repr=False)
    words: Sequence[str] = ()
    split: str | None = field(default=None, kw_only=True)

    def source(self, folder: Path) -> DataSource:
        """Return where the records are; those of a DataFrame are written into a folder first.

        Raises:
            BadFrame: A DataFrame cannot be a table.
            BadOption: There is no such file, or a database has no query.
            BadReading: A word is none, contradicts another one, or does not fit the data.
        """
        found = self._place(folder)
        return with_sides(with_words(found, self.words) if self.words else found, self.split)

    def _place(self, folder: Path) -> DataSource:
        match self.data:
            case pd.DataFrame():
                path = folder / "own-data.parquet"
                write_frame(self.data, path)
                return TableFile(path=path)
            case str() | Path():
                return parse_data_source(str(self.data))
            case _:
                return self.data


Sites: TypeAlias = Mapping[str, Data] | Sequence[Site]


def members_of(sites: Sites) -> tuple[Site, ...]:
    """Return the sites that somebody named, with their data."""
    if isinstance(sites, Mapping):
        return tuple(Site(name, data) for name, data in sites.items())
    return tuple(sites)


@dataclass(frozen=True, eq=False)
class Consortium:
    """Sites that learn together, and what they agreed on.

    Guarantee: the object's `repr` shows no record, and no URL, which may hold a password.

    Args:
        schema: What every column means, the same at every site.
        sites: Their data by name, or a sequence of `Site`.
        name: Of the consortium, in kebab-case; by default that of the schema.
        title: One sentence, for reports; by default the name.
        config: What differs from the defaults of the run config, by key.
        floors: The limits that every run must respect.
    """

    schema: AnySchema
    sites: Sites = field(repr=False)
    name: str = field(default="", kw_only=True)
    title: str = field(default="", kw_only=True)
    config: Mapping[str, Scalar] = field(default_factory=dict, kw_only=True)
    floors: Floors = field(default_factory=Floors, kw_only=True)

    @property
    def members(self) -> tuple[Site, ...]:
        """The sites, in the charter's order."""
        return members_of(self.sites)

    @property
    def scenario(self) -> Scenario:
        """The consortium as the engines run it.

        Raises:
            BadCharter: A name is not one, or stands twice, or there is no site.
        """
        name = self.name or self.schema.name
        found = Scenario(
            name=name,
            title=self.title or name,
            story="",
            task=usual_task(self.schema),
            table=self.schema,
            sites=tuple(site.name for site in self.members),
            run_config=self.config,
            floors=self.floors,
            headline=headline_of(self.schema.label),
        )
        _require_charter(found)
        return found


def _require_charter(scenario: Scenario) -> None:
    try:
        _ = scenario.charter
    except ValidationError as error:
        raise BadCharter(f"the consortium: {document_mistakes(error, Charter)}") from error
