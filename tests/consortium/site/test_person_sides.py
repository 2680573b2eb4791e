"""A site remembers who is held out; sites of version 0.1.0 find out whom they trained on."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.config import RunConfig, Scalar
from consortium.model.files import read_model
from consortium.run.directory import RunDirectory
from consortium.site.directory import SiteDirectory, read_site_config
from consortium.site.earlier_runs import earlier_runs
from consortium.site.person_sides import (
    PersonChangedSides,
    SideKeyReplaced,
    begin_sides,
    scenario_side_key,
    sides_of,
)
from consortium.site.site import records_of
from privacy.storage.secret_files import ExposedSecret
from sites.data.holdout import Mask, PersonRecords
from sites.data.holdout_0_1_0 import SeededSides
from sites.data.source import OmopDatabase, TableFile
from sites.tasks.tabular.data import TableData
from tests.made_by_0_1_0.unpacking import unpack

CONFIG = RunConfig.parse({})
SOURCE = TableFile(path=Path("records.csv"))
PERSONS = [f"p{number}" for number in range(40)]


def records(persons: list[str], given: list[bool] | None = None) -> PersonRecords:
    return PersonRecords(
        persons=np.array(persons),
        places=np.arange(2, len(persons) + 2),
        strata=np.zeros(len(persons), np.int64),
        given=None if given is None else np.array(given),
    )


def held_out(site: Path, persons: list[str], given: list[bool] | None = None) -> set[str]:
    """Return whom a site holds out."""
    asked = records(persons, given)
    return set(asked.persons[sides_of(site, SOURCE, CONFIG).held_out(asked)])


@given(parts=st.lists(st.lists(st.sampled_from(PERSONS), min_size=1), min_size=1, max_size=5))
def test_a_person_stands_on_one_side_in_all_data_of_a_site(parts: list[list[str]]) -> None:
    with TemporaryDirectory() as folder:
        ever_held_out, ever_trained = set[str](), set[str]()
        for persons in parts:
            now = held_out(Path(folder), persons)
            ever_held_out |= now
            ever_trained |= {*persons} - now
        assert not ever_held_out & ever_trained


def test_a_person_who_changes_sides_is_refused_with_the_rows(tmp_path: Path) -> None:
    assert held_out(tmp_path, ["a", "b", "c"], [True, False, False]) == {"a"}
    assert held_out(tmp_path, ["a", "b", "c", "d"], [True, False, False, True]) == {"a", "d"}
    with pytest.raises(PersonChangedSides, match="rows 3, 5") as refusal:
        held_out(tmp_path, ["a", "b", "c", "d"], [True, True, False, False])
    assert refusal.value.counts == {"persons": 2}
    assert "put the column back" in str(refusal.value)


def test_who_stood_somewhere_stands_there_without_the_column(tmp_path: Path) -> None:
    said = [number % 2 == 0 for number in range(len(PERSONS))]
    with_column = held_out(tmp_path, PERSONS, said)
    assert held_out(tmp_path, PERSONS) == with_column


def test_names_of_persons_are_in_no_file_of_the_memory(tmp_path: Path) -> None:
    name = "Hildegard-von-Bingen"
    held_out(tmp_path, [name])
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert name.encode() not in path.read_bytes()
            assert path.stat().st_mode & 0o077 == 0


def test_a_site_that_lost_its_secret_refuses(tmp_path: Path) -> None:
    """With a new one, whoever was trained on could be held out."""
    held_out(tmp_path, PERSONS)
    key = SiteDirectory(tmp_path).side_key
    key.rename(key.with_suffix(".away"))
    with pytest.raises(SideKeyReplaced):
        held_out(tmp_path, PERSONS)
    assert not key.exists()
    other = tmp_path / "other"
    begin_sides(other)
    SiteDirectory(other).side_key.rename(key)
    with pytest.raises(SideKeyReplaced):
        held_out(tmp_path, PERSONS)


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    held_out(tmp_path, PERSONS)
    SiteDirectory(tmp_path).side_key.chmod(0o644)
    with pytest.raises(ExposedSecret):
        held_out(tmp_path, PERSONS)


def test_sites_of_a_scenario_have_the_same_secrets_again(tmp_path: Path) -> None:
    begun = []
    for number, (seed, name) in enumerate([(7, "a"), (7, "a"), (8, "a"), (7, "b")]):
        begin_sides(tmp_path / str(number), scenario_side_key(seed, name))
        begun.append(held_out(tmp_path / str(number), PERSONS))
    assert begun[0] == begun[1]
    assert begun[0] != begun[2] != begun[3] != begun[0]


# Sites that version 0.1.0 made


def site_of_0_1_0(folder: Path, name: str = "clear-compared") -> Path:
    return RunDirectory(unpack(name, folder)).site("hungary")


def config_of(site: Path) -> RunConfig:
    """Return the config of the last run of a site."""
    return read_model(site / "model").config


def loaded(site: Path, config: RunConfig) -> TableData:
    task = read_model(site / "model").task
    data = records_of(task, site, config)
    assert isinstance(data, TableData)
    return data


def file_of(site: Path) -> Path:
    source = read_site_config(site).source
    assert isinstance(source, TableFile)
    return source.path


def another(config: RunConfig, **changes: Scalar) -> RunConfig:
    return RunConfig.parse({**config.flat(), **changes})


def as_0_1_0_would(site: Path, seed: int) -> TableData:
    data = read_model(site / "model").task.load(
        read_site_config(site).source, sides=SeededSides(seed)
    )
    assert isinstance(data, TableData)
    return data


@pytest.mark.parametrize("seed", [7, 8])
def test_whoever_was_trained_on_stays_and_whoever_never_was_is_held_out(
    seed: int, tmp_path: Path
) -> None:
    """In whatever run the site is asked first: its last model says with which seed it trained."""
    site = site_of_0_1_0(tmp_path)
    now, then = loaded(site, another(config_of(site), seed=seed)), as_0_1_0_would(site, 7)
    assert {*now.training.persons} == {*then.training.persons}
    assert {*now.held_out.persons} == {*then.held_out.persons}


def test_without_the_earlier_seeds_nobody_that_may_have_been_trained_on_is_held_out(
    tmp_path: Path,
) -> None:
    site = site_of_0_1_0(tmp_path)
    config = another(config_of(site), seed=8)
    task = read_model(site / "model").task
    (site / "model" / "model.json").unlink()
    assert not records_of(task, site, config).held_out_examples


def test_records_that_are_others_than_then_do_not_say_who_was_trained_on(tmp_path: Path) -> None:
    site = site_of_0_1_0(tmp_path)
    os.utime(file_of(site))
    assert not loaded(site, config_of(site)).held_out_examples


def test_records_in_a_database_do_not_say_whether_they_are_those_of_then(tmp_path: Path) -> None:
    """The map of an OMOP database may be as old as can be: the rows are what changes."""
    site = site_of_0_1_0(tmp_path)
    of_files = earlier_runs(site, read_site_config(site).source, config_of(site))
    assert of_files is not None
    assert of_files.seeds is not None
    declared = tmp_path / "ward.toml"
    declared.touch()
    os.utime(declared, (0, 0))
    omop = OmopDatabase(url="sqlite:///cdm.db", map=declared)
    of_database = earlier_runs(site, omop, config_of(site))
    assert of_database is not None
    assert of_database.seeds is None


def test_new_persons_are_held_out_by_the_hash_where_all_others_are_withheld(
    tmp_path: Path,
) -> None:
    site = site_of_0_1_0(tmp_path)
    os.utime(file_of(site))
    before = loaded(site, config_of(site))
    assert not before.held_out_examples
    source, config = read_site_config(site).source, config_of(site)
    asked = records([*before.training.persons, *PERSONS])
    found = set(asked.persons[sides_of(site, source, config).held_out(asked)])
    assert 0 < len(found) < len(PERSONS) / 2
    assert not found & {*before.training.persons}


def test_a_split_column_ends_the_withholding(tmp_path: Path) -> None:
    """Who holds the records knows better than the files of a site."""
    site = site_of_0_1_0(tmp_path)
    os.utime(file_of(site))
    persons = sorted({*loaded(site, config_of(site)).training.persons})
    said = [number % 3 == 0 for number in range(len(persons))]
    asked = records(persons, said)
    source = read_site_config(site).source
    mask: Mask = sides_of(site, source, config_of(site)).held_out(asked)
    assert mask.tolist() == said
    with pytest.raises(PersonChangedSides):
        sides_of(site, source, config_of(site)).held_out(
            records(persons, [not one for one in said])
        )


@pytest.mark.parametrize(("name", "seed"), [("clear-interrupted", 7), ("sealed-interrupted", 7)])
def test_a_run_begun_before_is_finished_with_its_split_and_no_other_run_is(
    name: str, seed: int, tmp_path: Path
) -> None:
    site, run = site_of_0_1_0(tmp_path, name), tmp_path / name
    config = RunConfig.parse(json.loads((run / "coordinator" / "run-config.json").read_text()))
    source = read_site_config(site).source
    entries = (site / "audit" / "log.jsonl").read_text()
    assert config.digest in entries
    asked = records(PERSONS)
    # An unknown run comes first: who was trained on by which seed is not known yet.
    new = sides_of(site, source, another(config, seed=seed + 1)).held_out(asked)
    assert not new.any()
    then = SeededSides(seed).held_out(asked)
    np.testing.assert_array_equal(sides_of(site, source, config).held_out(asked), then)
    assert not sides_of(site, source, another(config, seed=seed + 1)).held_out(asked).any()


def test_a_new_site_has_no_earlier_runs(tmp_path: Path) -> None:
    begin_sides(tmp_path)
    assert held_out(tmp_path, PERSONS)
