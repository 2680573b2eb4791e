from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.run.directory import RunDirectory
from consortium.site.directory import SiteDirectory, read_site_config
from consortium.site.record_check import (
    CheckAlarm,
    NothingToAccept,
    accept_findings,
    check_records,
    open_alarms,
    others_of,
    read_check,
    require_unalarmed,
)
from consortium.site.site import Site
from privacy.layout import Tally
from scenarios.attacks.assignment import AttackAssignment
from scenarios.engines.staging import stage
from scenarios.library import careless_hospital

SCENARIO = careless_hospital.SCENARIO
NOW = datetime(2026, 3, 4, tzinfo=UTC)
counts = st.lists(st.integers(0, 2**40), min_size=3, max_size=3)


@given(counts, counts)
def test_the_others_are_the_sum_without_this_site(own: list[int], rest: list[int]) -> None:
    given_counts, others = np.array(own), np.array(rest)
    assert np.array_equal(others_of(given_counts + others, given_counts), others)
    assert np.array_equal(others_of(others, None), others)


def test_who_is_not_in_the_sum_is_not_taken_off() -> None:
    pooled = np.array([3, 4])
    assert np.array_equal(others_of(pooled, np.array([5, 1])), pooled)


def nothing() -> None:
    """What a site gave into a sum that it is not in."""


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = RunDirectory(tmp_path_factory.mktemp("careless"))
    stage(run, SCENARIO, lies=AttackAssignment(seed=7, attacks=SCENARIO.faults))
    return run


def site(run: RunDirectory, name: str, on_finding: str = "hold") -> Site:
    directory = run.site(name)
    return Site(
        directory=directory,
        config=read_site_config(directory),
        charter=Charter.read(SiteDirectory(directory).charter),
        run_config=RunConfig.parse({"on-finding": on_finding, "model": "logistic"}),
    )


def others(run: RunDirectory, name: str) -> Tally:
    counted = [
        each.task.statistics_of(each.data)
        for each in (site(run, other) for other in SCENARIO.sites if other != name)
    ]
    return sum(counted, np.zeros_like(counted[0]))


def test_an_alarm_holds_until_the_operator_says_that_it_is_right(staged: RunDirectory) -> None:
    careless, rest = site(staged, "va-long-beach"), others(staged, "va-long-beach")
    directory = careless.directory
    for first in (True, False):  # asked again in a later round, it is still held
        with pytest.raises(CheckAlarm, match="st_depression"):
            require_unalarmed(careless, rest, nothing, first=first)
    check = read_check(directory)
    assert check is not None
    with pytest.raises(NothingToAccept):
        accept_findings(directory, check.findings, "vessels", "", now=NOW)  # only a note
    accept_findings(directory, check.findings, "st_depression", "millivolt", now=NOW)
    assert not open_alarms(directory, check.findings)
    require_unalarmed(careless, rest, nothing, first=True)


def test_what_holds_nobody_is_only_told_where_a_run_warns(staged: RunDirectory) -> None:
    turned, rest = site(staged, "hungary", "warn"), others(staged, "hungary")
    check = require_unalarmed(turned, rest, nothing, first=True)
    assert [one.kind for one in check.findings if one.alarming] == ["labels"]


def test_without_counts_of_others_nothing_is_found(staged: RunDirectory) -> None:
    alone = site(staged, "switzerland")
    assert (
        check_records(alone, np.zeros(alone.task.statistics.layout.size, np.int64)).findings == ()
    )


def test_a_site_that_nothing_was_found_at_is_not_compared_again_in_each_round(
    staged: RunDirectory,
) -> None:
    calm = site(staged, "switzerland")
    nobody = np.zeros(calm.task.statistics.layout.size, np.int64)
    first = require_unalarmed(calm, nobody, nothing, first=True)
    path: Path = SiteDirectory(calm.directory).record_check
    written = path.stat().st_mtime_ns
    assert require_unalarmed(calm, nobody, nothing, first=False) == first
    assert path.stat().st_mtime_ns == written
