"""What the report says of a round's steps follows from the counts that sites release."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consortium.report.elements.blocks import Paragraph
from consortium.report.elements.run_reader import Recorded
from consortium.report.sections.site_heterogeneity import heterogeneity_section
from consortium.run.records import Tallies
from tests.consortium.sample_run import BANKS, Sample

COUNTS = (40, 640, 641, 4_000)  # 1, 5, 6 and 32 batches


@pytest.fixture
def tallies(tmp_path: Path) -> dict[str, list[int]]:
    """The counts of banks of very different size."""
    found = {}
    for number, (name, records) in enumerate(zip(BANKS, COUNTS, strict=True)):
        read = Recorded.read(Sample(records=records).write(tmp_path / str(number)))
        assert read.statistics_tallies is not None
        found[name] = read.statistics_tallies.by_site[name]
    return found


def remarks(folder: Path, by_site: dict[str, list[int]], **chosen: Any) -> str:
    """Return what stands below the pictures, of a run of these banks."""
    read = Recorded.read(Sample(config=chosen).write(folder / "run"))
    assert read.statistics_tallies is not None
    shown = Tallies(pooled=read.statistics_tallies.pooled, by_site=by_site)
    section = heterogeneity_section(replace(read, statistics_tallies=shown))
    assert section is not None
    return " ".join(one.text for one in section.blocks if isinstance(one, Paragraph))


@pytest.mark.parametrize(
    ("floor", "told"),
    [
        (0, "1 at amber-bank, 5 at birch-bank, 6 at cedar-bank and 32 at dune-bank."),
        (10, "10 at amber-bank, 10 at birch-bank, 10 at cedar-bank and 32 at dune-bank."),
    ],
)
def test_the_steps_of_a_round_are_told_where_they_differ(
    floor: int, told: str, tallies: dict[str, list[int]], tmp_path: Path
) -> None:
    said = remarks(tmp_path, tallies, **{"min-local-steps": floor})
    assert f"Steps of training in a round, by these counts: {told}" in said


def test_steps_that_are_the_same_everywhere_are_not_told(
    tallies: dict[str, list[int]], tmp_path: Path
) -> None:
    assert "Steps" not in remarks(tmp_path, tallies, **{"min-local-steps": 32})


def test_the_steps_of_a_site_that_releases_no_counts_are_not_told(
    tallies: dict[str, list[int]], tmp_path: Path
) -> None:
    """They would tell its number of records, up to a batch."""
    shown = {name: tally for name, tally in tallies.items() if name != "dune-bank"}
    said = remarks(tmp_path, shown, **{"min-local-steps": 0})
    assert "6 at cedar-bank." in said
    assert "32" not in said
