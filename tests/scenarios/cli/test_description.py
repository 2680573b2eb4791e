"""`scenario describe` from the command line to the page: in the clear and encrypted the same."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from consortium.client.site_ledger import ledger_of
from consortium.run.directory import RunDirectory
from privacy.differential.mechanisms import Gaussian
from scenarios.cli.main import app
from tests.sites.learners.descriptions.tables.test_suppression import determined

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
    assert "age (years), mean" in " ".join(said.split())
    assert "hidden" in said
    summary = json.loads(sealed.summary.read_text())
    assert summary["rounds"] == 1
    page = sealed.report.read_text()
    assert "Who is in the records?" in page
    assert "four hospitals counted their records" in page
    assert not summary["withheld"]
    for about_a_model in ("How well does the shared model do?", "What does the model weigh?"):
        assert about_a_model not in page
    assert "resting_ecg = normal" in page


def test_a_description_cannot_be_compared_and_says_so(tmp_path: Path) -> None:
    command = ["compare", "heart-diagnosis", "--out", str(tmp_path / "run"), "--set"]
    done = CliRunner().invoke(app, [*command, "learner=describe"], env=WIDE)
    assert done.exit_code != 0
    assert "predicts nothing" in done.output


def test_no_hidden_count_in_the_file_follows_from_the_shown_ones(tmp_path: Path) -> None:
    """Adversary: a reader of the file, with the totals and a pencil."""
    _, run = described(tmp_path / "run", "--set", "aggregation=encrypted")
    found = json.loads((run.model / "results.json").read_text())
    tables = [
        [level["records"] for level in column["levels"]]
        if column["kind"] == "category"
        else [column["present"], column["missing"]]
        for column in found["columns"]
    ]
    hidden = [np.array([[cell is None for cell in row] for row in table]) for table in tables]
    assert any(one.any() for one in hidden)
    for one in hidden:
        # Overall stands first in the file, and the size of each group is known.
        columns = np.roll(one, -1, axis=1)
        assert not determined(np.vstack([columns, np.zeros((1, columns.shape[1]), bool)]))
    shown = [cell for table in tables for row in table for cell in row if cell is not None]
    assert not any(0 < cell < 10 for cell in shown)


NOISE = ("--set", "dp.unit=person", "--set", "dp.max-records-per-person=1")


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_with_noise_the_page_says_so_and_nothing_is_hidden(
    tmp_path: Path, aggregation: str
) -> None:
    amount = ("--set", "dp.epsilon=4", "--set", "dp.delta=1e-5")
    said, run = described(tmp_path / "run", *NOISE, *amount, "--set", f"aggregation={aggregation}")
    assert "Noise of a count" in said
    page = run.report.read_text()
    assert "counted with noise that protects each of the patients" in page
    assert "counted exactly" not in page
    assert "What can the model reveal about one person?" in page
    assert "differentially private for patients: epsilon 4 over all rounds" in page
    found = json.loads((run.model / "results.json").read_text())
    deviation = found["noise"]["deviations"][0]
    assert found["noise"]["sites"] == 4
    assert found["smallest_shown"] == 0
    levels = [
        cell
        for column in found["columns"]
        for level in column.get("levels", [])
        for cell in level["records"]
    ]
    assert min(levels) >= 0
    assert abs(found["records"][0] - 740) < 8 * deviation  # about 740 records are trained on
    for site in ("hungary", "va-long-beach"):
        with ledger_of(run.site(site)) as ledger:
            (charge,) = (one for one in ledger.charges() if one.reserved.part == "training 1")
            assert isinstance(charge.reserved.event, Gaussian)
            assert [one.event.what for one in ledger.releases()].count("updates") == 0


def test_noise_that_a_description_cannot_have_is_refused_in_words(tmp_path: Path) -> None:
    command = ["describe", "heart-diagnosis", "--out", str(tmp_path / "run"), *NOISE]
    done = CliRunner().invoke(app, [*command, "--set", "dp.epsilon=4"], env=WIDE)
    assert done.exit_code != 0
    assert "with dp.epsilon set dp.delta too" in " ".join(done.output.split())


def test_with_noise_a_survival_curve_stands_beside_the_table(tmp_path: Path) -> None:
    command = ["describe", "lung-survival", "--out", str(tmp_path / "run"), *NOISE]
    amount = ["--set", "dp.epsilon=200", "--set", "dp.delta=1e-5", "--set", "cox.group=sex"]
    done = CliRunner().invoke(app, [*command, *amount], env=WIDE)
    assert done.exit_code == 0, done.output
    run = RunDirectory(tmp_path / "run")
    found = json.loads((run.model / "results.json").read_text())["life_table"]
    curve, *groups = found["curves"]
    assert [one["group"] for one in groups] == ["male", "female"]
    for one in found["curves"]:
        falls = [1.0, *one["survival"]]
        assert all(0 <= after <= before for before, after in pairwise(falls))
    assert abs(curve["at_risk"][0] - 180) < 80  # about 180 are trained on
    page = run.report.read_text()
    assert "How long until the event?" in page
    assert "records that end in a step of time it has a standard error of" in page
    assert "the nearest curve that only falls" in page


BY_SITE = ("--set", "describe.by-site=true", "--set", "without=switzerland")


def test_columns_of_single_sites_are_the_same_in_the_clear_and_encrypted(tmp_path: Path) -> None:
    said, clear = described(tmp_path / "clear", *BY_SITE)
    _, sealed = described(tmp_path / "sealed", *BY_SITE, "--set", "aggregation=encrypted")
    states = {
        (run.site("hungary") / "model" / "federated.safetensors").read_bytes()
        for run in (clear, sealed)
    }
    assert len(states) == 1
    file = (clear.model / "table1-by-site.csv").read_bytes()
    assert file == (sealed.model / "table1-by-site.csv").read_bytes()
    assert b"hungary,age,,mean,years,overall," in file
    assert "va-long-beach" in said
    page = sealed.report.read_text()
    assert "Who is in the records of each hospital?" in page
    assert json.loads(sealed.summary.read_text())["rounds"] == 3
    shown = json.loads((sealed.model / "results.json").read_text())["by_site"]
    cells = [
        cell
        for column in shown["columns"]
        for level in column.get("levels", [])
        for row in level["records"]
        for cell in row
    ]
    assert cells
    assert not any(0 < cell < 10 for cell in cells)


def test_where_one_site_shows_nothing_nobody_does_and_the_page_says_why(tmp_path: Path) -> None:
    """Switzerland has eight healthy patients: too few to show, and alone it would follow."""
    said, run = described(tmp_path / "run", "--set", "describe.by-site=true")
    assert "(switzerland) may not show figures of their own" in " ".join(said.split())
    lines = (run.model / "table1-by-site.csv").read_text().splitlines()
    assert len(lines) == 1
    assert "No hospital has a column of its own" in run.report.read_text()
