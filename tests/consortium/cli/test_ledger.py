import csv
import math
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from consortium.cli import ledger as cli_ledger
from consortium.cli.main import app
from consortium.report.ledger.page import ledger_page
from consortium.report.ledger.plot import draw_loss
from consortium.report.ledger.statement import NoLedger, planned_cost, read_ledger_view, to_csv
from consortium.site.directory import SiteDirectory
from privacy.differential.accounting import epsilon
from privacy.differential.ledger import FILE, Ledger
from privacy.differential.ledger_entries import Budget, DataSet, LedgerBroken, Released
from privacy.differential.mechanisms import (
    Gaussian,
    HeldOut,
    Mechanism,
    SampledGaussian,
    WithoutNoise,
)
from privacy.differential.renyi_filter import adaptive_epsilon
from privacy.policy.document import Ceiling, Policy, PrivacyTerms

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
DELTA = 1e-6
PATIENTS = DataSet(name="patients", fingerprint="a" * 64)
NOTES = DataSet(name="notes <b>", fingerprint="b" * 64)
FIRST = SampledGaussian(
    noise_multiplier=3.0, sampling_rate=0.02, steps=100, clip_norm=0.5, unit="person"
)
FIGURES = Gaussian(noise_multiplier=12.0, count=2, sensitivity=1.5, unit="person")
SHOWN = HeldOut(what="evaluation")

