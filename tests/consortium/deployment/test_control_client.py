"""Requests of an operator to a real SuperLink over TLS, with no site running."""

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from flwr.proto.fleet_pb2 import ActivateNodeRequest, UnregisterNodeFleetRequest
from flwr.proto.message_pb2 import PushObjectRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.routers.runtime import create_runtime_router
from flwr.superlink.routers.control import router as control_router
from flwr.superlink.routers.fleet.router import router as fleet_router
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor
from typer.testing import CliRunner

from consortium.cli import coordinator as cli_coordinator
from consortium.cli import run as cli_run
from consortium.cli.run import NothingRuns
from consortium.config import RunConfig
from consortium.deployment import control_client as control
from consortium.deployment.control_client import Control, ControlRefused
from consortium.deployment.processes import end_processes, free_port
from consortium.deployment.site_gateway import SITE_PATHS
from consortium.deployment.status import coordinator_status
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supervisor import stop_service
from consortium.provisioning.installation import read_nodes
from consortium.site.directory import SiteDirectory
from tests.consortium.founded import HOST, NAMES, Founded, found

pytestmark = pytest.mark.timeout(300)
WAIT_S = 60.0


@dataclass(frozen=True)
class Up:
    """A consortium with a running SuperLink."""

    founded: Founded
    control: Control
    started: "list[subprocess.Popen[bytes]]"

    @property
    def coordinator(self) -> Path:
        """The coordinator's directory."""
        return self.founded.coordinator


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    founded = found(tmp_path_factory.mktemp("control"), port=free_port())
    founded.provision()
    founded.install()
    link = SuperLink(founded.coordinator)
    started = [link.start()]
    try:
        yield Up(founded, Control(link), started)
    finally:
        end_processes(link.mark.marked_processes())
        for process in started:
            process.wait()


@pytest.mark.slow  # a dozen commands of Flower, some seconds each
def test_the_operator_sees_enrols_orders_and_puts_out(up: Up) -> None:
    """One test for all commands, because each call to the SuperLink takes a second."""
    assert coordinator_status(up.coordinator)[-1] == "run          none yet"
    runner = CliRunner()
    for command in ("resume", "wait", "stop"):
        said = runner.invoke(cli_run.app, [command, str(up.coordinator)])
        assert isinstance(said.exception, NothingRuns), command
    up.control.enrol_nodes()
    assert set(up.control.member_status()) == set(read_nodes(up.coordinator))
    assert len(up.control.nodes()) == len(NAMES)
    number = unordered(up)
    with pytest.raises(ControlRefused, match="knows no run"):
        up.control.run_status(number + 1)
    put_out(up, "west")
    lines = coordinator_status(up.coordinator)
    assert [line.split()[1] for line in lines if line.startswith("node ")] == ["east", "north"]
    assert any(line.startswith("Flower") and str(number) in line for line in lines)
    assert "down" in next(line for line in lines if line.startswith("SuperLink"))


