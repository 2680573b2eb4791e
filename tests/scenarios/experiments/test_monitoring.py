"""A released model beside records of a later period: what moved is named, by sums over sites."""

import csv
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from consortium.coordinator.later_runs.periods import CannotMonitor
from consortium.report.monitoring.counted_periods import CountedPeriod
from consortium.run.directory import RunDirectory
from consortium.site.periods import RecordsOfAnotherPeriod
from scenarios.cli.main import app
from scenarios.cli.terminal import console
from scenarios.data.datasets import heart_hospitals, load_dataset
from scenarios.experiments.monitoring import count_period
from sites.data.source import TableFile
from tests.scenarios.conftest import Done

MOST = ("cleveland", "hungary", "switzerland", "va-long-beach")


@pytest.fixture
def run(heart: Done, tmp_path: Path) -> RunDirectory:
    """The run of four hospitals, whose sites remember no period yet."""
    return RunDirectory(shutil.copytree(heart.run.path, tmp_path / "run"))


def later(folder: Path, *, older: float = 0.0, sites: tuple[str, ...] = MOST) -> dict[str, Path]:
    """Write the records of each hospital as those of a later period, its patients older."""
    frame = load_dataset("heart-disease")
    owner, paths = heart_hospitals(frame), {}
    for name in sites:
        part = frame[owner == name].copy()
        part["age"] = pd.to_numeric(part["age"]) + older
        paths[name] = folder / f"{name}-{older:.0f}.csv"
        part.to_csv(paths[name], index=False)
    return paths


def compared(run: RunDirectory, period: str, *, older: float = 0.0) -> CountedPeriod:
    paths = later(run.path, older=older)
    return count_period(run, period, {name: TableFile(path=path) for name, path in paths.items()})


def test_the_same_patients_have_not_moved_and_older_ones_have(run: RunDirectory) -> None:
    same, moved = compared(run, "march"), compared(run, "april", older=12.0)
    assert same.figures is not None
    assert moved.figures is not None
    before, after = (
        {one.name: one.stability.level for one in figures.columns}
        for figures in (same.figures, moved.figures)
    )
    assert (before.pop("age"), after.pop("age")) == ("as before", "shifted")
    assert before == after  # one hospital waits, and that alone moves what it had most of
    assert "shifted" not in before.values()
    assert same.figures.scores is not None
    assert same.waiting == ("switzerland",)  # eight of its patients are well
    assert same.absent == ()
    assert 0.3 < (same.figures.now.share_observed or 0.0) < 0.8
    auc = same.figures.now.metrics["roc_auc"].value
    assert auc == pytest.approx(same.figures.before.metrics["roc_auc"].value, abs=0.1)
    low, high = same.figures.now.auc_interval or (1.0, 0.0)
    assert low < auc < high


def test_sites_with_few_new_records_of_a_class_wait(run: RunDirectory) -> None:
    paths = later(run.path, sites=MOST[:2])
    for path in paths.values():
        pd.read_csv(path).head(12).to_csv(path, index=False)
    sources = {name: TableFile(path=path) for name, path in paths.items()}
    with pytest.raises(CannotMonitor, match="fewer than ten new records of a class"):
        count_period(run, "march", sources)
    with pytest.raises(CannotMonitor, match="cleveland"):
        count_period(run, "march", {"clevland": sources["cleveland"]})


def test_a_period_is_counted_once_and_no_records_twice(run: RunDirectory) -> None:
    compared(run, "march")
    with pytest.raises(CannotMonitor, match="counted before"):
        compared(run, "march")
    with pytest.raises(RecordsOfAnotherPeriod, match="march"):
        compared(run, "april")


def test_the_command_prints_and_writes_what_moved(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 200)
    paths, out = later(run.path, older=12.0), run.path / "monitor.csv"
    command = ["monitor", str(run.path), "--period", "2026-03", "--out", str(out)]
    for name, path in paths.items():
        command += ["--data", f"{name}={path}"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "Too few new records of a class, so not counted: switzerland" in done.output
    with out.open() as file:
        rows = {row["what"]: row for row in csv.DictReader(file)}
    assert rows["age"]["reading"] == "shifted"
    assert rows["age"]["period"] == "2026-03"
    assert rows["cholesterol"]["reading"] != "shifted"
    assert "switzerland" in done.output.partition("mix of sites")[0]
    assert "times as many as predicted" in done.output
    predicted, observed = (
        float(rows[f"positives {one}"]["now"]) for one in ("predicted", "observed")
    )
    assert float(rows["calibration ratio"]["now"]) == pytest.approx(observed / predicted)
    low, auc, high = (float(rows["roc_auc"][one]) for one in ("low", "now", "high"))
    assert low < auc < high


def test_a_run_without_a_model_is_refused(tmp_path: Path) -> None:
    command = ["monitor", str(tmp_path), "--data", f"cleveland={__file__}"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
