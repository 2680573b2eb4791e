"""When the ledgers of all sites have no room for a run, that is what its end says, at once."""

import json
import shutil
from pathlib import Path

import pytest

from consortium.config import Scalar
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from consortium.site.directory import SiteDirectory
from scenarios.engines.runner import (
    RunFailed,
    ScenarioRun,
    interrupted_run,
    resume_run,
    run_scenario,
)
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from tests.decisions import decide

HEART = scenario_named("heart-diagnosis")
PRIVATE: dict[str, Scalar] = {
    "num-server-rounds": 1,
    "model": "logistic",
    "dp.unit": "person",
    "dp.epsilon": 2.0,
    "dp.delta": 1e-6,
    "dp.steps": 2,
    "deadline-s": 5.0,
    "join-deadline-s": 0.2,
}
REASON = "all four sites are left out for one reason, site-refused.budget-exhausted: "


def allow_one(run: RunDirectory) -> None:
    """Let each site spend as much as one run needs, and not as much as two."""
    for name in HEART.sites:
        ceilings = {"*": {"epsilon": 2.5, "delta": 1e-6}}
        decide(run.site(name), privacy={"ceilings": ceilings})


def rounds_tried(run: RunDirectory) -> int:
    """Return how often sites were asked to train."""
    events = [json.loads(line) for line in run.events.read_text().splitlines()]
    return sum((e["event"], e.get("server_round")) == ("round-started", 1) for e in events)


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_a_spent_budget_is_the_headline_and_is_tried_once(aggregation: str, tmp_path: Path) -> None:
    """The ledgers are those that the sites' first run wrote. A resumed run says the same."""
    order = ScenarioRun(
        scenario=HEART,
        config=HEART.config_with({**PRIVATE, "aggregation": aggregation}),
        on_staged=allow_one,
    )
    first = new_run_directory(HEART, under=tmp_path, named=tmp_path / "first")
    assert run_scenario(order, first).status == "finished"

    def with_ledgers(run: RunDirectory) -> None:
        allow_one(run)
        for name in HEART.sites:
            kept, place = SiteDirectory(first.site(name)).ledger, SiteDirectory(run.site(name))
            shutil.copytree(kept, place.ledger)

    second = new_run_directory(HEART, under=tmp_path, named=tmp_path / "second")
    with pytest.raises(RunFailed, match=REASON):
        run_scenario(
            ScenarioRun(scenario=HEART, config=order.config, on_staged=with_ledgers), second
        )
    assert rounds_tried(second) == 1
    with pytest.raises(RunFailed, match=REASON):
        resume_run(interrupted_run(second, engine="inprocess", verbose=False), second)
    assert rounds_tried(second) == 2
    summary = read_record(second.summary, Summary)
    assert "ring them back" not in summary.error
    assert {one.code for one in summary.quarantined} == {"site-refused.budget-exhausted"}
