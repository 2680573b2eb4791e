"""What a report says of a run with masks, and of no other: who read nothing, and what it took."""

import json
from pathlib import Path
from typing import Any

import pytest

from consortium.report.elements.blocks import Facts
from consortium.report.elements.run_reader import Recorded
from consortium.report.render import render_report
from consortium.report.sections.rounds import cost_section
from consortium.run.directory import RunDirectory
from consortium.wording.formatting import SPACE
from tests.consortium.sample_run import Sample

CONFIRMED = {
    "event": "sum-confirmed",
    "server_round": 1,
    "purpose": "training",
    "exchanges": 2,
    "bytes_down": 1_500_000,
    "bytes_up": 6_000,
}
IN_LEAGUE = "could read neither the update nor the counts of another bank"
ONE_LOCK = "one that colludes with the coordinator can open another bank"


def sealed(folder: Path, **config: Any) -> RunDirectory:
    return Sample(config={"aggregation": "encrypted", **config}).write(folder)


def costs(run: RunDirectory) -> dict[str, str]:
    section = cost_section(Recorded.read(run))
    assert section is not None
    (facts,) = section.blocks
    assert isinstance(facts, Facts)
    return {name: str(figure) for name, figure in facts.items}


@pytest.mark.parametrize("masks", [False, True])
def test_only_the_report_of_a_masked_run_says_that_a_league_read_nothing(
    masks: bool, tmp_path: Path
) -> None:
    said = render_report(sealed(tmp_path / "run", masks=masks)).read_text()
    assert (IN_LEAGUE in said) == masks
    assert (ONE_LOCK in said) != masks
    assert ("in league this does not hold" in said) == masks


def test_what_the_confirmations_took_is_told_where_there_were_any(tmp_path: Path) -> None:
    run = sealed(tmp_path / "run", masks=True)
    assert "To confirm" not in "".join(costs(run))
    with run.events.open("a") as events:
        events.write((json.dumps(CONFIRMED) + "\n") * 2)
    took = costs(run)[f"To confirm 2{SPACE}sums"]
    assert took.replace(SPACE, " ") == "4 exchanges, 3.0 MB down, 12.0 kB up"


def test_answers_that_nobody_waited_for_are_counted(tmp_path: Path) -> None:
    run = sealed(tmp_path / "run", masks=True)
    with run.events.open("a") as events:
        events.write(json.dumps({**CONFIRMED, "not_awaited": ["north", "west"]}) + "\n")
    took = costs(run)[f"To confirm 1{SPACE}sum"].replace(SPACE, " ")
    assert took == "2 exchanges, 1.5 MB down, 6.0 kB up; 2 slower answers not waited for"
