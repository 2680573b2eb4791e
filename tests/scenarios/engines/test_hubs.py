"""A scenario through hubs in process: what is recorded, and what is refused."""

from pathlib import Path

import pytest

from consortium.audit.cross_check import contradictions, find_logs, read_log
from consortium.audit.sum_verification import Auditor
from consortium.charter.document import Charter
from consortium.run.records import Summary, read_record
from scenarios.engines.preconditions import (
    NoHubsThere,
    TooManyHubs,
    hubs_in_words,
    require_hubs,
)
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named

HEART = scenario_named("heart-diagnosis")
CONFIG = HEART.config_with({})


def test_a_run_through_hubs_says_so_and_its_logs_and_sums_are_right(tmp_path: Path) -> None:
    config = HEART.config_with({"aggregation": "encrypted", "num-server-rounds": 1})
    run = new_run_directory(HEART, under=tmp_path, named=None)
    summary = run_scenario(ScenarioRun(scenario=HEART, config=config, num_hubs=2), run)
    charter = Charter.read(run.charter)
    assert summary == read_record(run.summary, Summary)
    assert summary.hubs == {hub.name: list(hub.members) for hub in charter.hubs}
    assert [*summary.hubs] == ["hub-1", "hub-2"]
    assert summary.quarantined == []
    logs = [read_log(path, charter) for path in find_logs(run.path)]
    assert len(logs) == 5
    assert contradictions(logs) == []
    auditor = Auditor.for_run(run, sorted(run.path.glob("sites/*")))
    for one in auditor.check_sums():
        assert (one.deviation, one.undecided) == ("", "")


def test_hubs_are_refused_where_there_are_none_and_beyond_the_number_of_sites() -> None:
    require_hubs("inprocess", HEART, 4, config=CONFIG)
    require_hubs("deployment", HEART, 2, config=CONFIG)
    with pytest.raises(NoHubsThere, match="simulation"):
        require_hubs("simulation", HEART, 2, config=CONFIG)
    with pytest.raises(TooManyHubs):
        require_hubs("inprocess", HEART, 5, config=CONFIG)


def test_hubs_are_refused_in_a_run_that_waits_for_no_site() -> None:
    buffered = HEART.config_with({"schedule": "buffered"})
    with pytest.raises(NoHubsThere, match="buffered"):
        require_hubs("inprocess", HEART, 2, config=buffered)
    require_hubs("inprocess", HEART, 2, config=HEART.config_with({"schedule": "triggered"}))


def test_it_is_said_before_a_run_whether_hubs_add_or_pass_on() -> None:
    sealed = HEART.config_with({"aggregation": "encrypted"})
    assert hubs_in_words(HEART, sealed, 2).startswith("2 hubs of 2 sites: each adds")
    assert "add nothing" in hubs_in_words(HEART, HEART.config_with({"aggregation": "clear"}), 3)
    assert "1 site or 2 sites" in hubs_in_words(HEART, sealed, 3)
