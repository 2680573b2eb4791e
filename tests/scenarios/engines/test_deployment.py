"""A consortium on this machine, over TLS, with Flower's own programs.

One plaintext run tests everything: every bundle in it is hostile, and an unregistered node, a node
that trusts another authority, and a run that the coordinator did not order try to get in.
`make test` checks the same in the encrypted run of test_deaths.py.
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
from consortium.deployment.processes import end_processes
from consortium.deployment.run_orders import RunOrder as Ordered
from consortium.deployment.supernode import SuperNode
from consortium.provisioning.certificates import Authority, pem_bytes
from consortium.provisioning.public_halves import create_node_key
from consortium.run.directory import COORDINATOR, SITE, RunDirectory
from consortium.run.records import Summary, read_record
from consortium.site.directory import SiteDirectory
from scenarios.attacks.assignment import draw_liars
from scenarios.engines.deployment import await_end, running_consortium, set_up_consortium
from scenarios.engines.runner import NoLiarsThere, ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named

HEART = replace(scenario_named("heart-diagnosis"), sites=("cleveland", "hungary"))
# Two of the four sites have fewer steps than that in their passes.
CONFIG: dict[str, Scalar] = {"num-server-rounds": 1, "min-local-steps": 24}
WAIT_S = 90.0


def started_under(path: Path) -> list[int]:
    """Return every process that was started for a directory below a path."""
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
    """A finished run.

    Args:
        run: Its directory.
        marker: Where hostile code writes the name of the program that imports it.
        unordered: How the run ended that the coordinator did not order.
        nodes: Number of nodes that Flower registered.
        left: Processes still alive afterwards.
    """

    run: RunDirectory
    marker: Path
    unordered: str
    nodes: int
    left: list[int]


def make_hostile(app: Path, marker: Path) -> None:
    """Change a staged app so that it records every program that imports it."""
    line = f"import sys; open({str(marker)!r}, 'a').write(sys.argv[0] + chr(10))\n"
    for path in app.rglob("*.py"):
        if "__future__" not in path.read_text():
            path.write_text(line + path.read_text())


def intruding_node(site: Path, folder: Path, *, authority: bytes | None = None) -> SuperNode:
    """Return a node with an unregistered key, or one that trusts another authority."""
    folder.mkdir(mode=0o700)
    for name in ("site.json", "charter.json", "authority.pem"):
        (folder / name).write_bytes((site / name).read_bytes())
    if authority is None:
        create_node_key(folder)
    else:
        (folder / "authority.pem").write_bytes(authority)
        SiteDirectory(folder).node_key.parent.mkdir(mode=0o700)
        SiteDirectory(folder).node_key.write_bytes(SiteDirectory(site).node_key.read_bytes())
        SiteDirectory(folder).node_key.chmod(0o600)
    return SuperNode(folder)


def await_words(node: SuperNode, words: str) -> str:
    """Wait until words appear in a node's log; return the log."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and words not in node.log.read_text():
        time.sleep(0.2)
    return node.log.read_text()


@contextmanager
def intruders(site: Path, folder: Path) -> Iterator[dict[str, SuperNode]]:
    """Start unregistered nodes, by kind; end them afterwards."""
    other = pem_bytes(Authority.create("other", now=datetime.now(UTC)).certificate)
    nodes = {
        "unknown": intruding_node(site, folder / "unknown"),
        "other authority": intruding_node(site, folder / "other", authority=other),
    }
    started = [node.launch() for node in nodes.values()]
    try:
        yield nodes
    finally:
        end_processes(
            [process for node in nodes.values() for process in node.mark.marked_processes()]
        )
        for process in started:
            process.wait()


def require_turned_away(nodes: dict[str, SuperNode]) -> None:
    """Check that no unregistered node was let in."""
    assert "Failed to activate SuperNode" in await_words(nodes["unknown"], "Exit Code")
    assert "CERTIFICATE_VERIFY_FAILED" in await_words(nodes["other authority"], "CERTIFICATE")


def revoke(control: Control, site: Path, name: str) -> str:
    """Remove a member's key from the kit, restart its node, and return its log."""
    path = control.superlink.directory / "nodes.json"
    left = {member: key for member, key in json.loads(path.read_text()).items() if member != name}
    path.write_text(json.dumps(left))
    control.enrol_nodes()
    node = SuperNode(site)
    end_processes(node.mark.marked_processes())
    node.log.write_text("")
    process = node.launch()
    told = await_words(node, "Exit Code")
    end_processes(node.mark.marked_processes())
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
    config, marker = HEART.config_with(CONFIG), folder / "marker"
    stage(run, HEART)
    sites = [run.site(name) for name in HEART.sites]
    set_up_consortium(run.path / "deployment", run.charter, sites)
    coordinator = run.path / "deployment" / "coordinator"
    with (
        running_consortium(coordinator, sites) as control,
        intruders(sites[0], folder) as nodes_at_the_door,
    ):
        make_hostile(coordinator / "app", marker)
        number = control.submit_order(Ordered(run=run.path, config=config.flat()))
        await_end(control, run, number)
        require_turned_away(nodes_at_the_door)
        unordered = ending_of(control, config)
        nodes = len(control.nodes())
    return Deployed(run, marker, unordered, nodes, started_under(folder))


def ending_of(control: Control, config: RunConfig) -> str:
    """Submit a run without `consortium run`, as anyone who reaches the port can."""
    number = control.start_run(config.flat())
    until = time.monotonic() + WAIT_S
    while not control.run_status(number).startswith("finished") and time.monotonic() < until:
        time.sleep(1)
    return control.run_status(number)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_deployment_gives_the_model_of_every_other_engine(
    deployed: Deployed, tmp_path: Path
) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    alone = run_scenario(ScenarioRun(scenario=HEART, config=HEART.config_with(CONFIG)), run)
    assert read_record(deployed.run.summary, Summary).model_digest == alone.model_digest


@pytest.mark.slow
def test_no_code_of_a_bundle_runs_anywhere(deployed: Deployed) -> None:
    """Except where it is built: `flwr run` imports the app that it packs."""
    assert importers(deployed.marker) <= {"flwr"}


@pytest.mark.slow
def test_a_deployment_leaves_no_process_behind(deployed: Deployed) -> None:
    assert deployed.left == []


@pytest.mark.slow
def test_no_site_can_read_the_directory_of_another(deployed: Deployed) -> None:
    for name in HEART.sites:
        assert deployed.run.site(name).stat().st_mode & 0o077 == 0
    assert (deployed.run.path / "deployment" / "coordinator").stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_unregistered_nodes_are_turned_away(deployed: Deployed) -> None:
    assert deployed.nodes == len(HEART.sites)


@pytest.mark.slow
def test_a_run_that_the_coordinator_did_not_order_is_refused(deployed: Deployed) -> None:
    assert deployed.unordered == "finished:failed"


def test_the_deployment_engine_refuses_liars(tmp_path: Path) -> None:
    scenario = scenario_named("heart-diagnosis")
    lies = draw_liars(scenario.sites, "sign-flip", liars=1, seed=7)
    order = ScenarioRun(
        scenario=scenario, config=scenario.config_with(CONFIG), engine="deployment", lies=lies
    )
    with pytest.raises(NoLiarsThere):
        run_scenario(order, new_run_directory(scenario, under=tmp_path, named=None))
