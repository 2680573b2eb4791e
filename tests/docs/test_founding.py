"""The page on the founding texts leaves no capability out, and its commands give its figures."""

import json
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
EXPERIMENT = re.compile(r"^\| \d+ \|[^|]*\|[^|]*\| `([^`]+)` \| (.*) \|$", re.M)
COMPARED = re.compile(r"([\d.,]+)(?: dollars)? (together|with all records in one place|on average)")
ARM = re.compile(r"^(\S.*?) +(\d+\.\d{4}) +[\d.]+ to [\d.]+ *$", re.M)


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


def arms_in(printed: str) -> dict[str, float]:
    """Return the figures of a comparison, named as this page names them."""
    arms = {name: float(value) for name, value in ARM.findall(printed)}
    alone = [value for name, value in arms.items() if name.endswith(" alone")]
    return {
        "together": arms["Together (federated)"],
        "with all records in one place": arms["All records in one place"],
        "on average": sum(alone) / len(alone),
    }


def require_figures(command: str, printed: str) -> None:
    """Check that a command printed every figure that the page has of it."""
    text = FOUNDING.read_text()
    gives = [figure for shown, figure in GIVES.findall(text) if shown == command]
    for shown, cell in EXPERIMENT.findall(text):
        if shown != command:
            continue
        told = COMPARED.findall(cell) if " compare " in command else []
        for figure, arm in told:
            number = float(figure.replace(",", ""))
            assert arms_in(printed)[arm] == pytest.approx(number, rel=0.005, abs=0.0055), arm
        gives += [] if told else re.findall(r"^macro F1 (\d\.\d+)", cell)
    for figure in gives:
        (came,) = RESULT.findall(printed)
        assert float(came) == pytest.approx(float(figure), abs=0.005)


def test_every_experiment_has_figures_that_a_test_finds_again() -> None:
    cells = dict(EXPERIMENT.findall(FOUNDING.read_text()))
    assert len(cells) == 7
    compared = {command: COMPARED.findall(cells[command]) for command in cells}
    assert {len(compared[one]) >= 2 for one in cells if " compare " in one} == {True}


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    "command", [command for command in shown_commands() if command != RUN_ELSEWHERE]
)
def test_a_command_gives_the_figure_that_the_page_says(
    command: str, tmp_path: Path, forked: Forked
) -> None:
    printed = Reader(tmp_path, forked).types(command)
    require_figures(command, printed)
    if command.startswith("python"):  # the page says that no target was missed
        assert json.loads(printed[printed.index("{") :])["missed"] == []
