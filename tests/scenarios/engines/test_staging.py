import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consortium.charter.document import Charter
from consortium.run.directory import RunDirectory
from consortium.site.directory import read_site_config
from consortium.site.person_sides import scenario_side_key
from privacy.differential.mechanisms import Unit
from privacy.policy.document import read_policy
from privacy.secrets.keys import Identity
from scenarios.attacks.assignment import AttackAssignment
from scenarios.data.datasets import load_dataset
from scenarios.engines.dealt_records import NoRecords
from scenarios.engines.staging import (
    DirectoryInUse,
    UnknownSite,
    new_run_directory,
    stage,
)
from scenarios.library.registry import scenario_named
from sites.data.holdout import KeyedSides, is_drawn
from sites.data.source import TableFile

HEART = scenario_named("heart-diagnosis")


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    stage(run, HEART)
    return run


def test_the_data_set_is_divided_among_the_sites_each_record_once(staged: RunDirectory) -> None:
    parts = [pd.read_parquet(staged.site(name) / "data.parquet") for name in HEART.sites]
    together = pd.concat(parts).sort_values("patient").reset_index(drop=True)
    whole = load_dataset("heart-disease").sort_values("patient").reset_index(drop=True)
    pd.testing.assert_frame_equal(together, whole, check_dtype=False)
    for name, part in zip(HEART.sites, parts, strict=True):
        assert set(part["hospital"]) == {name}


def test_all_parties_have_the_same_charter(staged: RunDirectory) -> None:
    signed = {Charter.read(staged.site(name) / "charter.json") for name in HEART.sites}
    assert signed == {Charter.read(staged.charter)} == {HEART.charter}


def test_a_sites_config_has_its_own_name_and_data_and_nothing_of_the_others(
    staged: RunDirectory,
) -> None:
    for name in HEART.sites:
        config = read_site_config(staged.site(name))
        assert config.name == name
        assert config.source == TableFile(path=staged.site(name) / "data.parquet")
        assert {path.name for path in staged.site(name).iterdir()} == {
            "charter.json",
            "data.parquet",
            "policy.json",
            "secrets",
            "sides",
            "site.json",
        }


def test_a_run_in_the_clear_has_no_keys(staged: RunDirectory) -> None:
    """But for the secret of each site by which it holds persons out."""
    held = sorted(path.relative_to(staged.path) for path in staged.path.rglob("secrets/*"))
    assert held == sorted(Path(f"sites/{name}/secrets/sides.secret") for name in HEART.sites)


def test_secret_keys_are_made_at_their_site_and_only_its_owner_reads_them(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    stage(run, HEART, config=HEART.config_with({"aggregation": "encrypted"}))
    charter = Charter.read(run.charter)
    assert charter.floors.encrypted
    for member in charter.members:
        path = run.site(member.name) / "secrets" / "identity.secret"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        identity = Identity.read(path, name=member.name)
        assert identity.public.describe() == member.model_dump()
    homes = {path.parents[1] for path in run.path.rglob("*.secret")}
    assert homes == {*map(run.site, HEART.sites), run.coordinator}


def test_two_stagings_have_no_key_in_common(tmp_path: Path) -> None:
    keys = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        run = RunDirectory(tmp_path / name)
        stage(run, HEART, config=HEART.config_with({"aggregation": "encrypted"}))
        keys += [member.signing for member in Charter.read(run.charter).members]
    assert len(set(keys)) == 2 * len(HEART.sites)


def test_own_data_stay_where_they_are(tmp_path: Path) -> None:
    own = TableFile(path=tmp_path / "own.csv", separator=";")
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    stage(run, HEART, {"hungary": own})
    assert read_site_config(run.site("hungary")).source == own
    assert not (run.site("hungary") / "data.parquet").exists()
    assert (run.site("cleveland") / "data.parquet").exists()


def test_data_for_an_unknown_site_are_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(UnknownSite, match="no site 'nowhere': choose one of cleveland, hungary"):
        stage(RunDirectory(tmp_path), HEART, {"nowhere": TableFile(path=tmp_path / "x.csv")})
    assert list(tmp_path.iterdir()) == []


def test_a_scenario_without_a_data_set_needs_data_for_every_site(tmp_path: Path) -> None:
    bare = replace(HEART, dataset=None, site_of_row=None)
    own = {name: TableFile(path=tmp_path / f"{name}.csv") for name in HEART.sites}
    missing = {name: source for name, source in own.items() if name != "hungary"}
    with pytest.raises(NoRecords, match="there is no data for hungary"):
        stage(RunDirectory(tmp_path / "one"), bare, missing)
    (tmp_path / "other").mkdir()
    stage(RunDirectory(tmp_path / "other"), bare, own)
    assert (
        read_site_config(RunDirectory(tmp_path / "other").site("hungary")).source == own["hungary"]
    )


def test_a_new_run_has_the_name_of_its_scenario_and_a_directory_of_its_own(tmp_path: Path) -> None:
    first = new_run_directory(HEART, under=tmp_path, named=None)
    assert first.path.name.startswith("heart-diagnosis-")
    assert first.path.is_absolute()
    (first.path / "x").touch()
    named = new_run_directory(HEART, under=tmp_path, named=tmp_path / "deep" / "mine")
    assert named.path == tmp_path / "deep" / "mine"
    assert named.path.is_dir()


def test_an_empty_directory_is_accepted_and_one_in_use_is_refused(tmp_path: Path) -> None:
    assert new_run_directory(HEART, under=tmp_path, named=tmp_path).path == tmp_path
    (tmp_path / "precious").touch()
    with pytest.raises(DirectoryInUse, match="is not empty: name another directory"):
        new_run_directory(HEART, under=tmp_path, named=tmp_path)
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize("unit", ["person", "record"])
def test_ledgers_have_the_unit_of_privacy_of_the_run(unit: Unit, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    private = HEART.config_with({"dp.unit": unit, "dp.epsilon": 1.0})
    stage(run, HEART, config=private)
    assert read_policy(run.site("hungary")).privacy.unit == unit


@pytest.mark.parametrize("attack", ["label-flip", "backdoor", "unit-mix-up"])
def test_a_liar_poisons_what_it_trains_on_and_no_record_that_models_are_measured_on(
    attack: str, staged: RunDirectory, tmp_path: Path
) -> None:
    run, liar = RunDirectory(tmp_path), "cleveland"
    stage(run, HEART, lies=AttackAssignment(attacks={liar: attack}))
    honest, lying = (
        pd.read_parquet(one.site(liar) / "data.parquet").sort_values("patient", ignore_index=True)
        for one in (staged, run)
    )
    sides = KeyedSides(scenario_side_key(HEART.config_with({}).seed, liar))
    held = np.array([is_drawn(sides.digest(one)) for one in honest["patient"]])
    assert 0 < held.sum() < len(held)
    pd.testing.assert_frame_equal(honest[held], lying[held], check_dtype=False)
    same = (honest[~held].astype(str) == lying[~held].astype(str)).all(axis=1)
    assert same.mean() < 0.8
    if attack == "label-flip":
        assert (honest[~held]["disease"] != lying[~held]["disease"]).all()
