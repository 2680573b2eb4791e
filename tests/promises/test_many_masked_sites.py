"""A masked run of more sites than witnesses: the real apps, with buckets, from start to end."""

import json
from pathlib import Path

import pytest

from consortium.config import Scalar
from privacy.protocol.masks.groups import MOST_WITNESSES, confirmations_needed, witnesses
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from tests.benchmarks.crowd import crowd_of_banks

CONFIG: dict[str, Scalar] = {
    "num-server-rounds": 1,
    "batch-size": 4_096,
    "min-local-steps": 0,
    "aggregation": "encrypted",
    "masks": True,
    "weighting": "equal",
}


@pytest.mark.parametrize(
    ("num_sites", "buckets"),
    [
        (33, 2),
        pytest.param(120, 10, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)]),
    ],
)
def test_of_many_sites_the_witnesses_alone_confirm_each_sum_and_all_open_it(
    num_sites: int, buckets: int, tmp_path: Path
) -> None:
    """Statistics, updates and the last evaluation; a site has 16 neighbours in the counts."""
    crowd = crowd_of_banks(num_sites, records=50, run_config={**CONFIG, "buckets": buckets})
    run = new_run_directory(crowd, under=tmp_path, named=None)
    summary = run_scenario(ScenarioRun(scenario=crowd, config=crowd.config_with({})), run)
    assert summary.status == "finished"
    told = [json.loads(line) for line in run.events.read_text().splitlines()]
    sums = [one for one in told if one["event"] == "sum-confirmed"]
    assert [one["purpose"] for one in sums] == ["statistics", "training", "evaluation"]
    confirming = witnesses(crowd.sites)
    for one in sums:
        assert tuple(one["confirmed_by"]) == confirming
        assert one["needed"] == confirmations_needed(MOST_WITNESSES, 1)
    assert not [one for one in told if one["event"] == "site-quarantined"]
