"""The figures of a run are those of its files."""

import json
from pathlib import Path

import pytest

import consortium as c
from consortium.run.directory import BadRunDirectory


def test_the_metrics_are_those_of_the_summary(run: c.Run) -> None:
    written = json.loads((run.path / "summary.json").read_text())["metrics"]
    assert list(run.metrics.columns) == ["value", "error_bound"]
    assert run.metrics["value"].to_dict() == {name: one["value"] for name, one in written.items()}


def test_each_round_is_a_row_and_the_last_row_is_the_final_model(run: c.Run) -> None:
    assert list(run.rounds.index) == [1, 2, 3]
    assert run.rounds["roc_auc"][3] == run.metrics["value"]["roc_auc"]
    assert list(run.rounds.columns[:4]) == ["sites", "seconds", "bytes_down", "bytes_up"]


def test_the_comparison_has_an_arm_for_each_site_for_all_and_for_the_consortium(
    run: c.Run,
) -> None:
    assert list(run.comparison["kind"]) == ["federated", "alone", "alone", "alone", "pooled"]
    assert (run.comparison["low"] <= run.comparison["roc_auc"]).all()


def test_a_run_is_found_again_by_its_directory(run: c.Run, tmp_path: Path) -> None:
    assert c.load_run(str(run.path)) == run
    with pytest.raises(BadRunDirectory, match="name the directory of a finished run"):
        c.load_run(tmp_path)


def test_the_report_is_a_page(run: c.Run) -> None:
    assert run.report().read_text().startswith("<!doctype html>")
