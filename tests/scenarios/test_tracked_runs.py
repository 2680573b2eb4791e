"""Runs that are followed by other programs."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from scenarios.cli.main import app
from tests.curves import curves_in
from tests.followed_runs import run_in_wandb, runs_in_mlflow
from tests.scenarios.conftest import Done

NAME = "heart-diagnosis"
COURSE = ("sites", "seconds", "bytes_down", "bytes_up")


def tracked(out: Path, *trackers: str) -> tuple[RunDirectory, str]:
    """Run what the fixture `heart` ran, with trackers; return what the terminal showed, too."""
    words = ["run", "heart-diagnosis", "--set", "num-server-rounds=3", "--out", str(out)]
    over = CliRunner().invoke(
        app, [*words, *(word for one in trackers for word in ("--track", one))]
    )
    assert over.exit_code == 0, over.output
    return RunDirectory(out), over.output


def test_curves_are_the_metrics_of_the_run_and_a_broken_tracker_changes_nothing(
    heart: Done, tmp_path: Path
) -> None:
    """The model is that of the run without trackers, to the bit."""
    broken = tmp_path / "broken.prom"
    broken.mkdir()  # so that no round can be written there
    good, folder = tmp_path / "good.prom", tmp_path / "curves"
    run, shown = tracked(
        tmp_path / "run",
        f"prometheus:{broken}",
        f"prometheus:{good}",
        f"tensorboard:{folder}",
        f"mlflow:{tmp_path / 'mlruns'}",
        f"wandb:{tmp_path / 'wandb'}",
    )
    summary = read_record(run.summary, Summary)
    assert summary.model_digest == heart.summary.model_digest
    assert run.log.read_text().count(f"the tracker prometheus:{broken} failed") == 1
    assert shown.count(f"the tracker prometheus:{broken} failed (Is a directory)") == 1

    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    curves = curves_in(folder / "run")
    for name in lines[-1]["metrics"]:
        expected = {line["server_round"]: line["metrics"][name]["value"] for line in lines}
        assert curves[f"metrics/{name}"] == pytest.approx(expected, rel=1e-6)  # of single precision
    for name, metric in lines[-1]["metrics"].items():
        assert f'metric="{name}"}} {metric["value"]!r}\n' in good.read_text()

    (in_mlflow,) = runs_in_mlflow(tmp_path / "mlruns")
    assert (in_mlflow.group, in_mlflow.name, in_mlflow.status) == (NAME, "run", "FINISHED")
    assert in_mlflow.curves == released(lines)
    in_wandb = run_in_wandb(tmp_path / "wandb")
    assert (in_wandb.group, in_wandb.name, in_wandb.status) == (NAME, "run", "0")
    own = {"_step", "_timestamp", "_runtime"}
    assert {name: in_wandb.curves[name] for name in in_wandb.curves.keys() - own} == released(lines)
    assert (in_mlflow.more, in_wandb.more) == ({"tags": {"mlflow.runName": "run"}}, {})


def released(lines: list[dict[str, Any]]) -> dict[str, dict[int, float]]:
    """Return what `metrics.jsonl` says of all sites, by the name of a curve."""
    curves: dict[str, dict[int, float]] = {}
    for line in lines:
        told = {f"metrics/{name}": metric["value"] for name, metric in line["metrics"].items()}
        told |= {f"round/{name}": line[name] for name in COURSE}
        for name, value in told.items():
            curves.setdefault(name, {})[line["server_round"]] = value
    return curves


def test_a_tracker_that_there_is_not_is_refused_before_anything_is_staged(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["run", "heart-diagnosis", "--out", str(out), "--track", "tensorbord:curves"]
    over = CliRunner().invoke(app, words)
    assert over.exit_code == 2
    assert "did you mean 'tensorboard'" in over.output
    assert not out.exists()
