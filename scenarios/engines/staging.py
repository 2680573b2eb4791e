"""A run directory with a consortium in it: the charter, and a directory a site with its data."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from consortium.charter.document import Charter, Member
from consortium.run.directory import RunDirectory
from consortium.run.records import write_record
from consortium.site.directory import SiteConfig
from consortium.site.policy_templates import for_a_scenario
from privacy.differential.mechanisms import Unit
from privacy.errors import ConsortiumError
from privacy.secrets.keys import Identity
from scenarios.attacks.assignment import NOBODY, AttackAssignment, path_in
from scenarios.data.datasets import load
from scenarios.scenario import Scenario
from sites.data.source import DataSource, TableFile


class DirectoryInUse(ConsortiumError, FileExistsError):
    """A run directory exists and is not empty; a run never overwrites another."""

    code = "directory-in-use"


class UnknownSite(ConsortiumError, LookupError):
    """A scenario has no site of this name."""

    code = "unknown-site"


class NoRecords(ConsortiumError, ValueError):
    """A scenario comes without a data set, and a site was given none of its own."""

    code = "no-records"


def new_run_directory(scenario: Scenario, *, under: Path, named: Path | None) -> RunDirectory:
    """Return a directory for a new run: `named`, or one by scenario and time.

    Raises:
        DirectoryInUse: It is not empty.
    """
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
    with_keys: bool = False,
    lies: AttackAssignment = NOBODY,
    unit: Unit = "record",
) -> None:
    """Write the charter and a directory a site, with the site's part of the data in it.

    Args:
        run: An empty run directory.
        scenario: What is staged.
        own_data: A person's own data for some sites, instead of the shipped part.
        with_keys: Whether each site makes its identity, as encrypted runs need; the secret
            halves stay in the site's own directory.
        lies: Who spoils its own records, besides what it sends; data that a person brought is
            left as it is.
        unit: By what the sites' ledgers count.

    Raises:
        UnknownSite: There is own data for a site the scenario does not have.
        NoRecords: A site has no data.
    """
    given = own_data or {}
    require_sites(scenario, given)
    shipped = _shipped(scenario, [name for name in scenario.sites if name not in given])
    charter = _keyed(run, scenario.charter) if with_keys else scenario.charter
    charter.write(run.charter)
    run.coordinator.mkdir()
    if lies.attacks:
        write_record(path_in(run), lies)
    for name in scenario.sites:
        directory = run.site(name)
        directory.mkdir(parents=True, exist_ok=True)
        source = given.get(name)
        if source is None:
            path = directory / "data.parquet"
            _spoiled(shipped[name], scenario, name, lies).to_parquet(path, index=False)
            source = TableFile(path=path, split=scenario.split)
        charter.write(directory / "charter.json")
        for_a_scenario(charter, unit=unit).write(directory)
        write_record(directory / "site.json", SiteConfig(name=name, source=source))


def require_sites(scenario: Scenario, names: Iterable[str]) -> None:
    """Check that a scenario has these sites.

    Raises:
        UnknownSite: It has not; all its sites are named.
    """
    for name in names:
        if name not in scenario.sites:
            raise UnknownSite(f"there is no site '{name}': choose of {', '.join(scenario.sites)}")


def _shipped(scenario: Scenario, sites: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the records of these sites in the scenario's data set."""
    if not sites:
        return {}
    if scenario.site_of_row is None or not (scenario.dataset or scenario.records):
        raise NoRecords(
            f"{scenario.name} comes without a data set, and {', '.join(sites)} brought no data: "
            "give each site its own",
            sites=len(sites),
        )
    frame = scenario.records() if scenario.records else load(str(scenario.dataset))
    owner = scenario.site_of_row(frame)
    return {name: frame[owner == name] for name in sites}


def _spoiled(
    table: pd.DataFrame, scenario: Scenario, name: str, lies: AttackAssignment
) -> pd.DataFrame:
    """Return a site's records, spoiled if its attack says so."""
    poison = lies.attack_of(name).poison if name in lies.attacks else None
    return table if poison is None else poison(table, scenario.table, lies.rng(name, 0))


def _keyed(run: RunDirectory, charter: Charter) -> Charter:
    """Make an identity at each site; return the charter with the public halves, for encryption."""
    members = []
    for name in charter.names:
        identity = Identity.generate(name)
        identity.write(run.site(name) / "secrets" / "identity.secret")
        members.append(Member.model_validate(identity.public.describe()))
    floors = charter.floors.model_copy(update={"encrypted": True})
    return charter.model_copy(update={"members": tuple(members), "floors": floors})


def write_practice(scenario: Scenario, folder: Path) -> tuple[Path, ...]:
    """Write the schema of a scenario, and the records of each of its sites as CSV; return all.

    Raises:
        NoRecords: The scenario comes without a data set.
    """
    if scenario.dataset is None or scenario.site_of_row is None:
        raise NoRecords(f"{scenario.name} comes without a data set")
    folder.mkdir(parents=True, exist_ok=True)
    schema = folder / "schema.json"
    schema.write_text(scenario.table.model_dump_json(indent=1))
    written = [schema]
    frame = load(scenario.dataset)
    owner = scenario.site_of_row(frame)
    for name in scenario.sites:
        path = folder / f"{name}.csv"
        frame[owner == name].to_csv(path, index=False)
        written.append(path)
    return tuple(written)
