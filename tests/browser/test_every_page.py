"""axe finds nothing wrong in the report of a real run of each kind, nor in any page of the docs."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from consortium.config import Scalar
from consortium.coordinator.later_runs.periods import period_config
from consortium.report.render import render_report
from tests.browser.accessibility import CROSSED, LOOKS, faults, told
from tests.browser.tab import Tab
from tests.browser.test_accessible_pages import REPORTS
from tests.consortium.report.sample_reports import write_reports
from tests.docs.pages import PAGES, ROOT
from tests.docs.test_site import site  # noqa: F401 -- the docs, built
from tests.founded import Founded
from tests.later_periods import declare_later
from tests.scenarios.conftest import done
from tests.scenarios.fifteen import believed, run_with, two_liars

pytestmark = pytest.mark.slow

RUNS: Mapping[str, tuple[str, Mapping[str, Scalar]]] = {
    "regression": ("heart-odds", {}),
    "survival": ("lung-survival", {}),
    "score card": ("bank-scorecard", {}),
    "trees": (
        "heart-diagnosis",
        {"learner": "trees", "trees.count": 3, "trees.depth": 2},
    ),
    "description": ("heart-diagnosis", {"learner": "describe"}),
    "encrypted": ("heart-diagnosis", {"num-server-rounds": 1, "aggregation": "encrypted"}),
    "many classes": ("heart-severity", {"num-server-rounds": 1}),
    "numbers": ("house-prices", {"num-server-rounds": 1}),
}
ATTACKED: Mapping[str, Scalar] = {
    "rule.name": "trimmed-mean",
    "rule.num-byzantine": 2,
    "num-server-rounds": 2,
}
# Every page of the docs is seen on a phone by day and on a screen by night; these also the other
# way round: the one people begin at, one of wide tables, one of code, one of much text.
BOTH_WAYS = {"README", "docs/api", "docs/performance", "docs/privacy", "search"}
NAMES = [*(str(page.relative_to(ROOT).with_suffix("")) for page in PAGES), "search"]


@pytest.mark.parametrize("name", REPORTS)
def test_the_report_of_a_sample(name: str, tab: Tab, tmp_path: Path) -> None:
    (run,) = write_reports({name: REPORTS[name]}, tmp_path).values()
    assert told(faults(tab, [run.report.as_uri()])) == ""


@pytest.mark.parametrize("kind", RUNS)
def test_the_report_of_a_run(kind: str, tab: Tab, tmp_path: Path) -> None:
    name, chosen = RUNS[kind]
    page = render_report(done(name, tmp_path, chosen).run)
    assert told(faults(tab, [page.as_uri()])) == ""


def test_the_report_of_a_run_with_liars(tab: Tab, tmp_path: Path) -> None:
    with believed():
        run, *_ = run_with(tmp_path / "run", ATTACKED, two_liars("sign-flip"))
    assert told(faults(tab, [render_report(run).as_uri()])) == ""


def test_the_report_of_a_model_with_later_periods(tab: Tab, tmp_path: Path) -> None:
    founded = Founded(tmp_path)
    run = founded.train("model", chosen={"masks": True})
    for period, older in (("march", 0.0), ("april", 20.0)):
        declare_later(founded, period, older=older)
        founded.run(run.period(period), period_config(run, founded.consortium.charter, period))
    assert told(faults(tab, [render_report(run).as_uri()])) == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_the_docs(name: str, tab: Tab, site: Path) -> None:  # noqa: F811
    looks = LOOKS if name in BOTH_WAYS else CROSSED
    assert told(faults(tab, [(site / f"{name}.html").as_uri()], looks)) == ""
