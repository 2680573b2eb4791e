"""A consortium on this machine, over TLS, with Flower's own programs.

One deployed run, in the clear, carries what must hold of all: every bundle in it is hostile, and a
node nobody registered, one that trusts another authority, and a run nobody ordered knock while it
goes on. `make test` asks the same of the encrypted run of test_deaths.py.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from consortium.config import RunConfig, Scalar
from consortium.deployment.control_client import Control
from consortium.deployment.processes import end
from consortium.deployment.run_orders import RunOrder as Ordered
from consortium.deployment.supernode import SuperNode
from consortium.provisioning.certificates import Authority, pem
from consortium.provisioning.enrolment import new_node_key
from consortium.run.directory import COORDINATOR, SITE, RunDirectory
from consortium.run.records import Summary, read_record
from consortium.site.directory import node_key_path
from scenarios.attacks.assignment import draw_liars
from scenarios.engines.deployment import await_end, found, running
from scenarios.engines.runner import NoLiarsThere, ScenarioRun, carry_out
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named

HEART = replace(scenario_named("heart-diagnosis"), sites=("cleveland", "hungary"))
CONFIG: dict[str, Scalar] = {"num-server-rounds": 1}
WAIT_S = 90.0


def started_under(path: Path) -> list[int]:
    """Return every process that belongs to a directory below a path."""
    found_ = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        owner = environment.get(SITE) or environment.get(COORDINATOR) or ""
        if owner.startswith(str(path)):
            found_.append(process.pid)
    return found_


@dataclass(frozen=True)
class Deployed:
    """A run that is over.

    Args:
        run: Its directory.
        marker: What hostile code writes: the program that imports it.
        unordered: How the run that nobody ordered ended.
        nodes: Nodes that Flower knew.
        left: Processes alive afterwards.
    """

    run: RunDirectory
    marker: Path
    unordered: str
    nodes: int
    left: list[int]


def hostile(app: Path, marker: Path) -> None:
    """Make a staged app write down who imports any of it."""
    line = f"import sys; open({str(marker)!r}, 'a').write(sys.argv[0] + chr(10))\n"
    for path in app.rglob("*.py"):
        if "__future__" not in path.read_text():
            path.write_text(line + path.read_text())


def knocking(site: Path, folder: Path, *, authority: bytes | None = None) -> SuperNode:
    """Return a node with a key nobody registered, or one that trusts another authority."""
    folder.mkdir(mode=0o700)
    for name in ("site.json", "charter.json", "authority.pem"):
        (folder / name).write_bytes((site / name).read_bytes())
    if authority is None:
        new_node_key(folder)
    else:
        (folder / "authority.pem").write_bytes(authority)
        node_key_path(folder).parent.mkdir(mode=0o700)
        node_key_path(folder).write_bytes(node_key_path(site).read_bytes())
        node_key_path(folder).chmod(0o600)
    return SuperNode(folder)


def said(node: SuperNode, words: str) -> str:
    """Wait until a node says something; return all it said."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and words not in node.log.read_text():
        time.sleep(0.2)
    return node.log.read_text()


@contextmanager
def strangers(site: Path, folder: Path) -> Iterator[dict[str, SuperNode]]:
    """Start nodes that do not belong, by kind; end them."""
    other = pem(Authority.found("other", now=datetime.now(UTC)).certificate)
    nodes = {
        "unknown": knocking(site, folder / "unknown"),
        "other authority": knocking(site, folder / "other", authority=other),
    }
    started = [node.launch() for node in nodes.values()]
    try:
        yield nodes
    finally:
        end([process for node in nodes.values() for process in node.mark.family()])
        for process in started:
            process.wait()


def require_turned_away(nodes: dict[str, SuperNode]) -> None:
    """Check that no stranger was let in."""
    assert "Failed to activate SuperNode" in said(nodes["unknown"], "Exit Code")
    assert "CERTIFICATE_VERIFY_FAILED" in said(nodes["other authority"], "CERTIFICATE")


def revoke(control: Control, site: Path, name: str) -> str:
    """Take a member's key from the kit, let its node try again, and return what it was told."""
    path = control.superlink.directory / "nodes.json"
    left = {member: key for member, key in json.loads(path.read_text()).items() if member != name}
    path.write_text(json.dumps(left))
    control.enrol()
    node = SuperNode(site)
    end(node.mark.family())
    node.log.write_text("")
    process = node.launch()
    told = said(node, "Exit Code")
    end(node.mark.family())
    process.wait()
    return told


def importers(marker: Path) -> set[str]:
    """Return the programs that imported any of a hostile app."""
    lines = marker.read_text().splitlines() if marker.exists() else []
    return {Path(program).name for program in lines}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """Two hospitals, one round, in the clear."""
    folder = tmp_path_factory.mktemp("deployed")
    run = new_run_directory(HEART, under=folder, named=None)
    config, marker = HEART.configured(CONFIG), folder / "marker"
    stage(run, HEART)
    sites = [run.site(name) for name in HEART.sites]
    found(run.path / "deployment", run.charter, sites)
    coordinator = run.path / "deployment" / "coordinator"
    with running(coordinator, sites) as control, strangers(sites[0], folder) as nodes_at_the_door:
        hostile(coordinator / "app", marker)
        number = control.submit(Ordered(run=run.path, config=config.flat()))
        await_end(control, run, number)
        require_turned_away(nodes_at_the_door)
        unordered = ending_of(control, config)
        nodes = len(control.nodes())
    return Deployed(run, marker, unordered, nodes, started_under(folder))


def ending_of(control: Control, config: RunConfig) -> str:
    """Submit a run past `consortium run`, as anybody may who reaches the port."""
    number = control.begin(config.flat())
    until = time.monotonic() + WAIT_S
    while not control.status_of(number).startswith("finished") and time.monotonic() < until:
        time.sleep(1)
    return control.status_of(number)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_model_is_that_of_every_other_engine(deployed: Deployed, tmp_path: Path) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    alone = carry_out(ScenarioRun(scenario=HEART, config=HEART.configured(CONFIG)), run)
    assert read_record(deployed.run.summary, Summary).model_digest == alone.model_digest


@pytest.mark.slow
def test_no_code_of_a_bundle_runs_anywhere(deployed: Deployed) -> None:
    """But at who makes it: `flwr run` looks at the app that it packs."""
    assert importers(deployed.marker) <= {"flwr"}


@pytest.mark.slow
def test_nothing_is_left_behind(deployed: Deployed) -> None:
    assert deployed.left == []


@pytest.mark.slow
def test_no_site_can_look_into_another(deployed: Deployed) -> None:
    for name in HEART.sites:
        assert deployed.run.site(name).stat().st_mode & 0o077 == 0
    assert (deployed.run.path / "deployment" / "coordinator").stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_nodes_that_do_not_belong_are_turned_away(deployed: Deployed) -> None:
    assert deployed.nodes == len(HEART.sites)


@pytest.mark.slow
def test_a_run_nobody_ordered_is_not_run(deployed: Deployed) -> None:
    assert deployed.unordered == "finished:failed"


def test_liars_are_not_deployed(tmp_path: Path) -> None:
    scenario = scenario_named("heart-diagnosis")
    lies = draw_liars(scenario.sites, "sign-flip", liars=1, seed=7)
    order = ScenarioRun(
        scenario=scenario, config=scenario.configured(CONFIG), engine="deployment", lies=lies
    )
    with pytest.raises(NoLiarsThere):
        carry_out(order, new_run_directory(scenario, under=tmp_path, named=None))
