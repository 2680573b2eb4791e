"""A linear model shows what it weighs if the run's directory holds it, and says so if not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consortium.model.coefficients import coefficient_table, coefficients_note
from consortium.report.elements.blocks import Paragraph, Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.sections.coefficients import coefficients_section
from consortium.run.directory import RunDirectory
from tests.consortium.sample_run import BANKS, PRICE, SEVERITY, Sample

LOGISTIC = Sample(rounds=1, config={"model": "logistic"}, models_at=BANKS[2:])


def recorded(sample: Sample, folder: Path) -> Recorded:
    return Recorded.read(sample.write(folder))


@pytest.mark.parametrize(
    ("changed", "sums"),
    [
        ({}, 1),
        ({"label": SEVERITY, "task": "diagnosis"}, 2),
        ({"label": PRICE, "config": {"model": "linear"}}, 1),
    ],
)
def test_the_tables_are_those_of_the_models_card(
    changed: dict[str, Any], sums: int, tmp_path: Path
) -> None:
    """The first member of the charter has no model here; any that has it will do."""
    run = recorded(replace(LOGISTIC, **changed), tmp_path)
    section = coefficients_section(run)
    assert section is not None
    assert run.model is not None
    *tables, note = section.blocks
    assert note == Paragraph(coefficients_note(run.model.config, counted=True))
    expected = [coefficient_table(one) for one in run.model.linear_sums]
    assert len(expected) == sums
    for block, one in zip(tables, expected, strict=True):
        assert isinstance(block, Table)
        assert (block.caption, block.rows) == (one.caption, one.rows)
        assert [column.title for column in block.columns] == [*one.headings]


def test_a_model_of_another_run_is_not_shown(tmp_path: Path) -> None:
    """Nor one that cannot be read: the page says where the coefficients are."""
    run = RunDirectory(tmp_path)
    LOGISTIC.write(run.path)
    (run.site(BANKS[2]) / "model" / "model.json").write_text("{")
    assert Recorded.read(run).model is not None
    vector = run.site(BANKS[3]) / "model" / "federated.safetensors"
    content = bytearray(vector.read_bytes())
    content[-1] ^= 1
    vector.write_bytes(content)
    section = coefficients_section(Recorded.read(run))
    assert section is not None
    assert "lists its coefficients" in section.lead
    assert not section.blocks


@pytest.mark.parametrize(
    "sample",
    [
        Sample(rounds=1, config={"model": "mlp"}),
        replace(LOGISTIC, models_at=(), completed=0, error="quorum-not-reached: nobody came"),
    ],
)
def test_no_section_without_coefficients(sample: Sample, tmp_path: Path) -> None:
    assert coefficients_section(recorded(sample, tmp_path)) is None
