"""A full disk at different writes: the kernel lets no file grow beyond a limit.

Coordinator and sites share one process, so that the limit meets all of them. Every run needs all
its sites, so that there is one right model.
"""

from pathlib import Path

import pytest

from consortium.audit.cross_check import find_logs, read_log, require_agreement
from consortium.charter.document import Charter
from consortium.config import RunConfig
from scenarios.engines.runner import interrupted_run, resume_run
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from tests.forked import Forked
from tests.scenarios.conftest import Done

HEART = scenario_named("heart-diagnosis")
FULL = """
import resource, sys
from pathlib import Path
from consortium.run.directory import RunDirectory
from tests.scenarios.test_full_disk import HEART, config_of
from scenarios.engines.runner import ScenarioRun, run_scenario

def fill(_run):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)

order = ScenarioRun(scenario=HEART, config=config_of(sys.argv[2]), on_staged=fill)
run_scenario(order, RunDirectory(Path(sys.argv[1])))
"""


def config_of(mode: str) -> RunConfig:
    """Return the config of a run of all four hospitals."""
    return HEART.config_with(
        {
            "num-server-rounds": 3,
            "quorum": len(HEART.sites),
            "deadline-s": 0.2,
            "join-deadline-s": 0.2,
            "aggregation": mode,
        }
    )


@pytest.mark.parametrize(
    ("mode", "most_bytes"),
    [
        ("clear", 80_000),
        ("encrypted", 160_000),
        *(
            pytest.param(mode, most_bytes, marks=pytest.mark.slow)
            for mode, sizes in {
                "clear": (3_000, 6_000, 12_000, 40_000, 120_000),
                "encrypted": (4_000, 30_000, 70_000, 110_000, 260_000, 600_000),
            }.items()
            for most_bytes in sizes
        ),
    ],
)
def test_a_run_stopped_by_a_full_disk_resumes_to_the_same_model(
    mode: str, most_bytes: int, tmp_path: Path, request: pytest.FixtureRequest, forked: Forked
) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    words, said = [str(run.path), mode, str(most_bytes)], tmp_path / "said"
    assert forked.run(FULL, words, folder=tmp_path, output=said) == 1, said.read_text()
    assert "in run_scenario" in said.read_text(), "it ended before the run began"
    summary = resume_run(interrupted_run(run, engine="inprocess", verbose=False), run)
    # A run of as many rounds with enough space, in which all sites took part.
    whole: Done = request.getfixturevalue("heart" if mode == "clear" else "sealed_heart")
    assert (summary.status, summary.model_digest) == ("finished", whole.summary.model_digest)
    charter = Charter.read(run.charter)
    logs = [read_log(path, charter) for path in find_logs(run.path)]
    assert len(logs) == 1 + len(HEART.sites)
    require_agreement(logs)
