import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, RecordDict

from consortium.charter.document import BadCharter, Charter, UnknownMember
from consortium.config import RunConfig
from consortium.run.directory import ENVIRONMENT, BadRunDirectory, RunDirectory
from consortium.site.directory import BadSite, read_site_config, site_directory
from consortium.site.site import OtherCharter, Site, site_of, site_rng
from scenarios.engines.staging import stage
from scenarios.library.registry import scenario_named
from sites.tasks.tabular.data import Table, TableData
from tests.decisions import decide

SCENARIO = scenario_named("heart-diagnosis")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    staged = RunDirectory(tmp_path)
    stage(staged, SCENARIO)
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    return staged


def context(**node_config: Any) -> Context:
    config = dict(RunConfig.parse(SCENARIO.run_config).flat())
    return Context(1, 1001, dict(node_config), RecordDict(), config)


def test_a_simulated_node_is_the_charters_member_at_its_partition(run: RunDirectory) -> None:
    for index, name in enumerate(SCENARIO.sites):
        assert site_directory(context(**{"partition-id": index})) == run.site(name)
        assert site_of(context(**{"partition-id": index})).config.name == name


def test_a_deployed_node_is_where_its_own_config_says(run: RunDirectory) -> None:
    elsewhere = context(**{"partition-id": 0, "site-dir": str(run.site("hungary"))})
    assert site_of(elsewhere).config.name == "hungary"


def test_a_node_that_is_no_member_is_refused(run: RunDirectory) -> None:
    strangers: list[str | int] = [-1, 4, "0"]
    for index in strangers:
        with pytest.raises(UnknownMember):
            site_directory(context(**{"partition-id": index}))


def test_members_are_those_of_the_charter_as_it_is_now(run: RunDirectory) -> None:
    first = context(**{"partition-id": 0})
    assert site_directory(first) == run.site(SCENARIO.sites[0])
    charter = Charter.read(run.charter)
    charter.model_copy(update={"members": charter.members[::-1]}).write(run.charter)
    assert site_directory(first) == run.site(SCENARIO.sites[-1])
    run.charter.unlink()
    with pytest.raises(BadCharter):
        site_directory(first)


def test_a_run_needs_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with pytest.raises(BadRunDirectory, match="scenario run"):
        RunDirectory.from_environment()


def test_records_are_read_once_a_process(run: RunDirectory) -> None:
    first, second = (site_of(context(**{"partition-id": 1})) for _ in range(2))
    assert first is second
    assert first.data is second.data


def test_what_is_no_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSite, match="no site is set up"):
        read_site_config(tmp_path)
    (tmp_path / "site.json").write_text('{"name": "north", "colour": "red"}')
    with pytest.raises(BadSite, match="not a site's configuration"):
        read_site_config(tmp_path)


def test_a_message_of_another_charter_is_refused(run: RunDirectory) -> None:
    site = site_of(context(**{"partition-id": 0}))
    site.require_charter(site.charter.fingerprint)
    with pytest.raises(OtherCharter):
        site.require_charter("0" * 64)


def test_figures_are_released_from_the_sites_own_minimum_on(run: RunDirectory) -> None:
    site = site_of(context(**{"partition-id": 0}))
    scores, labels = np.linspace(0, 1, 12), np.array([0] * 8 + [1] * 4)
    tally = site.task.evaluation.tally(scores, labels)
    decide(site.directory, releases={"minimum_count": 4})
    assert site.releases(tally)
    decide(site.directory, releases={"minimum_count": 5})
    assert not site.releases(tally)
    assert site.releases_statistics()
    decide(site.directory, releases={"own_figures": False, "minimum_count": 4})
    assert not site.releases(tally)
    assert not site.releases_statistics()


def test_statistics_of_a_class_of_few_persons_are_not_shown_as_the_sites(
    run: RunDirectory,
) -> None:
    """However many persons the site has in all, and however many records those few have."""
    site = site_of(context(**{"partition-id": 0}))
    data = site.data
    assert isinstance(data, TableData)
    ill = np.flatnonzero(data.training.labels == 1)
    few = [*np.flatnonzero(data.training.labels == 0), *np.repeat(ill[:3], 20)]
    training = Table(
        columns={name: values[few] for name, values in data.training.columns.items()},
        labels=data.training.labels[few],
        persons=data.training.persons[few],
    )
    with_few = replace(site)
    with_few.__dict__["data"] = replace(data, training=training)
    decide(site.directory, releases={"own_figures": True, "minimum_count": 10})
    assert site.releases_statistics()
    assert with_few.data.train_persons > 10
    assert not with_few.releases_statistics()
    decide(site.directory, releases={"own_figures": True, "minimum_count": 3})
    assert with_few.releases_statistics()


def test_the_order_of_records_depends_on_seed_site_and_round_only() -> None:
    draws = {
        (seed, name, turn): int(site_rng(seed, name, turn).integers(2**60))
        for seed in (1, 2)
        for name in ("north", "south")
        for turn in (1, 2)
    }
    assert len(set(draws.values())) == 8
    assert draws[1, "north", 1] == int(site_rng(1, "north", 1).integers(2**60))


def test_an_unreadable_data_file_is_the_sites_own_business(run: RunDirectory) -> None:
    directory = run.site("cleveland")
    config = json.loads((directory / "site.json").read_text())
    shutil.move(config["source"]["path"], directory / "gone.parquet")
    with pytest.raises(Exception, match="no file"):
        _ = Site(
            directory,
            read_site_config(directory),
            SCENARIO.charter,
            RunConfig.parse(SCENARIO.run_config),
        ).data
