"""Staging: a run directory with the charter and one directory a site with its data."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from consortium.charter.document import Charter, Member
from consortium.charter.hubs import Hub, dealt
from consortium.config import RunConfig
from consortium.modes.registry import mode_of
from consortium.run.directory import RunDirectory
from consortium.run.records import SyntheticRecords, write_record
from consortium.site.directory import SiteConfig, SiteDirectory
from consortium.site.person_sides import begin_sides, scenario_side_key
from consortium.site.policy_templates import for_a_scenario
from privacy.errors import ConsortiumError
from privacy.identity.log_signing_key import SigningKey
from privacy.secrets.keys import Identity
from scenarios.attacks.assignment import NOBODY, AttackAssignment, liars_path
from scenarios.engines.dealt_records import DealtRecords, dealt_records, parquet_bytes
from scenarios.scenario import Scenario
from sites.data.holdout import KeyedSides, Mask, PersonRecords
from sites.data.record_columns import persons_of
from sites.data.source import DataSource, TableFile

_SHIPPED_DATA = "data.parquet"  # a site's part of the data of a scenario
_OWN_PART = "own-data.parquet"  # or of one corpus of the user's


class DirectoryInUse(ConsortiumError, FileExistsError, code="directory-in-use"):
    """A run directory exists and is not empty: a run never overwrites another."""


class UnknownSite(ConsortiumError, LookupError, code="unknown-site"):
    """A scenario has no site of this name."""


def new_run_directory(scenario: Scenario, *, under: Path, named: Path | None) -> RunDirectory:
    """Create the directory of a new run: `named`, or one named by scenario and time.

    Raises:
        DirectoryInUse: The directory is not empty.
    """
    # To the millisecond, so that runs started in the same second do not collide.
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]
    path = (named or under / f"{scenario.name}-{stamp}").resolve()
    if path.exists() and any(path.iterdir()):
        raise DirectoryInUse(f"{path} is not empty: name another directory for the run")
    path.mkdir(parents=True, exist_ok=True)
    return RunDirectory(path)


def stage(
    run: RunDirectory,
    scenario: Scenario,
    own_data: Mapping[str, DataSource] | None = None,
    *,
    config: RunConfig | None = None,
    lies: AttackAssignment = NOBODY,
    num_hubs: int = 0,
) -> None:
    """Write the charter, and a directory for each site with its part of the data.

    Args:
        run: An empty run directory.
        scenario: The scenario to stage.
        own_data: The user's own data by site, instead of the site's part of the data set.
        config: Of the run; by default the scenario's own. It says whether each site gets an
            identity, as encrypted runs need; the unit of the sites' ledgers; and, by its seed, the
            secrets by which the sites hold persons out.
        lies: Which sites attack. Those that poison records do so here, those that they train on,
            except for own data.
        num_hubs: How many hubs the charter names, and the sites stand behind; 0 for none.

    Raises:
        UnknownSite: There is own data for a site that the scenario does not have.
        NoRecords: A site has no data.
    """
    given = own_data or {}
    require_sites(scenario, given)
    shipped = dealt_records(scenario, [name for name in scenario.sites if name not in given])
    asked = config or scenario.config_with({})
    with_keys = mode_of(asked).needs_identities
    charter = _add_identities(run, scenario.charter) if with_keys else scenario.charter
    charter = _add_hubs(run, charter, num_hubs) if num_hubs else charter
    charter.write(run.charter)
    run.coordinator.mkdir(exist_ok=True)
    if lies.attacks:
        write_record(liars_path(run), lies)
    if scenario.synthetic and shipped.frames:
        made_up = SyntheticRecords(story=scenario.story, sites=tuple(shipped.frames))
        write_record(run.synthetic, made_up)
    for name in scenario.sites:
        directory = run.site(name)
        directory.mkdir(parents=True, exist_ok=True)
        source = given.get(name)
        # Own data are read where they are; records of the data set are copied to the site.
        if source is None:
            path = directory / (_OWN_PART if scenario.own_records else _SHIPPED_DATA)
            key = scenario_side_key(asked.seed, name)
            path.write_bytes(_file_of(shipped, scenario, name, lies, key))
            source = TableFile(path=path, split=scenario.split)
        charter.write(SiteDirectory(directory).charter)
        for_a_scenario(charter, unit=asked.privacy.policy_unit).write(directory)
        begin_sides(directory, scenario_side_key(asked.seed, name))
        write_record(SiteDirectory(directory).config, SiteConfig(name=name, source=source))


def has_own_data(site: Path) -> bool:
    """Return whether the records of a staged site are the user's own, as its directory says."""
    return not (site / _SHIPPED_DATA).exists()


