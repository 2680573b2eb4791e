"""What the scientist's page says is what happens; its figures are those that come out."""

import json
from pathlib import Path

import pytest

from tests.docs.pages import worth_table
from tests.docs.reader import (
    SCIENTIST,
    Reader,
    command_that_makes,
    follow,
    only_left_by,
    require_described,
    write_readers_files,
)
from tests.forked import Forked


def arms_as_written(comparison: Path) -> list[float]:
    """Return together, best alone, mean alone, pooled."""
    record = json.loads(comparison.read_text())
    by_kind: dict[str, list[float]] = {"federated": [], "alone": [], "pooled": []}
    for arm in record["arms"]:
        by_kind[arm["kind"]].append(arm["value"])
    alone = by_kind["alone"]
    return [*by_kind["federated"], max(alone), sum(alone) / len(alone), *by_kind["pooled"]]


def test_the_scientists_page_can_be_followed(tmp_path: Path, forked: Forked) -> None:
    """Every command and program runs, in order, after the run of the README that it looks at.

    The figures of the README's row for the comparison that it shows are those that come out.
    """
    write_readers_files(tmp_path)
    reader = Reader(tmp_path, forked)
    reader.types(command_that_makes("runs/heart"))
    follow(SCIENTIST, reader)
    assert only_left_by(SCIENTIST) <= set(require_described(tmp_path))
    _, _, *written = worth_table()["heart-diagnosis"]
    came = arms_as_written(tmp_path / "runs/compared/comparison.json")
    for cell, value in zip(written, came, strict=True):
        assert float(cell.split()[0]) == pytest.approx(value, abs=0.01)