@pytest.mark.slow
def test_a_member_reaches_what_a_site_needs_and_not_the_operators_interface(up: Up) -> None:
    """It holds its node's key, trusts the authority, and knows Flower's own client."""
    up.control.enrol_nodes()
    link, site = up.control.superlink, up.founded.site("north")
    key = load_ssh_private_key(SiteDirectory(site).node_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    with FleetHttpClient.from_server_address(
        up.founded.charter.coordinator,
        insecure=False,
        root_certificates=(site / "authority.pem").read_bytes(),
        interceptors=[NodeAuthHttpInterceptor(key, key.public_key())],
    ) as member:
        public = public_key_to_bytes(key.public_key())
        activated = member.ActivateNode(
            ActivateNodeRequest(public_key=public, heartbeat_interval=30)
        )
        node = Node(node_id=activated.node_id)
        unregister = UnregisterNodeFleetRequest(node_id=node.node_id)
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            member.UnregisterNode(unregister)
        too_large = PushObjectRequest(node=node, object_content=bytes(8 * 2**20))
        with pytest.raises(httpx.HTTPStatusError, match="413"):
            member.PushObject(too_large)
    context = ssl.create_default_context(cafile=str(site / "authority.pem"))
    with httpx.Client(verify=context, trust_env=False) as curious:
        for path in sorted(superlink_paths() - SITE_PATHS - {"/health"}):
            asked = curious.post(f"https://{up.founded.charter.coordinator}{path}")
            assert asked.status_code == 404, path
    assert set(up.control.member_status()) == set(read_nodes(up.coordinator))
    said = link.log.read_text()
    assert "oversized-body: a party at 127.0.0.1 sent more than" in said
    assert "not-for-sites: a party at 127.0.0.1 asked for POST" in said


def superlink_paths() -> set[str]:
    """Return every path that Flower's SuperLink serves."""
    routers = (control_router, fleet_router, create_runtime_router("SuperLink"))
    return {getattr(route, "path", "") for router in routers for route in router.routes}


@pytest.mark.slow
def test_nobody_but_this_machine_reaches_the_superlink_itself(up: Up) -> None:
    family = up.control.superlink.mark.marked_processes()
    heard = {
        (one.laddr.ip, one.laddr.port)
        for process in family
        for one in process.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    }
    port = int(up.founded.charter.coordinator.rpartition(":")[2])
    assert (HOST, port) in heard
    assert {ip for ip, _ in heard - {(HOST, port)}} == {"127.0.0.1"}


@pytest.mark.slow
def test_a_registry_that_somebody_spoiled_is_put_right_by_one_command(up: Up) -> None:
    """Whoever sits at the coordinator's machine can unregister a node, and Flower never forgets."""
    up.control.enrol_nodes()
    link = up.control.superlink
    for node in up.control.nodes():
        up.control._call_flwr("supernode", "unregister", str(node["node-id"]))
    with pytest.raises(ControlRefused):
        up.control.enrol_nodes()
    end_processes(link.mark.marked_processes())
    words = ["coordinator", "up", str(up.coordinator), "--detach", "--fresh-registry"]
    command = [sys.executable, "-m", "consortium.cli.main", *words]
    try:
        subprocess.run(command, check=True)
        assert set(up.control.member_status()) == set(read_nodes(up.coordinator))
        refused = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (refused.returncode, "it has been running" in refused.stderr) == (1, True)
        assert set(up.control.member_status()) == set(read_nodes(up.coordinator))
    finally:
        stop_service(link)
        up.started.append(link.start())


def unordered(up: Up) -> int:
    """Start a run without an order; it fails and leaves nothing behind."""
    number = up.control.start_run(RunConfig().flat())
    until = time.monotonic() + WAIT_S
    while up.control.active_runs() and time.monotonic() < until:
        time.sleep(0.5)
    assert up.control.run_status(number) == "finished:failed"
    assert not (up.coordinator / "last-run").exists()
    with pytest.raises(ControlRefused, match="flwr stop"):
        up.control.stop_run(number)
    return number


def put_out(up: Up, name: str) -> None:
    """Remove a member from the coordinator's kit, and enrol the nodes again."""
    nodes = up.coordinator / "nodes.json"
    kept = {one: key for one, key in read_nodes(up.coordinator).items() if one != name}
    nodes.write_text(json.dumps(kept))
    up.control.enrol_nodes()
    assert set(up.control.member_status()) == set(kept)
    up.control.enrol_nodes()  # nothing is done twice
    assert len(up.control.nodes()) == len(kept)


def test_who_asks_a_superlink_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    founded = found(tmp_path / "away", port=free_port())
    founded.provision()
    founded.install()
    link = SuperLink(founded.coordinator)
    link.home.mkdir()
    assert not link.is_healthy()
    with pytest.raises(ControlRefused, match="flwr list"):
        Control(link).runs()
    said = CliRunner().invoke(cli_coordinator.app, ["down", str(founded.coordinator)])
    assert said.output == "nothing was running\n"
    lines = coordinator_status(founded.coordinator)
    assert lines[1:] == ["SuperLink    down", "run          none yet"]


@pytest.mark.parametrize("said", ["", "no json", "{", "[1]", "x [2] {"])
def test_what_is_no_json_object_says_nothing(said: str) -> None:
    assert control._json_in(said) == {}


def test_json_is_found_behind_other_words() -> None:
    assert control._json_in('warning: x\n{"success": true}\n') == {"success": True}
