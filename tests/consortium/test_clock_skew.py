"""A clock that is a day wrong, at either end: what is refused, and what depends on no date."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from consortium.deployment.control_client import Control
from consortium.deployment.processes import end_processes, free_port
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supernode import SuperNode
from consortium.provisioning.certificates import Authority, pem_bytes, read_request
from consortium.run.party_directory import CoordinatorDirectory
from tests.consortium.founded import NAMES, NOW, Founded, found

DAY = timedelta(days=1)
WAIT_S = 60.0
REFUSED, ADMITTED = (f'/v1/fleet/activate-node HTTP/1.1" {status}' for status in (401, 200))

# Read by every Python that is started with it on its path, before anything else.
SKEW = """
from datetime import timedelta
from flwr.supercore import date
right = date.now
date.now = lambda: right() + timedelta(seconds={0})
"""


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    made = found(tmp_path / "banks", port=free_port())
    made.provision()
    made.install()
    return made


class Health(BaseHTTPRequestHandler):
    """Answers that all is well."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(HTTPStatus.OK)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def shown(founded: Founded) -> Iterator[SuperLink]:
    """Serve TLS with the coordinator's certificate and key, as the SuperLink does."""
    link = SuperLink(founded.coordinator)
    port = int(link.charter.coordinator.rpartition(":")[2])
    server = HTTPServer(("127.0.0.1", port), Health)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(link.paths.server_certificate, link.paths.server_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield link
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def begin(founded: Founded, begins: timedelta, days: int) -> None:
    """Give the coordinator a certificate that begins so long from now."""
    paths = CoordinatorDirectory(founded.coordinator)
    authority = Authority.read(paths.authority_key, paths.authority)
    request = read_request(paths.certificate_request)
    granted = authority.issue_certificate(request, now=NOW + begins, days=days)
    (founded.coordinator / "server.pem").write_bytes(pem_bytes(granted))


def test_a_certificate_is_accepted_in_its_time_only(founded: Founded) -> None:
    """Whose clock is a day wrong sees the one or the other: it connects to nobody."""
    with shown(founded) as link:
        assert link.is_healthy()
    begin(founded, DAY, 30)
    with shown(founded) as link:
        assert not link.is_healthy(), "not yet valid"
    begin(founded, -31 * DAY, 30)
    with shown(founded) as link:
        assert not link.is_healthy(), "expired yesterday"


def test_a_port_that_speaks_no_tls_is_no_superlink(founded: Founded) -> None:
    link = SuperLink(founded.coordinator)
    port = int(link.charter.coordinator.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)) as plain:
        threading.Thread(target=lambda: plain.accept()[0].close()).start()
        assert not link.is_healthy()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [-86_400, 86_400], ids=["yesterday", "tomorrow"])
def test_a_site_a_day_off_is_refused_at_the_door_and_the_others_are_not(
    founded: Founded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """Flower's nodes sign the time with every call; five minutes are allowed."""
    link = SuperLink(founded.coordinator)
    wrong, right = (SuperNode(founded.site(name)) for name in NAMES[:2])
    started = []
    try:
        started.append(link.start())
        control = Control(link)
        control.enrol_nodes()
        started.append(right.launch())
        shim = tmp_path / "shim"
        shim.mkdir()
        (shim / "sitecustomize.py").write_text(SKEW.format(seconds))
        monkeypatch.setenv("PYTHONPATH", f"{shim}:{Path(__file__).parents[2]}")
        started.append(wrong.launch())
        until = time.monotonic() + WAIT_S
        while REFUSED not in link.log.read_text() and time.monotonic() < until:
            time.sleep(0.2)
        assert REFUSED in link.log.read_text()
        while ADMITTED not in link.log.read_text() and time.monotonic() < until:
            time.sleep(0.2)
        states = {name: state for name, (state, _) in control.member_status().items()}
        assert states[right.name] == "online", json.dumps(states)
        assert states[wrong.name] != "online"
    finally:
        for mark in (wrong.mark, right.mark, link.mark):
            end_processes(mark.marked_processes())
        for process in started:
            process.wait()
