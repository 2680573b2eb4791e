import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from consortium.config import Scalar
from consortium.report.elements.run_reader import EvidenceLine, Recorded
from consortium.report.plots.heatmap import Heat, draw_heatmap
from consortium.report.render import render_report
from consortium.report.sections.robustness import outlier_scores, robustness_section
from consortium.run.directory import RunDirectory
from tests.scenarios.fifteen import NINE, believed, run_with, two_liars

TWO: dict[str, Scalar] = {
    "rule.name": "trimmed-mean",
    "rule.num-byzantine": 2,
    "num-server-rounds": 2,
    "seed": 8,  # in which no honest ward stands apart by chance
}
SEALED: dict[str, Scalar] = {
    **TWO,
    "rule.num-byzantine": 1,  # among three buckets of three
    "num-server-rounds": 1,
    "aggregation": "encrypted",
    "buckets": 3,
}


@pytest.fixture(scope="module", autouse=True)
def _believed() -> Iterator[None]:
    with believed():
        yield


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Two rounds in which two of fifteen reverse their updates."""
    folder = tmp_path_factory.mktemp("attacked") / "run"
    return run_with(folder, TWO, two_liars("sign-flip"))[0]


def line(server_round: int, distances: Sequence[float], cosines: Sequence[float]) -> EvidenceLine:
    sites = tuple("abcde"[: len(distances)])
    return EvidenceLine(
        server_round=server_round,
        sites=sites,
        distances=tuple(distances),
        cosines=tuple(cosines),
    )


def said(run: RunDirectory) -> str:
    render_report(run)
    return run.report.read_text()


def test_the_liars_are_those_who_stand_apart(attacked: RunDirectory) -> None:
    recorded = Recorded.read(attacked)
    found = outlier_scores(recorded.evidence, 2)
    assert {one.site for one in found if one.is_outlier} == set(two_liars("sign-flip").attacks)
    assert [one.site for one in found[:2] if one.near] == []
    assert all(one.rounds == 2 for one in found)


def test_the_report_draws_them_and_does_not_call_them_liars(attacked: RunDirectory) -> None:
    page = said(attacked)
    assert (attacked.path / "plots" / "liars.svg").exists()
    first, second = (place for place in two_liars("sign-flip").attacks)
    assert f"{first} and {second} are" in page or f"{second} and {first} are outliers" in page
    assert "a reason to ask, not a proof" in page
    assert "withstands 2" in page


def test_where_nobody_stands_apart_nobody_is_named(tmp_path: Path) -> None:
    run, _ = run_with(tmp_path / "run", TWO, scenario=NINE)
    assert "is an outlier: none was" in said(run)


def test_under_encryption_nobody_is_named_and_that_is_said(tmp_path: Path) -> None:
    run, _ = run_with(tmp_path / "run", SEALED, scenario=NINE)
    assert not run.evidence.exists()
    page = said(run)
    assert "It is unknown whether a site was malicious" in page
    assert "only bounded and outvoted" in page
    assert not (run.path / "plots" / "liars.svg").exists()


def test_a_rule_that_only_bounds_does_not_claim_that_nothing_is_spoiled(tmp_path: Path) -> None:
    """It also says who can stop a run in which no bucket may be missing."""
    bounding = {**SEALED, "rule.name": "clipped-mean"}
    page = said(run_with(tmp_path / "run", bounding, scenario=NINE)[0])
    assert "bounds the harm of 1" in page
    assert "cannot ruin it but can stop the run" in page
    assert "withstands 1" not in page


def test_a_mean_in_the_clear_keeps_no_evidence_and_has_no_section(tmp_path: Path) -> None:
    run, _ = run_with(tmp_path / "run", {"num-server-rounds": 1}, scenario=NINE)
    assert not run.evidence.exists()
    assert robustness_section(Recorded.read(run)) is None


def test_distances_are_in_units_of_the_rounds_own_median() -> None:
    """Later rounds, in which all updates are smaller, count as much as the first."""
    lines = [line(1, [1, 2, 3, 10, 2], [1] * 5), line(2, [0.1, 0.2, 0.3, 1.0, 0.2], [1] * 5)]
    found = {one.site: one for one in outlier_scores(lines, 1)}
    assert found["d"].distance == pytest.approx(5.0)
    assert found["b"].distance == pytest.approx(1.0)
    assert (found["d"].near, found["d"].rounds) == (0, 2)
    assert found["a"].near == 2
    assert [one.site for one in outlier_scores(lines, 1) if one.is_outlier] == ["d"]


def test_who_pulls_the_other_way_stands_apart_however_near() -> None:
    found = outlier_scores([line(1, [1, 1, 1], [0.9, -0.1, 0.8])], 0)
    assert [one.site for one in found if one.is_outlier] == ["b"]


def test_a_site_that_was_away_counts_where_it_was() -> None:
    lines = [line(1, [1, 1, 1, 4], [1] * 4), line(2, [1, 1, 1], [1] * 3)]
    found = {one.site: one for one in outlier_scores(lines, 1)}
    assert (found["d"].rounds, found["a"].rounds) == (1, 2)


def test_a_round_without_any_distance_names_nobody() -> None:
    found = outlier_scores([line(1, [0, 0, 0], [1, 1, 1])], 1)
    assert not any(one.is_outlier for one in found)


@pytest.mark.parametrize("width", [880, 358])
def test_the_picture_has_a_row_a_site_and_a_column_a_round(width: int) -> None:
    values = np.array([[1.0, np.nan, 3.0], [0.5, 1.0, 1.0]])
    heat = Heat(sites=["far", "near"], rounds=[4, 5, 6], values=values, darkest=4.0, title="t")
    (axes,) = draw_heatmap(heat, width).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["far", "near"]
    assert axes.get_xlim() == (3.5, 6.5)
    low, high = axes.get_ylim()
    assert low > high  # the first row is on top


def test_the_title_of_the_picture_is_not_cut_off_on_a_phone(attacked: RunDirectory) -> None:
    render_report(attacked)
    (title,) = re.findall(r"distance [^<]*: 1[)]", (attacked.path / "plots/liars.svg").read_text())
    heat = Heat(sites=["far"], rounds=[1, 2, 3], values=np.ones((1, 3)), darkest=4.0, title=title)
    figure = draw_heatmap(heat, 358)
    figure.draw_without_rendering()
    extent = figure.get_tightbbox()
    assert extent.x0 >= 0
    assert extent.x1 * figure.dpi <= figure.bbox.x1
