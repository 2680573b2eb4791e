"""Try deployments on each Flower that is admitted: `python -m tests.flower_versions`.

Each version is installed from the package index into a folder that goes before the environment,
which stays as it is. The tests of deployments are run with it, a run of real processes over TLS
among them. Then a consortium of the first version parks a run in which a site is missing, and the
last version goes on with it: with the coordinator upgraded and the sites not, then with all.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, distributions, version
from pathlib import Path

from packaging.requirements import Requirement

from consortium.cli.main import app as consortium
from consortium.deployment.flower_entrypoints import WAITS_KNOWN
from consortium.deployment.processes import end_processes
from consortium.deployment.supernode import SuperNode
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from consortium.run.records import Summary, read_record
from scenarios.engines.deployment import running_consortium, set_up_consortium
from scenarios.engines.staging import new_run_directory, stage
from tests.scenarios.test_deaths import HEART, SITES, VICTIM, is_asked, wait_until
from tests.typed import typed

ROOT = Path(__file__).parents[1]
TESTS = (
    "tests/consortium/deployment",
    "tests/scenarios/cli/test_doctor.py",
    "tests/scenarios/engines/test_deployment.py",
)
SETTINGS = ("aggregation=encrypted", "num-server-rounds=3", "model=logistic", "quorum=3")
_PATH = "PYTHONPATH"


def main(words: list[str]) -> int:
    """Try every version, then the upgrade; return 1 if something failed."""
    match words:
        case ["park", folder]:
            return park(Path(folder))
        case ["go-on", folder, before]:
            return go_on(Path(folder), before)
    with tempfile.TemporaryDirectory() as folder:
        paths = {one: path_with(one, Path(folder) / one) for one in sorted(WAITS_KNOWN)}
        failed = [one for one in paths if call(paths[one], "pytest", "-m", "", *TESTS)]
        first, *_, last = paths.values()
        begun = str(Path(folder) / "consortium")
        upgrade = call(first, __spec__.name, "park", begun) or call(
            last, __spec__.name, "go-on", begun, first
        )
    told = f"failed with Flower {', '.join(failed)}" if failed else f"passed: {', '.join(paths)}"
    sys.stdout.write(f"{told}; the upgrade {'failed' if upgrade else 'passed'}\n")
    return 1 if failed or upgrade else 0


def path_with(flower: str, folder: Path) -> str:
    """Install a Flower into a folder, with what it needs and is not there; return the path."""
    install(folder, [f"flwr=={flower}"])
    (there,) = (one for one in distributions(path=[str(folder)]) if one.name == "flwr")
    install(folder, missing(there))
    return os.pathsep.join([str(folder), str(ROOT)])


def install(folder: Path, wanted: list[str]) -> None:
    """Install packages into a folder, and nothing that they need."""
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(folder)]
    if wanted:
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *wanted], check=True)


def missing(package: Distribution) -> list[str]:
    """Return what a package needs of which the environment has another version."""
    needed = [Requirement(one) for one in package.requires or []]
    return [
        f"{one.name}{one.specifier}"
        for one in needed
        if one.marker is None or one.marker.evaluate({"extra": ""})
        if not one.specifier.contains(version(one.name))
    ]


def call(path: str, *words: str) -> int:
    """Run a module of Python with a path; return its exit status."""
    return subprocess.run(
        [sys.executable, "-m", *words], check=False, cwd=ROOT, env={**os.environ, _PATH: path}
    ).returncode


def park(folder: Path) -> int:
    """Begin a run, and let a site be missing until the run waits for it."""
    staged = new_run_directory(HEART, under=folder, named=folder / "staged")
    stage(staged, HEART, config=HEART.config_with({"aggregation": "encrypted"}))
    sites = [staged.site(name) for name in SITES]
    coordinator = folder / "office" / "coordinator"
    set_up_consortium(coordinator.parent, staged.charter, sites)
    # A staged charter names a key that is staged with it.
    shutil.copy(staged.question_key, CoordinatorDirectory(coordinator).question_key)
    run = RunDirectory(coordinator / "runs" / "a")
    with running_consortium(coordinator, sites):
        short = ("attempts=1", "deadline-s=20")
        typed(consortium, "run", coordinator, "--name", "a", "--no-wait", *setting(*short))
        wait_until(lambda: is_asked(run, 2))
        end_processes(SuperNode(staged.site(VICTIM)).mark.marked_processes())
        wait_until(run.summary.exists)
    tell(coordinator, read_record(run.summary, Summary).status)
    return 0


def go_on(folder: Path, before: str) -> int:
    """Resume the run with sites that have the Flower of before; then do another with ours."""
    coordinator = folder / "office" / "coordinator"
    runs = coordinator / "runs"
    sites = [folder / "staged" / "sites" / name for name in SITES]
    with running_consortium(coordinator, []), earlier_sites(sites, before):
        typed(consortium, "resume", coordinator, "--name", "a")
    tell(coordinator, read_record(RunDirectory(runs / "a").summary, Summary).status)
    with running_consortium(coordinator, sites):
        typed(consortium, "run", coordinator, "--name", "b", *setting())
    tell(coordinator, read_record(RunDirectory(runs / "b").summary, Summary).status)
    return 0


def setting(*more: str) -> list[str]:
    """Return the words that set what a run needs, and more."""
    return [word for one in (*SETTINGS, *more) for word in ("--set", one)]


@contextmanager
def earlier_sites(sites: list[Path], path: str) -> Iterator[None]:
    """Run sites whose processes have another path than this one."""
    nodes, ours = [SuperNode(site) for site in sites], os.environ[_PATH]
    os.environ[_PATH] = path
    started = [node.launch() for node in nodes]
    os.environ[_PATH] = ours
    try:
        for node in nodes:
            node.wait_until_healthy()
        yield
    finally:
        end_processes([process for node in nodes for process in node.mark.marked_processes()])
        for process in started:
            process.wait()


def tell(coordinator: Path, outcome: str) -> None:
    """Print what came of a run, and the revision of Flower's database."""
    database = coordinator / "flower" / "superlink.db"
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as opened:
        ((revision,),) = opened.execute("SELECT version_num FROM alembic_version")
    sys.stdout.write(f"Flower {version('flwr')}, database {revision}: {outcome}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
