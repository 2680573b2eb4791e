"""Two hubs of three banks each on SuperLinks of their own, over TLS, by Flower's own programs."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from consortium.audit.cross_check import contradictions, find_logs, read_log
from consortium.audit.sum_verification import Auditor
from consortium.charter.document import Charter
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from tests.scenarios.engines.test_deployment import started_under

ALL_BANKS = scenario_named("byzantine-banks")
BANKS = replace(ALL_BANKS, sites=ALL_BANKS.sites[:6])
CONFIG = BANKS.config_with(
    {
        "aggregation": "encrypted",
        "model": "logistic",
        "rule.name": "mean",
        "rule.num-byzantine": 0,
        "buckets": 1,
        "num-server-rounds": 2,
        "quorum": 6,
        "deadline-s": 120.0,
        "join-deadline-s": 240.0,
        "keep-uploads": "all",
    }
)


# Of all, because the first one in whatever order makes the run.
pytestmark = pytest.mark.timeout(1_200)


@dataclass(frozen=True)
class Ended:
    """A finished run, and the processes that are alive all the same."""

    run: RunDirectory
    summary: Summary
    left: list[int]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("hubs")
    run = new_run_directory(BANKS, under=folder, named=None)
    order = ScenarioRun(scenario=BANKS, config=CONFIG, engine="deployment", num_hubs=2)
    return Ended(run, run_scenario(order, run), started_under(folder))


@pytest.mark.slow
def test_two_superlinks_of_three_sites_end_in_the_bits_of_a_run_without_hubs(
    deployed: Ended, tmp_path: Path
) -> None:
    run = new_run_directory(BANKS, under=tmp_path, named=None)
    alone = run_scenario(ScenarioRun(scenario=BANKS, config=CONFIG), run)
    assert deployed.summary.model_digest == alone.model_digest
    assert deployed.summary.metrics == alone.metrics
    assert (deployed.summary.status, deployed.summary.quarantined) == ("finished", [])
    assert [len(members) for members in deployed.summary.hubs.values()] == [3, 3]


@pytest.mark.slow
def test_the_logs_of_members_and_coordinator_agree_and_the_sums_are_right(deployed: Ended) -> None:
    """Each end numbers the run as its own SuperLink does."""
    run = deployed.run
    charter = Charter.read(run.charter)
    logs = [read_log(path, charter) for path in find_logs(run.path)]
    assert len(logs) == 7
    assert contradictions(logs) == []
    auditor = Auditor.for_run(run, sorted(run.path.glob("sites/*")))
    assert {*auditor.hubs} == {"hub-1", "hub-2"}
    checked = [*auditor.check_sums()]
    assert checked
    for one in checked:
        assert (one.deviation, one.undecided) == ("", "")


@pytest.mark.slow
def test_no_upload_of_a_member_reaches_the_coordinator(deployed: Ended) -> None:
    for name in BANKS.sites:
        assert not [*deployed.run.vault.rglob(f"upload-{name}.bin")]
        assert [*deployed.run.path.glob(f"hubs/*/runs/*/coordinator/sealed/**/upload-{name}.bin")]


@pytest.mark.slow
def test_each_hub_is_for_its_owner_only_and_leaves_no_process_behind(deployed: Ended) -> None:
    assert deployed.left == []
    for hub in deployed.run.path.glob("hubs/*"):
        assert hub.stat().st_mode & 0o077 == 0
