"""A coordinator shows no second sum of statistics that differs from the first by single sites."""

from pathlib import Path

import pytest

from consortium.coordinator.counted_rosters import AnotherRosterCounted, CountedRosters
from consortium.run.directory import RunDirectory

CHARTER, REVISED = "0" * 64, "1" * 64
ALL, WITHOUT_WEST = ("east", "north", "south", "west"), ("east", "north", "south")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run that was ordered from a coordinator."""
    made = RunDirectory(tmp_path / "runs" / "first")
    made.path.mkdir(parents=True)
    made.order.write_text("{}")
    return made


def test_statistics_are_summed_for_one_of_two_rosters_that_share_a_site(run: RunDirectory) -> None:
    """In runs one after the other, by processes that know only what is on the disk."""
    CountedRosters.of(run).claim(CHARTER, ALL)
    later = RunDirectory(run.path.parent / "second")
    later.path.mkdir()
    later.order.write_text("{}")
    CountedRosters.of(later).claim(CHARTER, ALL[::-1])
    with pytest.raises(AnotherRosterCounted, match="resume that run"):
        CountedRosters.of(later).claim(CHARTER, WITHOUT_WEST)
    CountedRosters.of(later).claim(CHARTER, ("a", "b", "c"))
    CountedRosters.of(later).claim(REVISED, WITHOUT_WEST)


def test_nothing_is_remembered_of_a_run_on_one_machine(tmp_path: Path) -> None:
    """Its charter is its own."""
    alone = CountedRosters.of(RunDirectory(tmp_path / "runs" / "first"))
    alone.claim(CHARTER, ALL)
    alone.claim(CHARTER, WITHOUT_WEST)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("text", ["", "{", "[7]", '{"a": 7}'])
def test_a_file_that_cannot_be_read_allows_nothing(run: RunDirectory, text: str) -> None:
    run.counted_rosters.write_text(text)
    with pytest.raises(AnotherRosterCounted, match="cannot be read"):
        CountedRosters.of(run).claim(CHARTER, ALL)
