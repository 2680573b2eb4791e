"""What the report says of thresholds and probabilities follows from the pooled counts."""

import re
from pathlib import Path

import pytest

from consortium.report.elements.blocks import Paragraph, Plot, Table
from consortium.report.elements.headline import headline
from consortium.report.elements.run_reader import Recorded
from consortium.report.sections.decisions import decisions_section
from consortium.run.decisions import calibration_sentence
from consortium.wording.formatting import SPACE
from tests.consortium.sample_run import CLEAR_WIN, PRICE, Sample


def recorded_of(sample: Sample, folder: Path) -> Recorded:
    return Recorded.read(sample.write(folder))


def test_a_threshold_for_a_purpose_serves_it(tmp_path: Path) -> None:
    section = decisions_section(recorded_of(Sample(), tmp_path))
    assert section is not None
    table, plot, said = section.blocks
    assert isinstance(table, Table)
    rows = {row[0].replace(SPACE, " "): row for row in table.rows}
    for share in (95, 90, 80):
        found = float(rows[f"Find {share} % of default = yes"][3].removesuffix(f"{SPACE}%"))
        assert found >= share - 0.5
    for share in (5, 10, 20):
        flagged = re.search(
            r"\((.*)\N{NO-BREAK SPACE}%\)",
            rows[f"Flag {share:.1f} % at most" if share < 10 else f"Flag {share} % at most"][2],
        )
        assert flagged is not None
        assert float(flagged[1]) <= share
    assert isinstance(plot, Plot)
    assert isinstance(said, Paragraph)
    assert "came true" in said.text


def test_a_number_has_no_threshold(tmp_path: Path) -> None:
    assert decisions_section(recorded_of(Sample(label=PRICE), tmp_path)) is None


@pytest.mark.parametrize("values", [None, CLEAR_WIN])
def test_a_model_that_flags_nobody_is_not_headlined_by_its_ranking(
    values: dict[str, float] | None, tmp_path: Path
) -> None:
    recorded = recorded_of(Sample(cautious=True, values=values), tmp_path)
    said = headline(recorded).replace(SPACE, " ")
    assert "flags none of the 240 held-out records" in said
    assert recorded.summary.warnings[0].startswith("At a score of 0.5 or more the model flags none")
    usual = headline(recorded_of(Sample(values=values), tmp_path / "usual"))
    assert "flags" not in usual


def test_the_warning_is_of_the_usual_threshold_alone(tmp_path: Path) -> None:
    """Everybody flagged is as useless as nobody; one record told apart is no warning."""
    summary = recorded_of(Sample(cautious=True), tmp_path).summary
    one, none = ({"value": value} for value in (1.0, 0.0))
    kind = type(summary.metrics["recall"])

    def warned(recall: dict[str, float], specificity: dict[str, float]) -> str:
        found = {"recall": kind(**recall), "specificity": kind(**specificity)}
        return summary.model_copy(update={"metrics": found}).decision_warning

    assert "flags all" in warned(one, none)
    assert "flags none" in warned(none, one)
    assert warned({"value": 0.1}, one) == ""


@pytest.mark.parametrize(
    ("predicted", "observed", "named"),
    [(0.5, 0.2, True), (0.1, 0.2, False), (0.5, 0.8, True), (0.9, 0.8, False)],
)
def test_balanced_classes_are_named_where_they_inflate_the_rare_class(
    predicted: float, observed: float, named: bool
) -> None:
    interval = (observed - 0.05, observed + 0.05)
    said = calibration_sentence(predicted, observed, interval, class_balance="weights")
    assert ("class-balance=weights" in said) == named
    assert "do not read them as chances" in said


@pytest.mark.parametrize(
    ("predicted", "told"), [(0.3, "right within chance"), (0.5, "too high"), (0.1, "too low")]
)
def test_chance_decides_whether_probabilities_are_right_on_average(
    predicted: float, told: str
) -> None:
    said = calibration_sentence(predicted, 0.31, (0.25, 0.38), class_balance="none")
    assert told in said
    assert "class-balance" not in said
