"""A consortium in Python is the consortium of the command line: same checks, errors and models."""

import subprocess
import sys
from pathlib import Path
from typing import cast

import pandas as pd
import pytest

import consortium as c
from consortium.run.directory import RunDirectory
from consortium.run.records import Comparison, read_record
from scenarios.api.running import Options, UnknownOption
from scenarios.engines.site_reports import DataRefused
from scenarios.user_data.proposal import propose
from scenarios.user_data.proposed_file import proposed_file
from sites.data.source import IobFiles
from tests.scenarios.api.conftest import PLAN, WARDS

Frames = dict[str, pd.DataFrame]


def digest(run: c.Run) -> str:
    assert run.summary.model_digest
    return run.summary.model_digest


def test_frames_files_and_a_declared_consortium_give_the_same_model(
    run: c.Run, schema: c.Schema, frames: Frames, tmp_path: Path
) -> None:
    sites = []
    for name, frame in frames.items():
        path = tmp_path / f"{name}.csv"
        frame.to_csv(path, index=False, sep=";")
        sites.append(c.Site(name, path, words=["separator:semicolon"]))
    declared = c.Consortium(schema, sites, config=PLAN)
    other = c.simulate(declared, rounds=2, out=tmp_path / "files")
    assert digest(other) == digest(run)
    pd.testing.assert_frame_equal(other.metrics, run.metrics)


def test_a_scenario_in_a_file_gives_the_same_model(
    run: c.Run, schema: c.Schema, frames: Frames, tmp_path: Path
) -> None:
    """With the same person in each row, whatever the name of the file's scenario."""
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    tables = {name: str(tmp_path / f"{name}.csv") for name in frames}
    text = proposed_file(propose(tables), "discharges", beside=tmp_path)
    text = text.replace("low = 20.0\nhigh = 90.0", 'low = 0\nhigh = 120\nunit = "years"')
    text = text.replace("low = 0.0\nhigh = 20.0", 'low = 2\nhigh = 25\nunit = "g/dl"')
    text = text.replace('["emergency", "planned"]', '["planned", "emergency"]')
    file = tmp_path / "discharges.toml"
    file.write_text(text)
    other = c.simulate(file, rounds=2, config=PLAN, out=tmp_path / "run")
    assert other.summary.charter_fingerprint == run.summary.charter_fingerprint
    assert digest(other) == digest(run)


def test_two_sites_cannot_run_encrypted_and_nothing_is_left(
    schema: c.Schema, frames: Frames, tmp_path: Path
) -> None:
    two = {name: frames[name] for name in WARDS[:2]}
    with pytest.raises(c.ConsortiumError, match="3"):
        c.simulate(schema, two, rounds=1, encrypted=True, out=tmp_path / "run")


def test_a_frame_that_is_no_table_leaves_none_of_the_others_on_the_disk(
    schema: c.Schema, frames: Frames, tmp_path: Path
) -> None:
    unnamed = frames[WARDS[-1]].rename(columns={"age": 7})
    with pytest.raises(c.ConsortiumError, match="named 7"):
        c.simulate(schema, {**frames, WARDS[-1]: unnamed}, out=tmp_path / "run", config=PLAN)
    assert not (tmp_path / "run").exists()


def test_what_is_declared_shows_no_record_and_no_password(schema: c.Schema, frames: Frames) -> None:
    named = {name: frame.assign(patient="Jane Doe") for name, frame in frames.items()}
    sites = [c.Site(name, frame) for name, frame in named.items()]
    queried = c.Site("east", "postgresql://me:hunter2@host/db::select 1")
    shown = repr([sites, queried, c.Consortium(schema, named), c.Consortium(schema, [queried])])
    assert "Jane Doe" not in shown
    assert "hunter2" not in shown


def test_refused_records_are_named_with_site_row_and_advice(
    schema: c.Schema, frames: Frames, tmp_path: Path
) -> None:
    """Unless a run without them is accepted."""
    broken = frames["ward-a"].astype(object)
    broken.loc[1, "age"] = "63 years"
    given = {**frames, "ward-a": broken}
    with pytest.raises(DataRefused, match=r"ward-a: the table breaks.*\n- age: .*row 2 \('63 y"):
        c.simulate(schema, given, rounds=1, config=PLAN, out=tmp_path / "refused")
    run = c.simulate(
        schema, given, rounds=1, config=PLAN, out=tmp_path / "absent", allow_absent=True
    )
    assert any("not in the run: ward-a" in line for line in run.warnings)


def test_records_that_all_sites_refuse_are_named_too(
    schema: c.Schema, frames: Frames, tmp_path: Path
) -> None:
    without = {name: frame.drop(columns="admitted") for name, frame in frames.items()}
    with pytest.raises(DataRefused, match="ward-c: the table lacks 1 column of the schema: 'admi"):
        c.simulate(schema, without, rounds=1, config=PLAN, out=tmp_path / "run")


def test_rows_that_count_as_persons_are_warned_of(schema: c.Schema, frames: Frames) -> None:
    sites = [
        c.Site(name, frame.drop(columns="patient"), words=["persons:rows"])
        for name, frame in frames.items()
    ]
    with pytest.warns(UserWarning, match="ward-[abc]: no column says whose a record is"):
        assert c.check(schema, sites).empty


