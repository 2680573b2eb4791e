"""The page on the founding texts leaves no capability out, and its commands give its figures."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import codes, links
from tests.docs.reader import DOCS, Reader
from tests.forked import Forked

FOUNDING = DOCS / "founding.md"
CAPABILITIES = 56
GIVES = re.compile(r"`(scenario run [^`]+)` gives (?:AUC|macro F1|entity F1) (\d\.\d+)")
RESULT = re.compile(r"^.+ (\d\.\d+) on \d+ held-out ", re.M)


def rows() -> dict[int, str]:
    """Return the rows of the page, by their numbers."""
    found = re.findall(r"^\| (\d+) \|(.*)$", FOUNDING.read_text(), re.M)
    assert len(found) == len(dict(found)), "a number stands twice"
    return {int(number): row for number, row in found}


def shown_commands() -> list[str]:
    """Return every command of the page, once."""
    return sorted({code for code in codes(FOUNDING) if re.match(r"(scenario|python -m) \S", code)})


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    with Forked(also=("peft",)) as forking:
        yield forking


def test_every_capability_has_a_row_that_shows_it_or_says_that_it_is_left_out() -> None:
    found = rows()
    assert sorted(found) == [*range(1, CAPABILITIES + 1)]
    absent = re.compile(r"not built|left out|not a field|the same \|$|any run")
    for number, row in found.items():
        shows = re.search(r"`(scenario|python -m) |\]\(", row)
        assert shows or absent.search(row), f"row {number} shows nothing: {row}"


def test_what_the_page_shows_is_a_command_that_is_run_or_a_section_that_is_there() -> None:
    """Links are checked with those of every page (test_pages.py)."""
    assert len(links(FOUNDING)) >= 10
    assert len(GIVES.findall(FOUNDING.read_text())) >= 10
    assert {command for command, _ in GIVES.findall(FOUNDING.read_text())} <= {*shown_commands()}


# In tests/scenarios/library/test_ten_hospitals.py, because it takes as long as all others together.
RUN_ELSEWHERE = "scenario run ten-hospitals"


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    "command", [command for command in shown_commands() if command != RUN_ELSEWHERE]
)
def test_a_command_gives_the_figure_that_the_page_says(
    command: str, tmp_path: Path, forked: Forked
) -> None:
    printed = Reader(tmp_path, forked).types(command)
    for shown, figure in GIVES.findall(FOUNDING.read_text()):
        if shown == command:
            (came,) = RESULT.findall(printed)
            assert float(came) == pytest.approx(float(figure), abs=0.005)
