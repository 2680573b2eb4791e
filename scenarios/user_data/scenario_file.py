"""A scenario of the user's own as one TOML file: schema, sites with their data, run config."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from consortium.charter.document import Floors
from consortium.cli.options import parse_data_source
from consortium.config import Scalar
from privacy.errors import ConsortiumError
from privacy.storage.document_mistakes import document_mistakes
from scenarios.library.registry import scenario_named
from scenarios.scenario import Scenario, headline_of
from scenarios.user_data.sources import UserData, notes_on, source_for, with_sides
from sites.data.source import DataSource
from sites.schema.tables import NAME
from sites.schema.texts import AgreedTable
from sites.tasks.registry import usual_task

ENDING = ".toml"
SCHEMA_FILE = "scenario.schema.json"

# What a comparison calls its other ways of training, beside each site alone.
_TAKEN = ("federated", "pooled", "trained", "personal")


def _require_free(name: str) -> str:
    if name in _TAKEN:
        raise ValueError(
            f"a site cannot be called {name}, as a comparison with each site alone calls a model "
            "so: choose another name"
        )
    return name


SiteName: TypeAlias = Annotated[str, Field(pattern=NAME), AfterValidator(_require_free)]
Setting: TypeAlias = Scalar | dict[str, Scalar]


class BadScenarioFile(ConsortiumError, ValueError, code="bad-scenario-file"):
    """A file does not declare a scenario; the message says which part, and what is needed."""


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SiteEntry(_Declared):
    """A site of a scenario.

    Args:
        data: A file or a directory, relative to the scenario's file; FHIR resources, as
            `fhir:FOLDER,map:FILE`; an OMOP database, as `omop:URL,map:FILE`; or the rows of a
            query, as `url::query`. Empty if `--data` brings them.
        words: How the columns and cells are to be understood, such as `decimal:comma`.
        split: The column of a table that says `train` or `test` for every row.
    """

    data: str = Field(default="", repr=False)  # a URL may hold a password
    words: tuple[str, ...] = ()
    split: str | None = Field(default=None, pattern=NAME)

    def source(self, folder: Path) -> DataSource:
        """Return where the records are.

        Args:
            folder: That of the scenario's file.

        Raises:
            BadOption: There is no such file, or a database has no query.
            BadReading: A word is none, contradicts another one, or does not fit the data.
        """
        return with_sides(parse_data_source(self.data, self.words, folder=folder), self.split)


class ScenarioFile(_Declared):
    """A scenario as its file declares it.

    Args:
        name: In kebab-case: the name of its runs and of its charter.
        title: One sentence, for reports; by default the name.
        story: What the data are, and how they are divided among the sites.
        task: The task; by default the usual one for the label.
        table: The schema on which the sites agreed, under `schema`.
        sites: The sites, in the charter's order.
        config: What differs from the defaults of the run config; `rule.name = "median"` and a table
            `[config.rule]` say the same.
        floors: The limits that every run must respect.
    """

    name: str = Field(pattern=NAME)
    title: str = ""
    story: str = ""
    task: str = ""
    table: AgreedTable = Field(alias="schema")
    sites: dict[SiteName, SiteEntry] = Field(min_length=1)
    config: dict[str, Setting] = {}
    floors: Floors = Floors()

    @classmethod
    def read(cls, path: Path) -> "ScenarioFile":
        """Read a file.

        Raises:
            BadScenarioFile: It cannot be read, is no TOML, or declares no scenario.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise BadScenarioFile(
                f"{path} cannot be read ({error.strerror}): name a file that declares a scenario; "
                "`scenario init` proposes one"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadScenarioFile(f"{path} is no TOML in UTF-8: {error}") from error
        except ValidationError as error:
            mistakes = document_mistakes(error, cls)
            raise BadScenarioFile(f"{path} declares no scenario: {mistakes}") from error

    @property
    def scenario(self) -> Scenario:
        """The scenario, without its data."""
        return Scenario(
            name=self.name,
            title=self.title or self.name,
            story=self.story,
            task=self.task or usual_task(self.table),
            table=self.table,
            sites=tuple(self.sites),
            run_config=dict(_flat(self.config)),
            floors=self.floors,
            headline=headline_of(self.table.label),
        )

    def sources(self, folder: Path) -> dict[str, DataSource]:
        """Return where the records of the sites are, as far as the file says so.

        Raises:
            BadOption, BadReading: As for `SiteEntry.source`.
        """
        told = {name: entry for name, entry in self.sites.items() if entry.data}
        return {name: source_for(self.table, one.source(folder)) for name, one in told.items()}


class TunedFile(_Declared):
    """Another scenario with settings of one's own, such as `scenario sweep` writes.

    Args:
        extends: Name of a scenario of the library, or a file, relative to this one.
        config: What differs from that scenario's run config, as in `ScenarioFile`.
    """

    extends: str
    config: dict[str, Setting] = {}

    @classmethod
    def found(cls, path: Path) -> "TunedFile | None":
        """Return what a file declares; None if it names no other scenario.

        Raises:
            BadScenarioFile: It names itself, or says what such a file does not say.
        """
        try:
            declared = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
            return None  # `ScenarioFile.read` says what is wrong
        if "extends" not in declared:
            return None
        try:
            tuned = cls.model_validate(declared)
        except ValidationError as error:
            mistakes = document_mistakes(error, cls)
            raise BadScenarioFile(f"{path} declares no scenario: {mistakes}") from error
        if Path(tuned.base_name(path.parent)) == path:
            raise BadScenarioFile(f"{path} names itself: name another scenario")
        return tuned

    def applied(self, base: UserData) -> UserData:
        """Return a scenario with these settings in its run config."""
        settings = {**base.scenario.run_config, **dict(_flat(self.config))}
        return replace(base, scenario=replace(base.scenario, run_config=settings))

    def base_name(self, folder: Path) -> str:
        """Return the name of the other scenario, or its file, as seen from anywhere."""
        return str(folder / self.extends) if _is_file(self.extends) else self.extends


def named_scenario(name: str) -> Scenario:
    """Return a scenario of the library by its name, or one of the user's own by its file.

    Raises:
        UnknownScenario: There is no scenario of that name.
        BadScenarioFile: The file declares none.
    """
    if not _is_file(name):
        return scenario_named(name)
    path = Path(name).resolve()
    tuned = TunedFile.found(path)
    if tuned is None:
        return ScenarioFile.read(path).scenario
    return tuned.applied(UserData(named_scenario(tuned.base_name(path.parent)))).scenario


def named_scenario_with_data(name: str) -> UserData:
    """Return the same with the data that its file names; a scenario of the library has its own.

    Raises:
        UnknownScenario, BadScenarioFile: As for `named_scenario`.
        BadOption, BadReading: The data that the file names are not there, or not to be read so.
    """
    if not _is_file(name):
        return UserData(scenario_named(name))
    path = Path(name).resolve()
    tuned = TunedFile.found(path)
    if tuned is not None:
        return tuned.applied(named_scenario_with_data(tuned.base_name(path.parent)))
    declared = ScenarioFile.read(path)
    sources = declared.sources(path.parent)
    notes = [
        f"{site}: {note}"
        for site, source in sources.items()
        for note in notes_on(source, declared.table)
    ]
    return UserData(declared.scenario, sources, notes=tuple(notes))


def scenario_file_schema() -> str:
    """Return the JSON schema of a scenario's file, for editors: `docs/scenario.schema.json`."""
    return json.dumps(ScenarioFile.model_json_schema(by_alias=True), indent=1) + "\n"


def _is_file(name: str) -> bool:
    return name.endswith(ENDING)


def _flat(config: Mapping[str, Setting]) -> list[tuple[str, Scalar]]:
    """Return settings by their keys, those of a table under its name."""
    found: list[tuple[str, Scalar]] = []
    for key, value in config.items():
        if isinstance(value, dict):
            found += [(f"{key}.{name}", one) for name, one in value.items()]
        else:
            found.append((key, value))
    return found
