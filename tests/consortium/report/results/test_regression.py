"""The page of a regression, and its card: numbers where there are some, else why there are none."""

from pathlib import Path
from typing import Any

import pytest

from consortium.model.regression_table import (
    p_text,
    regression_notes,
    regression_table,
    significant,
)
from consortium.model.result_lines import result_lines
from consortium.report.elements.blocks import Paragraph, Plot, Points, Section, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.results.regression import regression_sections
from consortium.wording.formatting import DASH, MINUS
from sites.schema.tables import ClassLabel, NumberLabel
from tests.consortium.sample_run import Sample
from tests.sites.learners.regression.generated import (
    AMOUNT,
    CLASSES,
    COUNTS,
    parts_of,
    schema_of,
    table_with,
)
from tests.sites.learners.regression.oracle import fitted
from tests.sites.learners.regression.test_newton import THIRDS
from tests.sites.learners.regression.test_site_sums import plan_of


def results(
    label: ClassLabel | NumberLabel, *, exchanges: int = 8, **chosen: Any
) -> dict[str, Any]:
    parts = parts_of(table_with(label, 300, seed=1), THIRDS)
    plan = plan_of(label, **chosen)
    return dict(fitted(schema_of(label), plan, parts, exchanges=exchanges).results)


def page_of(found: dict[str, Any], folder: Path) -> Section:
    (section,) = regression_sections(Recorded.read(Sample().write(folder)), found)
    return section


@pytest.mark.parametrize(
    ("label", "heading"),
    [(CLASSES, "Odds ratio"), (COUNTS, "Rate ratio"), (AMOUNT, "Change of cost (EUR)")],
)
@pytest.mark.parametrize("effects", ["common", "fixed"])
def test_a_page_shows_every_coefficient_in_a_table_and_a_picture(
    label: ClassLabel | NumberLabel, heading: str, effects: str, tmp_path: Path
) -> None:
    found = results(label, site_effects=effects)
    plot, table, notes = page_of(found, tmp_path).blocks
    assert isinstance(plot, Plot)
    assert isinstance(table, Table)
    assert isinstance(notes, Points)
    assert table.columns[1].title == heading
    names = [one["name"] for one in found["coefficients"]]
    assert len(table.rows) == len(names) + (effects == "common")
    assert all(f"{name}: " in plot.alt for name in names)
    assert all(len(row) == len(table.columns) for row in table.rows)
    age = found["coefficients"][0]["own"]
    shown = age.get("ratio", age["coefficient"])
    assert table.rows[0][:2] == ("age (years)", significant(shown))


def test_a_value_names_what_it_is_compared_with(tmp_path: Path) -> None:
    rows = regression_table(results(CLASSES)).rows
    assert [row[0] for row in rows][1:4] == [
        "ln(1 + income) (EUR)",
        "ward=b (against a)",
        "ward=c (against a)",
    ]


@pytest.mark.parametrize("status", ["empty", "one-outcome", "no-freedom", "not-converged"])
def test_a_page_without_numbers_says_why(status: str, tmp_path: Path) -> None:
    found = {**results(CLASSES, exchanges=2), "status": status}
    section = page_of(found, tmp_path)
    assert "gives no coefficients" in section.lead
    assert not section.plots
    assert isinstance(section.blocks[0], Paragraph)
    assert section.blocks[0].tone == "warning"


def test_a_page_names_what_separates(tmp_path: Path) -> None:
    found = {**results(CLASSES, exchanges=2), "status": "separated", "separating": ["age"]}
    warning = page_of(found, tmp_path).blocks[0]
    assert isinstance(warning, Paragraph)
    assert warning.text.startswith("Outcomes are separated by age, as far as 2")
    assert "more rounds find one (num-server-rounds)" in warning.text


def test_inputs_that_were_left_out_are_named_with_the_reason() -> None:
    table = table_with(CLASSES, 300, seed=4)
    table.labels[table.columns["ward"] == 2] = 0
    table.columns["smoker"][:] = 0
    found = fitted(schema_of(CLASSES), plan_of(CLASSES), [table], exchanges=9).results
    told = " ".join(regression_notes(found))
    assert "ward=c: all records with this value have the same outcome" in told
    assert "smoker=yes: no counted record has this value" in told
    rows = {row[0]: row[1] for row in regression_table(found).rows}
    assert rows["smoker=yes (against no)"] == "left out: no counted record has it"


def test_a_ridge_has_no_intervals_and_says_so(tmp_path: Path) -> None:
    found = results(CLASSES, ridge=0.1)
    section = page_of(found, tmp_path)
    assert not section.plots
    assert "ridge of 0.1" in " ".join(regression_notes(found))
    assert "p-value" not in section.lead


def test_records_left_out_are_counted_in_words() -> None:
    found = results(CLASSES)
    assert "No record is left out." in next(regression_notes(found))
    told = next(regression_notes({**found, "left_out": 12}))
    assert "12 records with a missing value are left out." in told


def test_the_card_has_the_same_table() -> None:
    found = results(CLASSES)
    lines = result_lines(found)
    assert lines[0].startswith("Logistic regression of ill = yes")
    assert sum("`" in line for line in lines) == len(found["coefficients"])
    assert "| intercept |" in " ".join(lines)
    assert result_lines({}) == ()
    assert result_lines({"kind": "another"}) == ()
    without = result_lines({**found, "status": "empty"})
    assert not any(line.startswith("|") for line in without)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.00"), (-0.0123456, f"{MINUS}0.0123"), (12345.6, "12,346"), (123.4, "123")],
)
def test_a_number_has_three_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


def test_p_values_are_written_as_journals_do() -> None:
    assert [p_text(p) for p in (0.0001, 0.0499, None)] == ["< 0.001", "0.050", DASH]
