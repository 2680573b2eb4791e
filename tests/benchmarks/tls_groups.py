"""Which key exchange the sites and the coordinator's gateway agree on, and which ones they offer.

`python -m tests.benchmarks.tls_groups [--json]` from the root of the repository. The gateway's own
server stands behind a relay on this machine, and httpx asks it with the settings of Flower's
SuperNode. The relay reads the groups in the first message of each end, which TLS 1.3 does not
encrypt (RFC 8446, sections 4.1.2, 4.1.3, 4.2.7 and 4.2.8).
"""

import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.types import Receive, Scope, Send

from consortium.deployment.processes import free_port
from consortium.deployment.site_gateway import gateway_server
from consortium.deployment.superlink import SuperLink
from consortium.provisioning.installation import init_coordinator
from tests.benchmarks.figures import options, print_figures

HOST = "127.0.0.1"
HYBRID = "X25519MLKEM768"
GROUPS = {
    0x0017: "secp256r1",
    0x0018: "secp384r1",
    0x0019: "secp521r1",
    0x001D: "x25519",
    0x001E: "x448",
    **{0x0100 + place: f"ffdhe{size}" for place, size in enumerate((2048, 3072, 4096, 6144, 8192))},
    0x11EC: HYBRID,
}
_SUPPORTED_GROUPS, _KEY_SHARE = 10, 51  # numbers of extensions
_RECORD_HEAD = 5
_HELLO_HEAD = 4 + 2 + 32  # kind and length, version, random


@dataclass
class Bytes:
    """Bytes that are read from the front."""

    left: bytes

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        taken, self.left = self.left[:size], self.left[size:]
        return taken

    def number(self, size: int) -> int:
        """Return the next number."""
        return int.from_bytes(self.take(size), "big")


def extensions(record: bytes, *, of_client: bool) -> Mapping[int, bytes]:
    """Return the extensions of a ClientHello or ServerHello by their number."""
    hello = Bytes(record[_RECORD_HEAD + _HELLO_HEAD :])
    hello.take(hello.number(1))  # the session
    if of_client:
        hello.take(hello.number(2))  # the cipher suites
        hello.take(hello.number(1))  # the compressions
    else:
        hello.take(2 + 1)  # the one suite, and the compression
    rest, found = Bytes(hello.take(hello.number(2))), {}
    while rest.left:
        number = rest.number(2)
        found[number] = rest.take(rest.number(2))
    return found


def offered_groups(client_hello: bytes) -> list[str]:
    """Return the names of the groups that a client offers, as it prefers them."""
    said = Bytes(extensions(client_hello, of_client=True)[_SUPPORTED_GROUPS])
    numbers = Bytes(said.take(said.number(2)))
    return [_name(number) for number in iter(lambda: numbers.number(2), 0)]


def agreed_group(server_hello: bytes) -> str:
    """Return the name of the group that a server chose."""
    return _name(Bytes(extensions(server_hello, of_client=False)[_KEY_SHARE]).number(2))


def _name(number: int) -> str:
    return GROUPS.get(number, hex(number))


@dataclass
class Relay:
    """A port before another one, that keeps the first bytes of each direction of a connection."""

    behind: int
    door: socket.socket = field(default_factory=lambda: socket.create_server((HOST, 0)))
    first: dict[str, bytes] = field(default_factory=dict)

    def serve_once(self) -> None:
        """Pass one connection on, both ways, until both ends have hung up."""
        site, _ = self.door.accept()
        with site, socket.create_connection((HOST, self.behind)) as server:
            back = threading.Thread(target=self._pass_on, args=("server", server, site))
            back.start()
            self._pass_on("client", site, server)
            back.join()

    def _pass_on(self, end: str, source: socket.socket, to: socket.socket) -> None:
        while data := source.recv(2**16):
            self.first.setdefault(end, data)
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def _standing_gateway(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield the port of a gateway's server that answers by itself, and its authority."""
    link = SuperLink(folder / "coordinator")
    init_coordinator(link.directory, hosts=(HOST,), now=datetime.now(UTC))
    port = free_port()
    server = gateway_server(link, _answer, host=HOST, port=port)  # type: ignore[arg-type]
    serving = threading.Thread(target=server.run, daemon=True)
    serving.start()
    while not server.started:
        time.sleep(0.02)
    yield port, link.paths.authority
    server.should_exit = True
    serving.join()


def measured_groups() -> dict[str, Any]:
    """Return what a site offers, what it and the gateway agree on, and with which libraries."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _standing_gateway(Path(folder)) as (port, authority),
    ):
        relay = Relay(port)
        passing = threading.Thread(target=relay.serve_once)
        passing.start()
        # As `flwr.supercore.protobuf.client` makes it.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=str(authority))
        with httpx.Client(verify=context) as site:
            site.get(f"https://{HOST}:{relay.door.getsockname()[1]}/health")
        passing.join()
        relay.door.close()
    offered, agreed = offered_groups(relay.first["client"]), agreed_group(relay.first["server"])
    return {
        "openssl": ssl.OPENSSL_VERSION,
        "httpx": httpx.__version__,
        "offered": offered,
        "agreed": agreed,
        "is_post_quantum": agreed == HYBRID,
    }


def main() -> None:
    """Measure and print."""
    asked = options(__doc__).parse_args()
    print_figures(measured_groups(), as_json=asked.json)


if __name__ == "__main__":
    main()
