"""The report of a run tells of all later periods of its model, in words, pictures and a file."""

import csv
import html
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.cli.main import app
from consortium.coordinator.later_runs.periods import period_config
from consortium.report.monitoring.counted_periods import counted_periods
from consortium.report.render import render_report
from consortium.run.directory import RunDirectory
from tests.founded import Founded
from tests.later_periods import declare_later


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Founded, RunDirectory]:
    """A model with two periods: in the second one people are much older."""
    founded = Founded(tmp_path_factory.mktemp("periods"))
    run = founded.train("model", chosen={"masks": True})
    for period, older in (("march", 0.0), ("april", 20.0)):
        declare_later(founded, period, older=older)
        config = period_config(run, founded.consortium.charter, period)
        founded.run(run.period(period), config)
    return founded, run


def page(run: RunDirectory) -> str:
    render_report(run)
    text = re.sub(r"<style.*?</style>|<[^>]+>", " ", run.report.read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(text))


def test_the_report_of_the_model_names_what_moved_in_the_last_period(
    made: tuple[Founded, RunDirectory],
) -> None:
    _, run = made
    text = page(run)
    assert "Does the model still fit?" in text
    assert "Who is in the count of each period" in text
    # The coordinator of an encrypted run has no counts of training: the first period stands for it.
    assert "those of april, the first period" in text
    assert {one.stem for one in (run.path / "plots").glob("periods*")} == {
        "periods",
        "periods-auc",
        "periods-calibration",
    }
    march = next(one for one in counted_periods(run) if one.name == "march")
    assert march.figures is not None
    assert march.figures.columns[0].name == "age"
    assert march.columns_since == "april"


def test_the_file_of_all_periods_has_each_of_them(made: tuple[Founded, RunDirectory]) -> None:
    _, run = made
    render_report(run)
    with run.drift.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["period"] for row in rows} == {"march", "april"}
    assert {row["what"] for row in rows} >= {"scores", "roc_auc", "age", "ward"}


def test_an_operator_sees_the_own_figures_beside_those_of_training(
    made: tuple[Founded, RunDirectory],
) -> None:
    founded, _ = made
    site = founded.consortium.run.site("east")
    said = CliRunner().invoke(app, ["site", "period", str(site)])
    assert said.exit_code == 0, said.output
    april, march = said.output.split("march:")
    assert "60 records of this site alone" in march
    assert re.search(r"age .* shifted", april)
    assert not re.search(r"age .* shifted", march)


def test_a_run_without_periods_has_no_such_section(tmp_path: Path) -> None:
    run = Founded(tmp_path).train("model")
    assert "Does the model still fit?" not in page(run)
    assert not run.drift.exists()
