"""axe finds nothing wrong in the pages of a run: by day and by night, on a screen and a phone."""

from pathlib import Path

import pytest

from tests.browser.accessibility import CROSSED, faults, told
from tests.browser.sample_pages import (
    ledger_of_many_runs,
    preview_with_an_alarm,
    receipt_of_a_run,
)
from tests.browser.tab import ScriptFailed, Tab
from tests.consortium.report.sample_reports import write_reports
from tests.consortium.report.watch.runs_at_work import leading, write_run_at_work
from tests.consortium.report.watch.test_server import end, serve
from tests.consortium.sample_run import CLEAR_WIN, SEVERITY, Sample

# a table that moves sideways and many pictures; an end with a reason
REPORTS = {
    "compared": Sample(values=CLEAR_WIN, label=SEVERITY),
    "stopped": Sample(completed=0, error="quorum-not-reached: one of 4 answered"),
}
FAULTY = """
<!doctype html><title>bad</title>
<style>@media (prefers-color-scheme: dark) { body { background: #000 } p { color: #222 } }</style>
<img src="data:,"><p>readable by day</p><p style="color: #ccc">grey on white</p>
<div style="width: 700px">wide</div>
"""


def test_reports(tab: Tab, tmp_path: Path) -> None:
    """Of real runs of every kind: `test_every_page.py`."""
    runs = write_reports(REPORTS, tmp_path).values()
    assert told(faults(tab, [run.report.as_uri() for run in runs], CROSSED)) == ""


def test_the_ledger_a_receipt_and_what_an_operator_sees_before_training(
    tab: Tab, tmp_path: Path
) -> None:
    pages = [
        ledger_of_many_runs(tmp_path / "ledger"),
        receipt_of_a_run(tmp_path / "receipt"),
        preview_with_an_alarm(tmp_path / "preview"),
    ]
    assert told(faults(tab, [page.as_uri() for page in pages])) == ""


def test_the_page_of_a_run_at_work_and_what_is_shown_without_its_address(
    tab: Tab, tmp_path: Path
) -> None:
    run = write_run_at_work(tmp_path / "spring")
    served = serve("scenarios.cli.main", str(run.path))
    try:
        with leading(run):
            assert told(faults(tab, [served.address])) == ""
            assert "amber-bank" in tab.ask("document.body.innerText")
        refused = served.address.replace(served.path, "/another/")
        assert told(faults(tab, [refused])) == ""
        assert "Nothing is at this address" in tab.ask("document.body.innerText")
        end(served)
    finally:
        served.process.kill()


def test_a_page_with_faults_is_caught(tab: Tab, tmp_path: Path) -> None:
    """Otherwise the tests above prove nothing."""
    page = tmp_path / "faulty.html"
    page.write_text(FAULTY)
    found = faults(tab, [page.as_uri()])
    assert all(one.is_severe for one in found if one.rule in {"image-alt", "color-contrast"})
    assert {one.look for one in found if one.rule == "image-alt"} == {
        "390 px, light",
        "390 px, dark",
        "1280 px, light",
        "1280 px, dark",
    }
    assert {one.look for one in found if one.rule == "sideways"} == {
        "390 px, light",
        "390 px, dark",
    }
    contrast = {one.look: one.told for one in found if one.rule == "color-contrast"}
    assert "(1)" in contrast["1280 px, light"]
    assert "readable by day" in contrast["1280 px, dark"]


def test_a_page_that_is_not_there_is_not_taken_for_a_good_one(tab: Tab, tmp_path: Path) -> None:
    with pytest.raises(ScriptFailed, match="ERR_FILE_NOT_FOUND"):
        faults(tab, [(tmp_path / "none.html").as_uri()])
