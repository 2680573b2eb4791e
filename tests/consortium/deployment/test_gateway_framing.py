"""What a party writes on the line: however it frames its questions, the door holds.

Everything here goes over TLS to the gateway's own server, with a server behind it.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from consortium.coordinator.reply_bound import ReplyBound
from consortium.deployment.loopback_transport import LoopbackTransport
from consortium.deployment.processes import free_port
from consortium.deployment.site_gateway import SiteGateway, gateway_server
from consortium.deployment.superlink import SuperLink
from consortium.provisioning.installation import init_coordinator

HOST = "127.0.0.1"
RUN, CONTROL = "/v1/fleet/get-run", "/v1/control/list-runs"
WAITING = "/v1/fleet/get-fab"  # may reach the server behind after its test is over
LIMIT_S = 20.0


@dataclass
class Door:
    """The gateway's server, and what reached the server behind it."""

    port: int
    context: ssl.SSLContext
    all_reached: list[tuple[str, bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer behind the door; note whole questions."""
        body, event = b"", await receive()
        while event["type"] == "http.request" and event.get("more_body"):
            body, event = body + event["body"], await receive()
        if event["type"] == "http.disconnect":
            return
        self.all_reached.append((scope["path"], body + event.get("body", b"")))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answered"})

    def reached(self, *paths: str) -> list[tuple[str, bytes]]:
        """Return the questions of these paths, or of all but `WAITING`, with their bodies."""
        return [
            one for one in self.all_reached if (one[0] in paths if paths else one[0] != WAITING)
        ]

    def connection(self) -> ssl.SSLSocket:
        """Return a new connection to the door."""
        plain = socket.create_connection((HOST, self.port), timeout=LIMIT_S)
        return self.context.wrap_socket(plain, server_hostname=HOST)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    link = SuperLink(tmp_path_factory.mktemp("door") / "coordinator")
    init_coordinator(link.directory, hosts=(HOST,), now=datetime.now(UTC))
    paths, port = link.paths, free_port()
    context = ssl.create_default_context(cafile=str(paths.authority))
    door = Door(free_port(), context)
    files = {"ssl_certfile": paths.server_certificate, "ssl_keyfile": paths.server_key}
    behind = uvicorn.Server(
        uvicorn.Config(door, HOST, port, **files, ws="none", lifespan="off", log_config=None)  # type: ignore[arg-type]
    )
    asking = LoopbackTransport(HOST, port, context, connect_s=5.0, idle_s=4.0)
    app = SiteGateway(asking, lambda: ReplyBound(numbers=100))
    before = gateway_server(link, app, host=HOST, port=door.port)

    async def serve() -> None:
        async with asking:
            await before.serve()

    threads = [
        threading.Thread(target=behind.run, daemon=True),
        threading.Thread(target=lambda: uvloop.run(serve()), daemon=True),
    ]
    for thread in threads:
        thread.start()
    while not (behind.started and before.started):
        assert all(thread.is_alive() for thread in threads)
        time.sleep(0.02)
    yield door
    before.should_exit = behind.should_exit = True
    for thread in threads:
        thread.join(LIMIT_S)


@pytest.fixture
def door(standing: Door) -> Door:
    standing.all_reached.clear()
    return standing


def question(head: str = "", body: str = "", *, path: str = RUN, method: str = "POST") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nhost: x\r\n{head}\r\n{body}".encode()


def statuses(door: Door, *sent: bytes) -> list[int]:
    """Send the parts of a question; return the status of each answer, once the door hangs up."""
    with door.connection() as line:
        got = b""
        try:
            for part in sent:
                line.sendall(part)
            while part := line.recv(2**16):
                got += part
        except (ConnectionError, ssl.SSLError):
            pass  # it hung up while we sent
    return [int(one[:3]) for one in got.split(b"HTTP/1.1 ")[1:]]


LAST = question("connection: close\r\n", path="/health", method="GET")
CHUNKED = "transfer-encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (question("content-length: 2\r\ncontent-length: 2\r\n", "ab"), 400),
        (question("content-length: 2\r\ncontent-length: 5\r\n", "abcde"), 400),
        (question("content-length: 2\r\n" + CHUNKED, "5\r\nabcde\r\n0\r\n\r\n"), 400),
        (question(CHUNKED + "content-length: 9\r\n", "5\r\nabcde\r\n0\r\n\r\n"), 400),
        (question(f"content-length: {'0' * 30}2\r\n", "ab"), 400),
        (question("content-length: 5\r\n", "abcde", path="/health", method="GET"), 400),
        (question("connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n", "ab"), 400),
        (question(path=CONTROL), 404),
        (question(path="/v1/fleet/../control/list-runs"), 404),
        (question(path="/v1/fleet/%2e%2e/control/list-runs"), 404),
        (question(path="//v1/control/list-runs"), 404),
        (question(path=f"https://{HOST}{CONTROL}"), 404),
        (question(path=f"{RUN}/../../control/list-runs"), 404),
        (question("x-original-url: /health\r\n", path=CONTROL), 404),
        (question(path=f"{HOST}:1", method="CONNECT"), 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
def test_what_can_be_read_in_two_ways_or_is_not_for_sites_reaches_nothing(
    door: Door, caplog: pytest.LogCaptureFixture, sent: bytes, answered: int
) -> None:
    """And leaves no lines in the log by the question: whoever asks must not fill the disk."""
    assert statuses(door, sent)[0] == answered
    assert door.reached() == []
    assert [one.getMessage() for one in caplog.records if one.name.startswith("uvicorn")] == []


@pytest.mark.parametrize(
    "sent",
    [
        [question("content-length: 2\r\n", "ab")],
        [question(CHUNKED, "1\r\na\r\n1\r\nb\r\n0\r\n\r\n")],
        [question("expect: 100-continue\r\ncontent-length: 2\r\n"), b"ab"],
        [question("content-length: 2\r\n", "a"), b"b"],
        [question("content-length: 2\r\n", "ab", path="/v1/fleet/get%2Drun")],
        [question("content-length: 2\r\n", "ab", path=f"https://elsewhere.example{RUN}")],
    ],
)
def test_what_a_site_may_ask_arrives_whole_however_it_is_framed(
    door: Door, sent: list[bytes]
) -> None:
    assert statuses(door, *sent, LAST)[-2:] == [200, 200]
    assert door.reached() == [(RUN, b"ab"), ("/health", b"")]


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"POST /v1/fleet/get-run HTTP/1.1\r\nx: ", b"a"),
        (b"POST /v1/fleet/get-run HTTP/1.1\r\n", b"x: aaaaaaaa\r\n"),
        (b"POST /", b"a"),
        (b"", b"\r\n"),
        (question(CHUNKED, "1;"), b"a"),
        (question(CHUNKED, "0\r\n"), b"x: aaaaaaaa\r\n"),
    ],
    ids=["a value", "headers", "a path", "blank lines", "a chunk's extension", "trailers"],
)
def test_a_head_without_end_is_cut_off(door: Door, first: bytes, more: bytes) -> None:
    """It would be kept whole, for anybody who sends it."""
    with door.connection() as line:
        try:
            line.sendall(first + more * (2**20 // len(more)))
            assert line.recv(1) == b"", "it waits for more"
        except (ConnectionError, ssl.SSLError):
            pass  # it hung up while we sent


def test_of_many_questions_at_once_no_more_than_one_waits(door: Door) -> None:
    """A question that waits costs kilobytes, and is sent in 30 bytes."""
    answers = statuses(door, question("content-length: 0\r\n", path=WAITING) * 2000)
    assert len(door.reached(WAITING)) <= 2
    assert answers.count(200) <= 2
