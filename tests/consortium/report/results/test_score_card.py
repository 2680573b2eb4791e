"""The page of a score card, and its lines in a model card: every bin with its points."""

from pathlib import Path
from typing import Any

import pytest

from consortium.model.result_lines import result_lines
from consortium.model.score_card_table import (
    bin_text,
    features_by_effect,
    notes_of,
    points_range,
    rows_of,
    signed,
)
from consortium.report.elements.blocks import Pair, Paragraph, Plot, Points, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.results.score_card import score_card_sections
from consortium.report.sections.comparison import comparison_section
from consortium.run.records import Arm, Comparison, Difference, read_record, write_record
from consortium.wording.formatting import MINUS
from tests.consortium.sample_run import Sample
from tests.sites.learners.cards.card_records import (
    fitted,
    learner_with,
    loans,
    site_data,
    statistics_of,
    table_of,
    task_of,
)


def card_of(exchanges: int = 16, **plan: Any) -> dict[str, Any]:
    learner, records = learner_with(**plan), loans(2_000)
    vector = fitted(learner, [records], exchanges=exchanges)
    return dict(learner.results(vector, statistics_of(learner, [records])))


def page_of(found: dict[str, Any], folder: Path, **sample: Any) -> Section:
    (section,) = score_card_sections(Recorded.read(Sample(**sample).write(folder)), found)
    return section


def test_a_page_shows_every_bin_in_the_table_and_in_the_curve_of_its_feature(
    tmp_path: Path,
) -> None:
    found = card_of()
    parting, *pairs, table, notes = page_of(found, tmp_path).blocks
    assert isinstance(parting, Plot)
    assert "KS 0." in parting.caption
    assert isinstance(table, Table)
    assert isinstance(notes, Points)
    curves = [plot for pair in pairs if isinstance(pair, Pair) for plot in pair.plots]
    assert len(curves) == len(found["features"]) == 3
    bins = [one for feature in found["features"] for one in feature["bins"]]
    assert len(table.rows) == 1 + len(bins)
    for feature, curve in zip(features_by_effect(found), curves, strict=True):
        for one in feature["bins"]:
            assert f"{bin_text(one)}: {signed(one['points'])}" in curve.alt
    assert points_range(features_by_effect(found)[0]) >= points_range(features_by_effect(found)[-1])


def test_a_page_says_what_points_stand_for(tmp_path: Path) -> None:
    lead = page_of(card_of(pdo=40.0, base_points=500.0, base_odds=10.0), tmp_path).lead
    assert "500 points stand for odds of 10 to 1 for default = no" in lead
    assert "40 points more double the odds" in lead


def test_a_run_without_figures_has_a_card_and_no_picture_of_them(tmp_path: Path) -> None:
    section = page_of(card_of(), tmp_path, no_figures="released by too few sites")
    assert "score-card-ks" not in [plot.name for plot in section.plots]
    assert any(isinstance(block, Table) for block in section.blocks)


def test_what_is_particular_is_said(tmp_path: Path) -> None:
    assert "not settled" not in " ".join(notes_of(card_of()))
    assert "not settled" in " ".join(notes_of(card_of(exchanges=2)))
    assert "A direction was asked of age" in " ".join(notes_of(card_of(monotone="age:down")))
    against = " ".join(notes_of(card_of(monotone="bill:down")))
    assert "1 feature gave everybody the same points" in against


def test_a_card_of_nobody_is_a_row_without_a_share() -> None:
    learner, nobody = learner_with(), table_of([], [], [], [])
    task, statistics = task_of(learner), statistics_of(learner, [nobody])
    vector = fitted(learner, [nobody], exchanges=3)
    (row,) = rows_of(learner.results(vector, statistics))
    assert row[2:4] == ("0", "\N{EN DASH}")
    assert task.count(site_data(nobody), statistics, vector).tolist() == [0] * len(
        task.count(site_data(nobody), statistics, vector)
    )


@pytest.mark.parametrize(
    ("one", "unit", "text"),
    [
        ({"from": None, "below": 34.5}, "years", "below 34.5 years"),
        ({"from": -1200.0, "below": 34.5}, "", f"{MINUS}1,200 to 34.5"),
        ({"from": 34.5, "below": None, "missing": True}, "", "34.5 or more or missing"),
        ({"from": None, "below": None}, "", "any value"),
        ({"from": None, "below": None, "only_missing": True, "missing": True}, "", "missing"),
        ({"values": ["own", "rent"]}, "", "own, rent"),
        ({"values": [], "missing": True}, "", "missing"),
    ],
)
def test_a_bin_is_named_by_what_it_holds(one: dict[str, Any], unit: str, text: str) -> None:
    assert bin_text({"missing": False, "only_missing": False, **one}, unit) == text


def test_the_model_card_has_the_same_rows() -> None:
    found = card_of()
    lines = result_lines(found)
    assert sum(line.startswith("|") for line in lines) == 2 + len(rows_of(found))
    assert lines[0].startswith("A score card")


@pytest.mark.parametrize(
    ("gap", "words", "tone"),
    [(-0.02, "is worse", "warning"), (0.0, "no worse", "plain"), (0.02, "is better", "plain")],
)
def test_a_page_says_if_a_trained_model_ranks_better(
    gap: float, words: str, tone: str, tmp_path: Path
) -> None:
    values = {"amber-bank": 0.7, "federated": 0.75, "pooled": 0.75}
    run = Sample(values=values).write(tmp_path)
    compared = read_record(run.comparison, Comparison)
    trained = Arm(
        name="A model by gradients, on all records",
        kind="trained",
        value=0.75 - gap,
        low=0.75 - gap - 0.01,
        high=0.75 - gap + 0.01,
    )
    against = Difference(against="trained", value=gap, low=gap - 0.005, high=gap + 0.005)
    more = {
        "arms": [*compared.arms, trained],
        "differences": [*compared.differences, against],
    }
    write_record(run.comparison, compared.model_copy(update=more))
    recorded = Recorded.read(run)
    (section,) = score_card_sections(recorded, card_of())
    first = section.blocks[0]
    assert isinstance(first, Paragraph)
    assert words in first.text
    assert first.tone == tone
    assert comparison_section(recorded) is not None


def test_a_card_with_noise_says_so_and_how_much(tmp_path: Path) -> None:
    noise = {"unit": "person", "most_records": 2, "sites": 3, "deviation": 61.5}
    page = page_of({**card_of(), "noise": noise}, tmp_path)
    assert "by counts and sums with noise. These figures have noise" in page.lead
    assert "records of a class in a fine bin it has a standard error of 61.5" in page.lead
    assert "exact" not in page.lead
    assert "by counts with noise" in notes_of({**card_of(), "noise": noise})[0]
    by_record = page_of({**card_of(), "noise": {**noise, "unit": "record"}}, tmp_path / "second")
    assert "protects each record." in by_record.lead