def staged_part(site: Path) -> Path:
    """Return the file with a staged site's part of a data set, shipped or the user's own."""
    return site / (_OWN_PART if has_own_data(site) else _SHIPPED_DATA)


def require_sites(scenario: Scenario, names: Iterable[str]) -> None:
    """Check that a scenario has these sites.

    Raises:
        UnknownSite: One is missing; the error names the scenario's sites.
    """
    for name in names:
        if name not in scenario.sites:
            raise UnknownSite(
                f"there is no site '{name}': choose one of {', '.join(scenario.sites)}"
            )


def _file_of(
    shipped: DealtRecords, scenario: Scenario, name: str, lies: AttackAssignment, key: bytes
) -> bytes:
    """Return a site's records as a file, poisoned if its attack does that."""
    if name not in lies.attacks or lies.attack_of(name).poison is None:
        return shipped.file_of(name)
    return parquet_bytes(_poison_records(shipped.frames[name], scenario, name, lies, key))


def _poison_records(
    table: pd.DataFrame, scenario: Scenario, name: str, lies: AttackAssignment, key: bytes
) -> pd.DataFrame:
    """Return a site's records, those that it trains on poisoned if its attack does that.

    Held-out records stay as they are: a model is measured on what is true of people, not on what
    a liar says of them.
    """
    poison = lies.attack_of(name).poison if name in lies.attacks else None
    if poison is None:
        return table
    poisoned = poison(table, scenario.table, lies.rng(name, 0))
    held = pd.Series(_held_out_mask(table, scenario, key), table.index)
    trained = poisoned[~held[poisoned.index]]
    return pd.concat([trained, table[held]]).loc[table.index]


def _held_out_mask(table: pd.DataFrame, scenario: Scenario, key: bytes) -> Mask:
    """Return which records the site will hold out, shape (n,)."""
    given = None if scenario.split is None else (table[scenario.split] == "test").to_numpy(np.bool_)
    records = PersonRecords(
        persons=persons_of(table[scenario.table.person]).to_numpy(),
        places=np.arange(len(table)),
        strata=np.zeros(len(table), np.int64),
        given=given,
    )
    return KeyedSides(key).held_out(records)


def _add_identities(run: RunDirectory, charter: Charter) -> Charter:
    """Make the coordinator's key and an identity at each site; return the charter with them."""
    members = []
    for name in charter.names:
        identity = Identity.generate(name)
        identity.write(SiteDirectory(run.site(name)).identity)
        members.append(Member.model_validate(identity.public.describe()))
    floors = charter.floors.model_copy(update={"encrypted": True})
    key = SigningKey.at(run.question_key).public.hex()
    return charter.model_copy(
        update={"members": tuple(members), "floors": floors, "coordinator_key": key}
    )


def _add_hubs(run: RunDirectory, charter: Charter, num_hubs: int) -> Charter:
    """Make a key for each hub; return the charter with the hubs, the sites dealt to them."""
    hubs = tuple(
        Hub(
            name=f"hub-{at}",
            members=members,
            signing=SigningKey.at(run.hub(f"hub-{at}").key).public.hex(),
        )
        for at, members in enumerate(dealt(charter.names, num_hubs), start=1)
    )
    return Charter.model_validate({**charter.model_dump(), "hubs": hubs})


def write_practice_files(scenario: Scenario, folder: Path) -> tuple[Path, ...]:
    """Write a scenario's schema, and each site's records as CSV; return the paths.

    Raises:
        NoRecords: The scenario has no data set.
    """
    frames = dealt_records(scenario, scenario.sites).frames
    folder.mkdir(parents=True, exist_ok=True)
    schema = folder / "schema.json"
    schema.write_text(scenario.table.model_dump_json(indent=1))
    written = [schema]
    for name, frame in frames.items():
        path = folder / f"{name}.csv"
        frame.to_csv(path, index=False)
        written.append(path)
    return tuple(written)
