"""Sites of one process hold files open: on a system that allows a process few of them.

Each test is a process of its own: what a process may hold, it cannot be given back.
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
from scenarios.engines.runner import Order, carry_out

scenario = scenario_named("heart-diagnosis")
config = scenario.configured({"num-server-rounds": 1, "aggregation": "encrypted"})
print(carry_out(Order(scenario=scenario, config=config), RunDirectory(Path.cwd() / "run")).status)
"""
)


def said(forked: Forked, folder: Path, code: str, *words: int) -> str:
    """Return the last line that a program says, whatever becomes of it."""
    forked.run(code, [str(word) for word in words], folder=folder, output=folder / "said")
    return (folder / "said").read_text().splitlines()[-1]


@pytest.mark.parametrize("sites", [1, 300])
def test_as_many_files_as_the_system_allows_may_be_open(
    sites: int, tmp_path: Path, forked: Forked
) -> None:
    assert said(forked, tmp_path, ALLOWED, 10, 4_000, sites) == "held 4000 4000"


def test_more_sites_than_can_be_are_refused_with_what_to_do(tmp_path: Path, forked: Forked) -> None:
    told = said(forked, tmp_path, ALLOWED, 10, 1_000, 300)
    assert "300 sites in one process need 1264 open files or more" in told
    assert "allows a process 1000" in told
    assert "ulimit -Hn" in told


def test_a_run_asks_for_the_files_it_needs(tmp_path: Path, forked: Forked) -> None:
    """Four sites, encrypted, hold 48 files open; to read the data takes a few too."""
    assert said(forked, tmp_path, RUN, 24, 4_000, 4) == "finished"
