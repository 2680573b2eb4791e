"""A disk that is full, at whichever write: the kernel refuses to let any file grow further.

Coordinator and sites share the process, so all of them find it full, each where its files are
longest. Every run needs all its sites: there is one right model.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consortium.audit.cross_check import compare, logs_in, read_log
from consortium.charter.document import Charter
from consortium.config import RunConfig
from scenarios.engines.runner import ScenarioRun, carry_out, interrupted_order, resume
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from tests.forked import Forked

HEART = scenario_named("heart-diagnosis")
FULL = """
import resource, sys
from pathlib import Path
from consortium.run.directory import RunDirectory
from tests.scenarios.test_full_disk import HEART, configured
from scenarios.engines.runner import Order, carry_out

def fill(_run):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)

order = Order(scenario=HEART, config=configured(sys.argv[2]), ready=fill)
carry_out(order, RunDirectory(Path(sys.argv[1])))
"""


def configured(mode: str) -> RunConfig:
    """Return the config of a run of all four hospitals."""
    return HEART.configured(
        {
            "num-server-rounds": 3,
            "quorum": len(HEART.sites),
            "deadline-s": 0.2,
            "join-deadline-s": 0.2,
            "aggregation": mode,
        }
    )


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Digest of the model of a run with room for everything, by mode."""
    known: dict[str, str] = {}

    def digest(mode: str) -> str:
        if mode not in known:
            run = new_run_directory(HEART, under=tmp_path_factory.mktemp(mode), named=None)
            whole = carry_out(ScenarioRun(scenario=HEART, config=configured(mode)), run)
            known[mode] = whole.model_digest
        return known[mode]

    return digest


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    """Where programs start that find the disk full."""
    with Forked() as started:
        yield started


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
def test_what_a_full_disk_stopped_goes_on_to_the_same_model_once_there_is_room(
    mode: str, most_bytes: int, tmp_path: Path, right: Callable[[str], str], forked: Forked
) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    words, said = [str(run.path), mode, str(most_bytes)], tmp_path / "said"
    assert forked.run(FULL, words, folder=tmp_path, output=said) == 1, said.read_text()
    assert "in carry_out" in said.read_text(), "it ended before the run began"
    summary = resume(interrupted_order(run, engine="inprocess", verbose=False), run)
    assert (summary.status, summary.model_digest) == ("finished", right(mode))
    charter = Charter.read(run.charter)
    logs = [read_log(path, charter) for path in logs_in(run.path)]
    assert len(logs) == 1 + len(HEART.sites)
    compare(logs)
