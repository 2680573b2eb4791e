"""A site looks at its records before it trains, and tells its own operator only.

Played on the real apps: one of four sites has a column in another unit.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from consortium.site.directory import SiteDirectory
from consortium.site.record_check import accept_findings, open_alarms, read_check
from privacy.layout import Tally
from privacy.secrets.replay_guard import SiteMemory
from privacy.secrets.roster_memory import CountedData
from tests.small_consortium import NAMES, Consortium, Course, forget_processes

ALARM = (1, "east", "site-refused.check-alarm")
FIRST_ROUND: dict[str, Any] = {"quorum": 3, "num_server_rounds": 1, "attempts": 1}


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    forget_processes()
    return Consortium.placed(tmp_path / "run")


def scale_ages(consortium: Consortium, factor: float) -> None:
    """Multiply the ages of one site, as its export would in another unit."""
    path = consortium.run.site("east") / "data.parquet"
    records = pd.read_parquet(path)
    records.assign(age=records["age"] * factor).to_parquet(path, index=False)


def run(consortium: Consortium, on_finding: str, **overrides: Any) -> Course:
    forget_processes()
    return consortium.start(on_finding=on_finding, **{**FIRST_ROUND, **overrides})


def alarms(consortium: Consortium, name: str = "east") -> list[str]:
    directory = consortium.run.site(name)
    check = read_check(directory)
    return [one.column for one in open_alarms(directory, check.findings if check else ())]


def pooled(consortium: Consortium, name: str = "west") -> Tally:
    """Return the statistics that a site keeps of all sites."""
    with SiteMemory(SiteDirectory(consortium.run.site(name)).memory) as memory:
        held = memory.rosters.pooled_statistics(consortium.charter.fingerprint)
    assert held is not None
    return held


def test_a_site_with_a_column_in_another_unit_is_held_before_it_trains(
    consortium: Consortium,
) -> None:
    scale_ages(consortium, 0.1)
    course = run(consortium, "hold")
    assert ALARM in course.quarantined
    assert alarms(consortium) == ["age"]
    assert not any(alarms(consortium, name) for name in NAMES[1:])


def test_of_a_finding_nothing_leaves_but_the_code(consortium: Consortium) -> None:
    """The refusal holds a code and the site's name, and neither column nor figure."""
    scale_ages(consortium, 0.1)
    course = run(consortium, "hold")
    (refused,) = [answer for asked, answer in course.answers("train") if asked.site == "east"]
    told = [dict(record) for record in refused.values()]
    assert [list(one.values()) for one in told] == [["check-alarm", "east"]]


def test_who_is_not_held_sends_the_same_kinds_of_answers_as_without_a_finding(
    consortium: Consortium, tmp_path: Path
) -> None:
    forget_processes()
    right = Consortium.placed(tmp_path / "right")
    scale_ages(consortium, 0.1)
    warned, unwarned = run(consortium, "warn"), run(right, "warn")
    shapes = [
        [(asked.site, asked.kind, sorted(answer)) for asked, answer in course.seen]
        for course in (warned, unwarned)
    ]
    assert shapes[0] == shapes[1]
    assert not warned.quarantined
    assert alarms(consortium) == ["age"]


def test_it_takes_part_once_its_operator_says_that_it_is_right(consortium: Consortium) -> None:
    scale_ages(consortium, 0.1)
    run(consortium, "hold")
    directory = consortium.run.site("east")
    check = read_check(directory)
    assert check is not None
    accept_findings(directory, check.findings, "age", "decades here", now=datetime.now(UTC))
    assert not run(consortium, "hold", seed=8).quarantined


def test_it_takes_part_once_the_column_is_mended_and_nothing_is_counted_again(
    consortium: Consortium,
) -> None:
    """It compares with the kept sum minus what it gave into it."""
    scale_ages(consortium, 0.1)
    run(consortium, "hold")
    charter = consortium.charter.fingerprint
    counted = CountedData(charter=charter, data_set="records")
    with SiteMemory(SiteDirectory(consortium.run.site("east")).memory) as memory:
        given, pooled = (
            memory.rosters.own_statistics(counted),
            memory.rosters.pooled_statistics(charter),
        )
    scale_ages(consortium, 10.0)
    course = run(consortium, "hold", seed=8)
    assert not course.quarantined
    check = read_check(consortium.run.site("east"))
    assert check is not None
    assert given is not None
    assert pooled is not None
    assert np.array_equal(np.array(check.others), pooled - given)


@pytest.mark.parametrize(("before", "after"), [("off", "warn"), ("warn", "off")])
def test_a_charter_that_counted_otherwise_goes_on(
    consortium: Consortium, before: str, after: str
) -> None:
    """What was counted without classes stands, and so does what was counted with them."""
    run(consortium, before)
    first = pooled(consortium)
    for seed, on_finding in ((8, after), (9, before)):
        course = run(consortium, on_finding, seed=seed)
        assert course.error is None
        assert not course.quarantined
    assert np.array_equal(pooled(consortium), first)


def test_counts_of_a_run_without_the_comparison_serve_a_later_one(
    consortium: Consortium,
) -> None:
    scale_ages(consortium, 0.1)
    run(consortium, "off")
    course = run(consortium, "hold", seed=8)
    assert ALARM in course.quarantined
