"""`scenario describe` from the command line to the page: in the clear and encrypted the same."""

import json
from pathlib import Path

from typer.testing import CliRunner

from consortium.run.directory import RunDirectory
from scenarios.cli.main import app

WIDE = {"COLUMNS": "200"}


def described(folder: Path, *options: str) -> tuple[str, RunDirectory]:
    command = ["describe", "heart-diagnosis", "--out", str(folder), *options]
    done = CliRunner().invoke(app, command, env=WIDE)
    assert done.exit_code == 0, done.output
    return done.output, RunDirectory(folder)


def test_a_table_1_is_the_same_to_the_bit_in_the_clear_and_encrypted(tmp_path: Path) -> None:
    said, clear = described(tmp_path / "clear")
    _, sealed = described(tmp_path / "sealed", "--set", "aggregation=encrypted")
    states = [
        {
            (run.site(name) / "model" / "federated.safetensors").read_bytes()
            for name in ("va-long-beach",)
        }
        for run in (clear, sealed)
    ]
    assert states[0] == states[1]
    for name in ("table1.csv", "results.json"):
        assert (clear.model / name).read_bytes() == (sealed.model / name).read_bytes()
    assert "age (years), mean (SD)" in said
    assert "hidden" in said
    summary = json.loads(sealed.summary.read_text())
    assert summary["rounds"] == 1
    page = sealed.report.read_text()
    assert "Who is in the records?" in page
    assert "resting_ecg = normal" in page


def test_a_description_cannot_be_compared_and_says_so(tmp_path: Path) -> None:
    command = ["compare", "heart-diagnosis", "--out", str(tmp_path / "run"), "--set"]
    done = CliRunner().invoke(app, [*command, "learner=describe"], env=WIDE)
    assert done.exit_code != 0
    assert "predicts nothing" in done.output
