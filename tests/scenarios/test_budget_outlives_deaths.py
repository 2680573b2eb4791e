"""A private run that crashes and is resumed costs the same budget as an uninterrupted one."""

import json
import signal
from pathlib import Path

import pytest

from consortium.audit.cross_check import find_logs, read_log, require_agreement
from consortium.client.site_ledger import ledger_of
from consortium.config import Scalar
from consortium.run.directory import RunDirectory
from privacy.differential.ledger_entries import Budget
from privacy.differential.mechanisms import SampledGaussian
from scenarios.engines.runner import ScenarioRun, interrupted_run, resume_run, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from tests.forked import Forked

HEART = scenario_named("heart-diagnosis")
PRIVATE: dict[str, Scalar] = {
    "num-server-rounds": 3,
    "model": "logistic",
    "dp.unit": "person",
    "dp.epsilon": 2.0,
    "dp.steps": 3,
    "deadline-s": 0.2,
    "join-deadline-s": 0.2,
}
KILLED = """
import json, os, signal, sys
from pathlib import Path
from consortium.coordinator import clear_run
from consortium.run.directory import RunDirectory
from consortium.run.evidence_store import EvidenceStore
from privacy.differential.private_runs import PrivateRuns
from scenarios.library.registry import scenario_named
from scenarios.engines.runner import ScenarioRun, run_scenario

where, times, config = sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
owner, name = {
    "site": (PrivateRuns, "keep_answer"),
    "coordinator": (clear_run, "write_checkpoint"),
    "sealed": (EvidenceStore, "keep"),
}[where]
real, called = getattr(owner, name), [0]

def dies(*given, **named):
    called[0] += 1
    if called[0] == times:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **named)

setattr(owner, name, dies)
scenario = scenario_named("heart-diagnosis")
run = RunDirectory(Path(sys.argv[1]))
run_scenario(ScenarioRun(scenario=scenario, config=scenario.config_with(config)), run)
"""


def spending(run: RunDirectory) -> dict[str, tuple[list[int], float]]:
    """Return the steps of every training and the epsilon in each site's ledger."""
    found = {}
    for name in HEART.sites:
        with ledger_of(run.site(name)) as ledger:
            ledger.verify()
            trained = [
                sum(one.used.values())
                for one in ledger.charges()
                if isinstance(one.reserved.event, SampledGaussian)
            ]
            found[name] = trained, ledger.spent(None, Budget(epsilon=10.0, delta=1e-5)).planned
    return found


@pytest.fixture(scope="module")
def undisturbed_spending(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[list[int], float]]:
    run = new_run_directory(HEART, under=tmp_path_factory.mktemp("whole"), named=None)
    run_scenario(ScenarioRun(scenario=HEART, config=HEART.config_with(PRIVATE)), run)
    return spending(run)


@pytest.mark.parametrize(
    ("where", "times"),
    [
        pytest.param("site", 6, id="a site has trained and not kept its answer"),
        pytest.param(
            "coordinator",
            3,
            id="all have answered and nothing is kept of it",
            marks=pytest.mark.slow,
        ),
        pytest.param("sealed", 40, id="encrypted, in the middle of a round"),
    ],
)
def test_a_run_that_crashed_spends_no_budget_twice(
    where: str,
    times: int,
    tmp_path: Path,
    undisturbed_spending: dict[str, tuple[list[int], float]],
    forked: Forked,
) -> None:
    config = {**PRIVATE, "aggregation": "encrypted" if where == "sealed" else "clear"}
    run = new_run_directory(HEART, under=tmp_path, named=None)
    words = [str(run.path), where, str(times), json.dumps(config)]
    status = forked.run(KILLED, words, folder=tmp_path, output=tmp_path / "said")
    assert status == -signal.SIGKILL, (tmp_path / "said").read_text()
    summary = resume_run(interrupted_run(run, engine="inprocess", verbose=False), run)
    assert summary.status == "finished"
    after = spending(run)
    for name, (steps, epsilon) in undisturbed_spending.items():
        assert (steps, after[name][0]) == ([9], [9]), name
        assert after[name][1] == pytest.approx(epsilon), name
    require_agreement([read_log(path) for path in find_logs(run.path)])
