"""Open files of many sites in one process, on systems that allow only few.

Each test runs in a process of its own, since a process cannot raise a hard limit again.
"""

from pathlib import Path

import pytest

from tests.forked import Forked

LIMITED = """
import os, resource, sys
from pathlib import Path

free, hard, sites = map(int, sys.argv[1:4])
soft = max(int(name) for name in os.listdir("/proc/self/fd")) + 1 + free
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
"""

ALLOWED = (
    LIMITED
    + """
from scenarios.engines.file_limits import TooFewFiles, allow_open_files

try:
    allow_open_files(sites)
except TooFewFiles as error:
    print(error)
else:
    held = [open(os.devnull) for _ in range(4 * sites)]
    print("held", *resource.getrlimit(resource.RLIMIT_NOFILE))
"""
)

RUN = (
    LIMITED
    + """
from consortium.run.directory import RunDirectory
from scenarios.library.registry import scenario_named
from scenarios.engines.runner import ScenarioRun, run_scenario

scenario = scenario_named("heart-diagnosis")
config = scenario.config_with({"num-server-rounds": 1, "aggregation": "encrypted"})
order = ScenarioRun(scenario=scenario, config=config)
print(run_scenario(order, RunDirectory(Path.cwd() / "run")).status)
"""
)


def last_line(forked: Forked, folder: Path, code: str, *words: int) -> str:
    """Return the last line that a program prints, however it ends."""
    forked.run(code, [str(word) for word in words], folder=folder, output=folder / "said")
    return (folder / "said").read_text().splitlines()[-1]


@pytest.mark.parametrize("sites", [1, 300])
def test_the_limit_is_raised_as_far_as_the_system_allows(
    sites: int, tmp_path: Path, forked: Forked
) -> None:
    assert last_line(forked, tmp_path, ALLOWED, 10, 4_000, sites) == "held 4000 4000"


def test_too_many_sites_are_refused_with_advice(tmp_path: Path, forked: Forked) -> None:
    told = last_line(forked, tmp_path, ALLOWED, 10, 1_000, 300)
    assert "300 sites in one process need at least 1264 open files" in told
    assert "this system allows 1000" in told
    assert "ulimit -Hn" in told


def test_a_run_raises_the_limit_that_it_needs(tmp_path: Path, forked: Forked) -> None:
    """Four encrypted sites have 48 files open, and reading the data takes a few more."""
    assert last_line(forked, tmp_path, RUN, 24, 4_000, 4) == "finished"
