from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from consortium.audit.journal import ACCEPTED
from consortium.cli.main import app
from consortium.report.preview.view import finding_lines, preview_lines, preview_of
from consortium.report.site_text import site_text
from consortium.run.directory import RunDirectory
from consortium.site.record_check import check_records
from scenarios.attacks.assignment import AttackAssignment
from scenarios.engines.staging import stage
from sites.comparison.findings import Finding
from tests.consortium.site.test_record_check import SCENARIO, others, site

VA = "va-long-beach"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    staged = RunDirectory(tmp_path)
    stage(staged, SCENARIO, lies=AttackAssignment(seed=7, attacks=SCENARIO.faults))
    return staged


def test_before_any_run_it_shows_what_the_site_would_send(run: RunDirectory) -> None:
    shown = preview_of(run.site(VA))
    assert shown.other_records == 0
    assert shown.findings == ()
    lines = list(preview_lines(shown))
    assert lines[1].startswith("no run has counted the others yet")
    assert [one.name for one in shown.columns] == [
        *(item.name for item in SCENARIO.columns.features),
        "disease",
    ]
    assert "No run compared them yet." in site_text(run.site(VA))


def test_afterwards_each_column_stands_beside_the_others(run: RunDirectory) -> None:
    check_records(site(run, VA), others(run, VA))
    shown = preview_of(run.site(VA))
    assert shown.records + shown.other_records > 600
    column = next(one for one in shown.columns if one.name == "st_depression")
    here, elsewhere = column.counts
    assert len(here) == len(elsewhere) == 32
    assert max(here) == max(elsewhere) == 1.0
    assert [one.kind for one in column.findings] == ["units"]
    assert "ALARM: st_depression looks 1/10 of the others'" in site_text(run.site(VA))


def test_the_operator_accepts_a_finding_and_the_log_has_it(
    run: RunDirectory, tmp_path: Path
) -> None:
    check_records(site(run, VA), others(run, VA))
    page, directory = tmp_path / "page.html", run.site(VA)
    words = ["site", "preview", str(directory), "--page", str(page)]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    assert "ALARM: st_depression" in said.output
    accepted = CliRunner().invoke(app, [*words, "--accept", "st_depression", "--reason", "right"])
    assert accepted.exit_code == 0, accepted.output
    assert "accepted: st_depression" in accepted.output
    assert "ALARM" not in accepted.output
    assert ACCEPTED in (directory / "audit" / "log.jsonl").read_text()
    assert "accepted as right" in page.read_text()
    again = CliRunner().invoke(app, [*words, "--accept", "st_depression"])
    assert again.exit_code != 0


def test_alarms_come_first_and_no_finding_is_a_line_too() -> None:
    note = Finding(kind="missing", column="a", what="more", sentence="a is missing", alarming=False)
    alarm = Finding(kind="units", column="b", what="factor", sentence="b looks", alarming=True)
    assert list(finding_lines((note, alarm), (alarm,))) == ["ALARM: b looks", "note: a is missing"]
    assert list(finding_lines((), ())) == ["nothing looks wrong beside the others'"]


def test_counts_that_another_charter_is_of_are_not_shown(run: RunDirectory) -> None:
    check = check_records(site(run, VA), np.zeros_like(others(run, VA)))
    assert check.findings == ()
    assert preview_of(run.site(VA)).other_records == 0
