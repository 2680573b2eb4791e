"""The pages of survival: every curve and coefficient, few records hidden, and what is not known."""

from pathlib import Path
from typing import Any

import pytest

from consortium.report.elements.blocks import Paragraph, Plot, Points, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.results.survival import noisy_curve_section, survival_sections
from consortium.wording.formatting import DASH, SPACE
from sites.learners.plans import CoxPlan
from tests.consortium.sample_run import Sample
from tests.sites.learners.survival.ended_records import LUNG, SCHEMA, divided, fitted, lung, made_up
from tests.sites.learners.survival.test_results import separated
from tests.sites.learners.survival.test_task import ODD_SITES


def pages_of(found: dict[str, Any], folder: Path) -> dict[str, Section]:
    sections = survival_sections(Recorded.read(Sample().write(folder)), found)
    return {one.anchor: one for one in sections}


@pytest.fixture(scope="module")
def of_lung() -> dict[str, Any]:
    data, institutions = lung()
    return fitted(LUNG, divided(data, institutions), CoxPlan(group="sex")).results


def test_curves_have_their_numbers_at_risk_and_a_table(
    of_lung: dict[str, Any], tmp_path: Path
) -> None:
    page = pages_of(of_lung, tmp_path)["survival"]
    plot, table, test, note = page.blocks
    assert isinstance(plot, Plot)
    assert "male" in plot.alt
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["all", "male", "female"]
    assert [row[1] for row in table.rows] == ["226", "136", "90"]
    assert isinstance(test, Paragraph)
    assert "Log-rank test by sex" in test.text
    assert "1 degree of freedom" in test.text
    assert isinstance(note, Paragraph)
    for drawn in (plot.wide, plot.narrow):
        assert "still watched" in drawn
        assert ">136<" in drawn  # men at the start
        assert ">few<" in drawn


def test_fewer_records_than_the_floor_are_neither_counted_nor_drawn(
    of_lung: dict[str, Any], tmp_path: Path
) -> None:
    """The numbers 1 to 9 stand nowhere under the axis."""
    plot = pages_of(of_lung, tmp_path)["survival"].plots[0]
    under = plot.wide[plot.wide.index("still watched") :]
    assert not [number for number in range(1, 10) if f">{number}<" in under]


def test_a_curve_that_ends_before_the_horizon_tells_no_share_there(
    of_lung: dict[str, Any], tmp_path: Path
) -> None:
    """A number after the end of a curve would be that of its end."""
    horizon = of_lung["curves"][2]["times"].index(of_lung["horizon"])
    women = dict(of_lung["curves"][2])
    women["at_risk"] = [*women["at_risk"][:horizon], of_lung["floor"] - 1]
    women["at_risk"] += [0] * (len(women["times"]) - horizon - 1)
    found = {**of_lung, "curves": [*of_lung["curves"][:2], women]}
    plot, table, *_ = pages_of(found, tmp_path)["survival"].blocks
    assert isinstance(plot, Plot)
    assert "female" not in plot.alt
    assert isinstance(table, Table)
    assert [row[4] == DASH for row in table.rows] == [False, False, True]


def test_where_noise_drowns_each_group_the_curve_of_all_is_drawn(
    of_lung: dict[str, Any], tmp_path: Path
) -> None:
    everybody, *groups = of_lung["curves"]
    drowned = [{**one, "at_risk": [0] * len(one["times"])} for one in groups]
    recorded = Recorded.read(Sample().write(tmp_path))
    noise = {"unit": "person", "most_records": 1, "sites": 18, "deviations": [3.0]}
    found = {**of_lung, "floor": 1, "deviation": 3.0}
    for curves, drawn in (
        ([everybody, *groups], ["male", "female"]),
        ([everybody, *drowned], ["all"]),
    ):
        section = noisy_curve_section(recorded, noise, {**found, "curves": curves})
        (plot,) = section.plots
        assert [part.partition(":")[0] for part in plot.alt.split("; ")] == drawn
    nobody = {**found, "curves": [{**everybody, "at_risk": drowned[0]["at_risk"]}, *drowned]}
    assert not noisy_curve_section(recorded, noise, nobody).plots


def test_ratios_have_a_table_a_picture_and_notes(of_lung: dict[str, Any], tmp_path: Path) -> None:
    plot, table, notes = pages_of(of_lung, tmp_path)["hazard-ratios"].blocks
    assert isinstance(plot, Plot)
    assert isinstance(table, Table)
    assert isinstance(notes, Points)
    assert [row[0] for row in table.rows] == ["age", "sex=female", "ecog"]
    assert table.rows[1][1] == "0.578"
    assert "within banks only" in notes.items[0]


def test_a_meta_analysis_stands_beside_it(of_lung: dict[str, Any], tmp_path: Path) -> None:
    page = pages_of(of_lung, tmp_path)["alone"]
    assert f"6{SPACE}banks have none" in page.lead
    (table,) = page.blocks
    assert isinstance(table, Table)
    assert [row[4] for row in table.rows] == ["12", "12", "12"]
    assert table.rows[1][3].startswith("27")  # per cent by which sex is off


def test_what_has_no_finite_value_or_does_not_vary_is_said(tmp_path: Path) -> None:
    found = fitted(SCHEMA, [separated()]).results
    pages = pages_of(found, tmp_path)
    assert "alone" not in pages
    *_, table, notes = pages["hazard-ratios"].blocks
    assert isinstance(table, Table)
    assert isinstance(notes, Points)
    assert ("arm=b", "no finite estimate", DASH, DASH, DASH) in table.rows
    assert any("arm=c" in one and "Left out" in one for one in notes.items)
    assert any("Not settled after 8 exchanges: " in one for one in notes.items)


@pytest.mark.parametrize("name", ODD_SITES)
@pytest.mark.parametrize("baseline", ["by-site", "pooled"])
def test_odd_records_have_their_pages(name: str, baseline: str, tmp_path: Path) -> None:
    plan = CoxPlan(baseline=baseline, group="arm")  # type: ignore[arg-type]
    found = fitted(SCHEMA, [ODD_SITES[name], ODD_SITES[name]], plan).results
    assert {"survival", "hazard-ratios"} <= set(pages_of(found, tmp_path))


def test_one_baseline_is_named_with_its_floor(tmp_path: Path) -> None:
    found = fitted(SCHEMA, [made_up(1, 90), made_up(2, 90)], CoxPlan(baseline="pooled")).results
    page = pages_of(found, tmp_path)["hazard-ratios"]
    assert "one baseline hazard" in page.lead
    notes = page.blocks[-1]
    assert isinstance(notes, Points)
    assert "at least 10 events" in notes.items[0]