def test_only_its_owner_reads_a_frame_that_a_run_keeps(run: c.Run) -> None:
    kept = run.path / "sites" / "ward-a"
    assert (kept / "own-data.parquet").exists()
    assert kept.stat().st_mode & 0o077 == 0


def test_a_column_of_sides_is_used_or_refused(
    schema: c.Schema, frames: Frames, tmp_path: Path
) -> None:
    """A directory of sentences has none."""
    sided = [
        c.Site(name, frame.assign(side=["test"] * 10 + ["train"] * 50), split="side")
        for name, frame in frames.items()
    ]
    run = c.simulate(schema, sided, rounds=1, config=PLAN, out=tmp_path / "run")
    assert run.summary.held_out == 30
    files = c.Site("ward-a", IobFiles(path=tmp_path), split="side")
    with pytest.raises(c.ConsortiumError, match="split names a column"):
        files.source(tmp_path)


def test_a_description_of_frames_is_a_table_one(
    schema: c.Schema, frames: Frames, tmp_path: Path
) -> None:
    table = c.describe(schema, frames, out=tmp_path / "run").table_one
    trained = [int(str(cell)) for cell in table.loc["Records"]]
    assert trained[0] == sum(trained[1:])
    assert "age (years), mean (SD)" in table.index


def test_a_check_finds_the_ward_that_measures_in_another_unit(
    schema: c.Schema, frames: Frames
) -> None:
    assert c.check(schema, frames).empty
    other = frames["ward-a"].assign(haemoglobin=frames["ward-a"]["haemoglobin"] / 3)
    found = c.check(schema, {**frames, "ward-a": other})
    assert list(found["site"]) == ["ward-a"]
    assert found["finding"][0].startswith("haemoglobin looks 1/")


def test_a_check_names_every_site_whose_records_do_not_fit(
    schema: c.Schema, frames: Frames
) -> None:
    broken = {name: frame.assign(age=-1) for name, frame in frames.items() if name != "ward-b"}
    with pytest.raises(DataRefused, match=r"(?s)^ward-a: .*age: expected.*\nward-c: ") as refused:
        c.check(schema, {**frames, **broken})
    assert "ward-b" not in str(refused.value)


def test_a_scenario_of_the_library_takes_frames_for_its_sites(frames: Frames) -> None:
    with pytest.raises(c.ConsortiumError, match="there is no site 'ward-a'"):
        c.check("heart-diagnosis", frames)
    with pytest.raises(c.ConsortiumError, match="did you mean 'heart-diagnosis'"):
        c.check("heart-diagnosi")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"round": 3}, "there is no option 'round': did you mean 'rounds'"),
        ({"engine": "ray"}, "there is no engine 'ray'"),
        ({"config": {"local-epoch": 1}}, "local-epochs"),
        ({"rounds": "many"}, "num-server-rounds"),
    ],
)
def test_an_option_that_is_none_is_named_with_the_nearest(
    schema: c.Schema, frames: Frames, options: dict[str, object], said: str
) -> None:
    with pytest.raises(c.ConsortiumError, match=said):
        c.simulate(schema, frames, **cast(Options, options))
    assert issubclass(UnknownOption, TypeError)


@pytest.mark.parametrize("name", ["Ward A", "", "ward-b"])
def test_a_site_that_cannot_be_named_so_is_refused_before_anything_runs(
    schema: c.Schema, frames: Frames, name: str
) -> None:
    sites = [c.Site(name, frames["ward-a"]), c.Site("ward-b", frames["ward-b"])]
    with pytest.raises(c.ConsortiumError, match="the consortium: "):
        c.simulate(schema, sites)


def test_a_declared_schema_loads_nothing_that_learns_or_sends() -> None:
    code = (
        "import sys, consortium as c\n"
        "c.Schema(name='a', person='p', features=(c.Number(name='x', low=0, high=1),),\n"
        "         label=c.ClassLabel(column='y', classes=('a', 'b')))\n"
        "heavy = ('torch', 'pandas', 'numpy', 'flwr', 'scipy', 'matplotlib', 'scenarios')\n"
        "print(*[name for name in heavy if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def test_each_way_of_training_can_be_tuned_for_itself(
    schema: c.Schema, frames: Frames, tmp_path: Path
) -> None:
    """The run is that of the values that the shared model chose; `simulate` searches nothing."""
    searched = c.compare(
        schema,
        frames,
        search=["learning-rate=log(1e-3,1)"],
        trials=2,
        rounds=2,
        config=PLAN,
        out=tmp_path / "run",
    )
    record = read_record(RunDirectory(searched.path).comparison, Comparison)
    assert record.search is not None
    assert record.search.trials == 2
    (shared,) = (one.chosen for one in record.arms if one.kind == "federated")
    assert shared is not None
    assert searched.summary.config["learning-rate"] == shared.settings["learning-rate"]
    asked = cast(Options, {"search": ["learning-rate=log(1e-3,1)"]})
    with pytest.raises(UnknownOption, match="search"):
        c.simulate(schema, frames, **asked)


def test_what_counts_is_run_without_a_library_that_learns() -> None:
    """A description of tables needs none; `compare` trains, and loads it then."""
    code = "import sys, consortium as c; c.describe; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False"]