run = CliRunner()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site with two data sets: one has three reservations, one of them ended early."""
    directory = tmp_path / "north"
    directory.mkdir()
    (directory / "site.json").write_text("{}")  # a site is set up here
    privacy = PrivacyTerms(ceilings={"patients": Ceiling(epsilon=2.0, delta=DELTA)})
    Policy(privacy=privacy).write(directory)
    with Ledger(SiteDirectory(directory).ledger) as ledger:
        events: tuple[Mechanism, ...] = (FIRST, FIGURES, SHOWN)
        for number, event in enumerate(events):
            made = ledger.reserve(
                event,
                data_set=PATIENTS,
                run=f"run-{number}",
                budget=Budget(epsilon=5.0, delta=DELTA),
                now=NOW + timedelta(days=number),
            )
            if event is FIRST:
                made.use("round 1", 40)
                made.commit(40)
        ledger.reserve(
            FIRST,
            data_set=NOTES,
            run="run-3",
            budget=Budget(epsilon=7.0, delta=1e-5, unit="record"),
            now=NOW,
        )
    return directory


def counted(*events: Mechanism) -> float:
    return epsilon(events, DELTA)


def weighed(*events: Mechanism) -> float:
    return adaptive_epsilon(events, DELTA)


ENDED = SampledGaussian(
    noise_multiplier=3.0, sampling_rate=0.02, steps=40, clip_norm=0.5, unit="person"
)


def test_the_view_is_what_the_ledger_and_the_policy_say(site: Path) -> None:
    patients, notes = read_ledger_view(site).accounts
    assert (patients.data_set, patients.ceiling, patients.budget.epsilon) == ("patients", True, 2.0)
    assert (notes.ceiling, notes.budget.epsilon, notes.budget.unit) == (False, 7.0, "record")
    first, figures, shown = patients.lines
    assert (first.reserved, first.begun, first.counted, first.state) == (100, 40, 40, "ended")
    assert first.epsilon == first.epsilon_so_far == counted(ENDED)
    assert figures.epsilon == counted(FIGURES)
    assert (figures.reserved, figures.state) == (2, "open")
    assert shown.epsilon == 0.0
    assert shown.planned_so_far == patients.spent.planned == counted(ENDED, FIGURES)
    assert shown.epsilon_so_far == patients.spent.weighed == weighed(ENDED, FIGURES)
    assert patients.left == 2.0 - patients.spent.weighed


def test_the_csv_holds_every_line(site: Path) -> None:
    rows = list(csv.DictReader(to_csv(read_ledger_view(site)).splitlines()))
    assert [row["number"] for row in rows] == ["1", "4", "5", "6"]
    assert float(rows[0]["epsilon"]) == counted(ENDED)
    assert {row["data_set"] for row in rows} == {"patients", "notes <b>"}


def test_the_page_needs_nothing_but_itself_and_escapes_what_it_shows(site: Path) -> None:
    view = read_ledger_view(site)
    page = ledger_page(view, site="north <i>", now=NOW)
    assert view.head.digest.hex() in page
    assert "notes &lt;b&gt;" in page
    assert "north &lt;i&gt;" in page
    assert "<script" not in page
    assert "://" not in page.replace("http://www.w3.org", "")
    assert f"{view.accounts[0].spent.planned:.3f}" in page
    assert f"{view.accounts[0].spent.weighed:.3f}" in page


def test_the_command_shows_the_ledger(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_ledger, "console", Console(width=200))
    said = run.invoke(app, ["site", "ledger", str(site)])
    assert said.exit_code == 0, said.output
    assert f"patients: epsilon {weighed(ENDED, FIGURES):.3f} of 2 spent" in said.output
    assert f"planned beforehand: {counted(ENDED, FIGURES):.3f})" in said.output
    assert "40 of 100" in said.output
    assert read_ledger_view(site).head.digest.hex() in said.output


PROGRAM = """
import sys
from consortium.cli.main import app
app(sys.argv[1:], standalone_mode=False)
print("torch" in sys.modules)
"""


def test_a_second_opinion_is_asked_of_opacus_where_a_person_wants_it(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_ledger, "console", Console(width=200))
    said = run.invoke(app, ["site", "ledger", str(site), "--second-opinion"])
    assert said.exit_code == 0, said.output
    found = re.search(r"patients: by Opacus, epsilon at most (\S+)", said.output)
    assert found is not None
    assert float(found[1]) == pytest.approx(counted(ENDED, FIGURES), abs=0.012)
    assert "notes <b>: Opacus has no figure for this" in said.output
    words = [sys.executable, "-c", PROGRAM, "site", "ledger", str(site)]
    without = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "Opacus" not in without.stdout
    assert without.stdout.splitlines()[-1] == "False"


def test_the_command_writes_files(site: Path, tmp_path: Path) -> None:
    table, picture, folder = tmp_path / "l.csv", tmp_path / "l.png", tmp_path / "export"
    files = ["--csv", str(table), "--plot", str(picture), "--export", str(folder)]
    said = run.invoke(app, ["site", "ledger", str(site), "--data", "patients", *files])
    assert said.exit_code == 0, said.output
    assert len(table.read_text().splitlines()) == 4
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in folder.iterdir()} == {"ledger.html", "ledger.csv"}
    both = run.invoke(app, ["site", "ledger", str(site), "--plot", str(picture)])
    assert both.exit_code == 0, both.output
    assert (tmp_path / "l-1.png").exists()
    assert (tmp_path / "l-2.png").exists()


def test_a_planned_run_is_told_what_it_would_cost(site: Path) -> None:
    ask = ["site", "ledger", str(site), "--data", "patients", "--what-if"]
    fits = run.invoke(app, [*ask, "3.0", "0.02", "100"])
    spent, together = weighed(ENDED, FIGURES), weighed(ENDED, FIGURES, FIRST)
    assert f"adds epsilon {together - spent:.3f} to the {spent:.3f} spent: {together:.3f} of 2" in (
        fits.output
    )
    assert f"it fits, and leaves {2 - together:.3f} for further runs to add" in fits.output
    assert f"by itself it costs epsilon {counted(FIRST):.3f}" in fits.output
    tight = run.invoke(app, [*ask, "1.0", "0.05", "2000"])
    assert "it does not fit" in tight.output
    unknown = run.invoke(app, [*ask, "3.0", "0.02", "100", "--unit", "record"])
    assert f"by itself it costs epsilon {math.inf}" in unknown.output
    capped = [*ask, "3.0", "0.02", "100", "--unit", "record", "--max-records-per-person", "2"]
    two = SampledGaussian(
        noise_multiplier=3.0,
        sampling_rate=0.02,
        steps=100,
        clip_norm=1.0,
        unit="record",
        max_records_per_person=2,
    )
    assert f"by itself it costs epsilon {counted(two):.3f}" in run.invoke(app, capped).output


def test_what_a_planned_run_adds_and_leaves_is_what_the_ledger_shows_after_it(site: Path) -> None:
    before = read_ledger_view(site).accounts[0]
    with Ledger(SiteDirectory(site).ledger) as ledger:
        past = ledger.weighed_events("patients", before.budget)
        planned = planned_cost(before, FIRST, past)
        ledger.reserve(
            FIRST, data_set=PATIENTS, run="run-9", budget=Budget(epsilon=5.0, delta=DELTA), now=NOW
        )
    after = read_ledger_view(site).accounts[0]
    assert before.spent.weighed + planned.adds == pytest.approx(after.spent.weighed)
    assert planned.together == after.spent.weighed
    assert planned.left == after.left


def test_a_ledger_is_read_whole_on_80_columns(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No time, run or figure is cut off or broken, and no line is longer."""
    monkeypatch.setattr(cli_ledger, "console", Console(width=80))
    with Ledger(SiteDirectory(site).ledger) as ledger:
        ledger.reserve(
            FIRST,
            data_set=PATIENTS,
            run="f" * 64,
            budget=Budget(epsilon=5.0, delta=DELTA),
            now=NOW,
            part="statistics 1",
        )
    said = run.invoke(app, ["site", "ledger", str(site), "--data", "patients"]).output
    assert max(map(len, said.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in said
    assert re.search(rf"^ +\d+  {NOW:%Y-%m-%d %H:%M}  .*, run f{{12}} ", said, re.MULTILINE)
    assert re.search(r"^ +100 of 100 steps, open +$", said, re.MULTILINE)


def test_the_axis_of_a_single_reservation_is_of_days_not_of_years(site: Path) -> None:
    account = read_ledger_view(site).accounts[1]
    assert len(account.lines) == 1
    low, high = draw_loss(account, 800).axes[0].get_xlim()
    assert high - low == pytest.approx(1.0)
    assert low < NOW.timestamp() / 86_400 < high  # days since 1970


@pytest.mark.parametrize(
    "wrong", [["--data", "others"], ["--what-if", "1", "1", "1", "--unit", "x"]]
)
def test_wrong_usage_is_said(site: Path, wrong: list[str]) -> None:
    assert run.invoke(app, ["site", "ledger", str(site), *wrong]).exit_code == 2


def test_a_site_that_counted_nothing_says_so(tmp_path: Path) -> None:
    Policy().write(tmp_path)
    with pytest.raises(NoLedger):
        read_ledger_view(tmp_path)
    assert not SiteDirectory(tmp_path).ledger.exists()


def test_an_altered_ledger_is_not_shown(site: Path) -> None:
    path = SiteDirectory(site).ledger / FILE
    altered = path.read_bytes().replace(b"run-0", b"run-9")
    path.write_bytes(altered)
    with pytest.raises(LedgerBroken):
        read_ledger_view(site)


def test_what_left_without_noise_is_shown_first_and_is_in_no_sum(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_ledger, "console", Console(width=200))
    before = read_ledger_view(site)
    with Ledger(SiteDirectory(site).ledger) as ledger:
        for event, part in ((WithoutNoise(what="updates"), "updates"), (SHOWN, "evaluation 1")):
            ledger.enter_release(
                Released(
                    event=event, data_set=PATIENTS, run="plain-run", part=part, asked="", at="now"
                )
            )
    view = read_ledger_view(site)
    assert view.accounts == before.accounts
    assert [(one.what, one.whose) for one in view.released] == [
        ("updates", "persons trained on"),
        ("evaluation", "held-out persons"),
    ]
    said = run.invoke(app, ["site", "ledger", str(site)]).output
    assert said.index("without noise: epsilon infinite") < said.index("patients: by person")
    page = ledger_page(view, site="north", now=NOW)
    assert page.index("epsilon is infinite") < page.index("<h2>patients</h2>")
    rows = list(csv.DictReader(to_csv(view).splitlines()))
    assert [(row["number"], row["epsilon"]) for row in rows[:2]] == [("7", "inf"), ("8", "inf")]
    assert (
        "plain-run"
        not in run.invoke(app, ["site", "ledger", str(site), "--data", "notes <b>"]).output
    )


def test_a_site_that_never_trained_privately_shows_what_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_ledger, "console", Console(width=200))
    (tmp_path / "site.json").write_text("{}")  # a site is set up here
    Policy().write(tmp_path)
    with Ledger(SiteDirectory(tmp_path).ledger) as ledger:
        ledger.enter_release(
            Released(event=SHOWN, data_set=PATIENTS, run="r", part="p", asked="", at="now")
        )
    said = run.invoke(app, ["site", "ledger", str(tmp_path), "--export", str(tmp_path / "out")])
    assert said.exit_code == 0, said.output
    assert "held-out persons" in said.output
    assert "epsilon is infinite" in (tmp_path / "out" / "ledger.html").read_text()


def test_what_fitted_by_the_bound_of_0_1_0_and_does_not_by_this_one_is_said(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entries stand; no further private run fits, and the operator is told why."""
    monkeypatch.setattr(cli_ledger, "console", Console(width=200))
    between = (counted(ENDED, FIGURES) + weighed(ENDED, FIGURES)) / 2
    ceilings = {"patients": Ceiling(epsilon=between, delta=DELTA)}
    Policy(privacy=PrivacyTerms(ceilings=ceilings)).write(site)
    said = run.invoke(app, ["site", "ledger", str(site), "--data", "patients"]).output
    assert "patients is over the budget by the bound that covers runs chosen one after" in said
    assert "as version 0.1.0 counted: no further private run fits" in said
    view = read_ledger_view(site)
    assert "This data set is over the budget" in ledger_page(view, site="north", now=NOW)
    assert [bool(one.warning) for one in view.accounts] == [True, False]
    asked = ["site", "ledger", str(site), "--data", "patients", "--what-if", "50", "0.01", "1"]
    assert "it does not fit; the most that fits: 0 steps" in run.invoke(app, asked).output
