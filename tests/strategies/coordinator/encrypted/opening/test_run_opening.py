"""Whose training records are counted first, and what a coordinator is told if some are not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consortium.cli.site import app as site_commands
from scenarios.engines.in_process import InProcessGrid
from strategies.coordinator.encrypted.parameters import MembersMissing, RoundVoid
from strategies.coordinator.encrypted.strategy import Encrypted
from strategies.coordinator.messaging.events import StatisticsRecounted
from tests.carrier import away
from tests.small_consortium import NAMES, Consortium, Course, forget_processes


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return Consortium.placed(tmp_path / "run")


def run(consortium: Consortium, **overrides: Any) -> Course:
    forget_processes()
    return consortium.start(**{"num_server_rounds": 1, "quorum": 3, **overrides})


def test_a_missing_member_is_named_with_the_way_to_go_on_without_it(
    consortium: Consortium,
) -> None:
    course = run(consortium, down=away("west"))
    assert isinstance(course.error, MembersMissing)
    assert "west" in str(course.error)
    assert course.error.counts == {"missing": 1}


def test_a_part_that_was_counted_again_is_told_with_its_sites_name(consortium: Consortium) -> None:
    assert run(consortium).error is None
    asked = ["recount", str(consortium.run.site("east")), "--reason", "a column mended", "--yes"]
    done = CliRunner().invoke(site_commands, asked)
    assert done.exit_code == 0, done.output
    course = run(consortium, seed=8)
    assert course.error is None, course.error
    told = [one for one in course.events if isinstance(one, StatisticsRecounted)]
    assert [one.recounted_by for one in told] == [("east",)]


def test_a_model_that_nobody_holds_is_not_evaluated(consortium: Consortium) -> None:
    assert run(consortium).error is None
    course = run(consortium, num_server_rounds=0, quorum=len(NAMES), evaluate_model="00" * 32)
    assert isinstance(course.error, RoundVoid)
    assert "none of 4 do" in str(course.error)


def test_a_coordinator_that_carries_no_comparison_of_ledgers_gets_no_answer(
    consortium: Consortium,
) -> None:
    def skip(_grid: InProcessGrid, strategy: Encrypted) -> None:
        strategy._terms = replace(strategy._terms, compares_ledgers=False)

    course = run(consortium, started=skip)
    assert course.error is not None
    codes = {code for _, _, code in course.quarantined}
    assert codes == {"site-refused.ledger-not-compared"}


def test_statistics_that_the_charter_lets_stand_are_missed_if_most_sites_hold_none(
    consortium: Consortium,
) -> None:
    """No other opening would help: nobody counts under such a charter."""
    charter = consortium.charter.model_copy(update={"statistics_of": "0" * 64})
    for name in NAMES:
        charter.write(consortium.run.site(name) / "charter.json")
    course = run(replace(consortium, charter=charter))
    assert isinstance(course.error, RoundVoid)
    assert "none of 4 do" in str(course.error)
    assert course.error.counts["holders"] == 0
    assert len(course.answers("query.statistics")) == len(NAMES)
