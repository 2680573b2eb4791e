"""A released model beside records of a later period: what moved is named, by sums over sites."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from scenarios.cli.main import app
from scenarios.data.datasets import heart_hospitals, load_dataset
from scenarios.experiments.monitoring import CannotMonitor, Period, monitored_period
from sites.data.source import TableFile
from tests.scenarios.conftest import Done

MOST = ("cleveland", "hungary", "switzerland", "va-long-beach")


def later(folder: Path, *, older: float = 0.0, sites: tuple[str, ...] = MOST) -> dict[str, Path]:
    """Write the records of each hospital as those of a later period, its patients older."""
    frame = load_dataset("heart-disease")
    owner, paths = heart_hospitals(frame), {}
    for name in sites:
        part = frame[owner == name].copy()
        part["age"] = pd.to_numeric(part["age"]) + older
        paths[name] = folder / f"{name}.csv"
        part.to_csv(paths[name], index=False)
    return paths


def compared(heart: Done, folder: Path, *, older: float = 0.0) -> Period:
    paths = later(folder, older=older)
    return monitored_period(
        heart.run, {name: TableFile(path=str(path)) for name, path in paths.items()}
    )


def test_the_same_patients_have_not_moved_and_older_ones_have(heart: Done, tmp_path: Path) -> None:
    same, moved = (compared(heart, tmp_path, older=by) for by in (0.0, 12.0))
    before, after = (
        {one.name: one.stability.level for one in period.columns} for period in (same, moved)
    )
    assert (before.pop("age"), after.pop("age")) == ("as before", "shifted")
    assert before == after  # one hospital waits, and that alone moves what it had most of
    assert "shifted" not in before.values()
    assert same.scores is not None
    assert same.absent == ("switzerland",)
    assert same.observed is not None
    assert 0.3 < same.observed < 0.8
    assert same.expected is not None
    assert same.now["roc_auc"].value == pytest.approx(same.before["roc_auc"].value, abs=0.1)
    assert "switzerland" in same.waiting  # eight of its patients are well


def test_a_site_with_few_new_records_of_a_class_waits(heart: Done, tmp_path: Path) -> None:
    path = later(tmp_path, sites=("cleveland",))["cleveland"]
    pd.read_csv(path).head(12).to_csv(path, index=False)
    with pytest.raises(CannotMonitor, match="10 persons of each class"):
        monitored_period(heart.run, {"cleveland": TableFile(path=str(path))})
    with pytest.raises(CannotMonitor, match="cleveland"):
        monitored_period(heart.run, {"clevland": TableFile(path=str(path))})


def test_the_command_prints_and_writes_what_moved(heart: Done, tmp_path: Path) -> None:
    paths, out = later(tmp_path, older=12.0), tmp_path / "monitor.csv"
    command = ["monitor", str(heart.run.path), "--out", str(out)]
    for name, path in paths.items():
        command += ["--data", f"{name}={path}"]
    done = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "Too few new records of a class, so not counted: switzerland" in done.output
    with out.open() as file:
        rows = {row["what"]: row for row in csv.DictReader(file)}
    assert rows["age"]["reading"] == "shifted"
    assert rows["cholesterol"]["reading"] != "shifted"
    assert "switzerland" in done.output.partition("mix of sites")[0]
    assert "times as many as predicted" in rows["positives: expected, observed"]["reading"]


def test_a_run_without_a_model_is_refused(tmp_path: Path) -> None:
    command = ["monitor", str(tmp_path), "--data", f"cleveland={__file__}"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
