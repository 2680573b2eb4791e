"""Mistakes are kept if the site's own policy asks for them, readable to its owner only."""

import json
import stat
from pathlib import Path

import numpy as np
import pytest

from consortium.charter.document import Charter, Member
from consortium.config import RunConfig
from consortium.model.files import write_mistakes
from consortium.run.records import write_record
from consortium.site.directory import SiteConfig, SiteDirectory
from consortium.site.site import Site
from privacy.policy.document import Policy
from privacy.storage.secret_files import ExposedSecret
from sites.data.source import TableFile
from tests.consortium.staged import ward
from tests.sites.small_encoders import SIDES, small, table


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with notes and without a policy yet."""
    directory = tmp_path_factory.mktemp("site")
    # So many that whoever is held out, by a secret draw, has more than two mistakes.
    table(n=240).to_parquet(directory / "notes.parquet")
    config = SiteConfig(name="north", source=TableFile(path=directory / "notes.parquet"))
    write_record(directory / "site.json", config)
    return Site(
        directory=directory,
        config=config,
        charter=Charter(
            name="wards", task="clinical-notes", table=SIDES, members=(Member(name="north"),)
        ),
        run_config=RunConfig.parse({"model-name": small(), "travels": "head", "max-tokens": 64}),
    )


def kept(site: Site, most: int) -> list[dict[str, object]] | None:
    """Return the mistakes kept under a policy, or None if there is no file."""
    Policy(mistakes_kept=most).write(site.directory)
    statistics = site.task.statistics_of(site.data)
    write_mistakes(site, statistics, np.zeros(site.task.layout.dim))
    path = SiteDirectory(site.directory).mistakes
    if not path.exists():
        return None
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_nothing_is_kept_unless_the_policy_says_so(site: Site) -> None:
    """The file of an earlier run is removed too."""
    assert Policy().mistakes_kept == 0
    assert kept(site, 0) is None
    assert kept(site, 3)
    assert kept(site, 0) is None


def test_no_more_are_kept_than_asked_and_only_their_owner_reads_them(site: Site) -> None:
    every = kept(site, 1_000)
    assert every is not None
    assert len(every) > 2
    assert kept(site, 2) == every[:2]
    folder = SiteDirectory(site.directory).mistakes.parent
    assert [path.name for path in folder.iterdir()] == [SiteDirectory(site.directory).mistakes.name]
    assert stat.S_IMODE(SiteDirectory(site.directory).mistakes.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_directory_that_others_can_look_into_is_refused(site: Site) -> None:
    assert kept(site, 1)
    folder = SiteDirectory(site.directory).mistakes.parent
    folder.chmod(0o755)
    with pytest.raises(ExposedSecret):
        kept(site, 1)
    folder.chmod(0o700)


def test_of_a_table_nothing_is_kept(tmp_path: Path) -> None:
    """A person can read texts, but not rows of numbers."""
    hungary = ward(tmp_path, num_server_rounds=1)
    assert kept(hungary.site, 5) is None
