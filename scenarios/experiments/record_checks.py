"""What each site of a scenario finds in its records beside the others', without a run."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.run.directory import RunDirectory
from consortium.site.directory import SiteDirectory, read_site_config
from consortium.site.record_check import check_records
from consortium.site.site import Site
from privacy.errors import ConsortiumError
from privacy.layout import Tally
from scenarios.attacks.assignment import NOBODY, AttackAssignment
from scenarios.engines.site_reports import DataRefused
from scenarios.engines.staging import stage
from scenarios.scenario import Scenario
from sites.comparison.findings import Finding
from sites.data.source import DataSource


def check_sites(
    scenario: Scenario,
    config: RunConfig,
    own_data: Mapping[str, DataSource],
    *,
    lies: AttackAssignment = NOBODY,
) -> dict[str, tuple[Finding, ...]]:
    """Return what each site finds: the same as in a run, where the sum is sealed.

    Args:
        scenario: Whose sites.
        config: Of the run that would follow; its seed says who is held out.
        own_data: The user's own data, by site.
        lies: Which sites have altered records.

    Raises:
        DataRefused: Records cannot be read, or do not fit the schema; each site is named.
        ConsortiumError: The records cannot be staged.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        stage(run, scenario, own_data, config=config, lies=lies)
        sites = [_site_in(run.site(name), config) for name in scenario.sites]
        counted = _counted(sites, config)
        pooled = sum(counted, np.zeros_like(counted[0]))
        return {
            site.config.name: check_records(site, pooled - given).findings
            for site, given in zip(sites, counted, strict=True)
        }


def _counted(sites: Sequence[Site], config: RunConfig) -> list[Tally]:
    """Return each site's counts, or say of all sites at once which records cannot be counted."""
    counted, refused = [], {}
    for site in sites:
        try:
            counted.append(config.privacy.statistics(site.task, site.data))
        except ConsortiumError as error:
            refused[site.config.name] = str(error)
    if refused:
        raise DataRefused(refused)
    return counted


def _site_in(directory: Path, config: RunConfig) -> Site:
    return Site(
        directory=directory,
        config=read_site_config(directory),
        charter=Charter.read(SiteDirectory(directory).charter),
        run_config=config,
    )
