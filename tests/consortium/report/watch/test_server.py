"""Who has the address sees the page, nobody else does, and a stream tells what changes."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from consortium.provisioning.installation import init_coordinator
from consortium.report.watch.run_files import WatchedRun
from consortium.report.watch.server import PortTaken, serve_run, watch_app
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from tests.consortium.report.watch.runs_at_work import leading, text_of, write_run_at_work
from tests.docs.pages import ROOT

TOKEN = "the-token"  # noqa: S105 -- of a test
HERE = b"127.0.0.1:80"
CAME = {"at_s": 130.0, "event": "site-answered", "server_round": 3, "site": "cedar-bank"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunDirectory]:
    """A run at work."""
    found = write_run_at_work(tmp_path_factory.mktemp("served") / "spring")
    with leading(found):
        yield found


@pytest.fixture(scope="module")
def app(run: RunDirectory) -> ASGIApp:
    """The application that shows it."""
    return watch_app(WatchedRun.at(run.path), TOKEN)


@dataclass(frozen=True)
class Answer:
    """An answer of the application, as far as it was received."""

    status: int
    headers: dict[str, str]
    body: str


def ask(app: ASGIApp, path: str, *hosts: bytes, method: str = "GET") -> Answer:
    """Return the answer; the client leaves after the first part of the body."""
    return asyncio.run(_ask(app, path, hosts, method))


async def _ask(app: ASGIApp, path: str, hosts: tuple[bytes, ...], method: str) -> Answer:
    sent: list[Any] = []
    part_came = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await part_came.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if message.get("body"):
            part_came.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", host) for host in hosts],
    }
    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(one.get("body", b"") for one in sent[1:]).decode()
    return Answer(sent[0]["status"], headers, body)


@pytest.mark.parametrize("host", [HERE, b"127.0.0.1", b"localhost", b"localhost:8080"])
def test_who_has_the_address_sees_the_page(app: ASGIApp, host: bytes) -> None:
    answer = ask(app, f"/{TOKEN}/", host)
    assert answer.status == 200
    assert "cedar-bank | yes: asked, its answer is awaited" in text_of(answer.body)


def test_the_page_may_load_and_run_nothing_but_itself(app: ASGIApp) -> None:
    """Each page has a nonce of its own; style and script bear it; nothing names a server."""
    pages = [ask(app, f"/{TOKEN}/", HERE) for _ in range(2)]
    policies = [page.headers["content-security-policy"] for page in pages]
    nonces = [re.findall(r"'nonce-([^']+)'", policy) for policy in policies]
    assert len({*nonces[0], *nonces[1]}) == 2
    assert policies[0] == (
        f"default-src 'none'; script-src 'nonce-{nonces[0][0]}'; style-src 'nonce-{nonces[0][0]}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert re.findall(r"<(?:script|style)[^>]*>", pages[0].body) == [
        f'<style nonce="{nonces[0][0]}">',
        f'<script nonce="{nonces[0][0]}">',
    ]
    assert not re.search(r"https?://|\bsrc=|\bhref=|\bstyle=|url\(", pages[0].body)
    assert pages[0].headers["cache-control"] == "no-store"
    assert pages[0].headers["referrer-policy"] == "no-referrer"


@settings(max_examples=30)
@given(st.text(max_size=40).map(lambda text: f"/{text}"), st.sampled_from(["GET", "POST", "PUT"]))
def test_no_request_without_the_token_is_answered(app: ASGIApp, path: str, method: str) -> None:
    assert ask(app, path, HERE, method=method).status == 404


@pytest.mark.parametrize("path", [f"/{TOKEN}", f"/{TOKEN}/other", f"/{TOKEN}x/", f"//{TOKEN}/"])
def test_the_token_alone_opens_nothing_but_the_page(app: ASGIApp, path: str) -> None:
    assert ask(app, path, HERE).status == 404


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        (b"evil.example",),
        (b"127.0.0.1.evil.example:80",),
        (b"localhost.evil.example",),
        (b"127.0.0.1@evil.example",),
        (HERE, b"evil.example"),
        (b"",),
    ],
)
def test_a_name_that_only_leads_here_is_refused(app: ASGIApp, hosts: tuple[bytes, ...]) -> None:
    """With the right token too: a page elsewhere may have its name resolve to 127.0.0.1."""
    answer = ask(app, f"/{TOKEN}/", *hosts)
    assert answer.status == 403
    assert "<h1>Forbidden</h1>" in answer.body
    assert "spring" not in answer.body


def test_the_stream_ends_when_the_client_leaves(app: ASGIApp) -> None:
    """The application returns, so no generator is left running."""
    answer = ask(app, f"/{TOKEN}/changes", HERE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "amber-bank" in json.loads(answer.body.removeprefix("data: "))


def test_a_port_that_is_taken_is_refused(run: RunDirectory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {number} cannot be used"):
            serve_run(run.path, port=number, tell=print)


@dataclass(frozen=True)
class Served:
    """A page that a command serves."""

    process: subprocess.Popen[str]
    address: str

    @contextmanager
    def answer(self, path: str) -> Iterator[HTTPResponse]:
        """Ask; the body of the answer can be read as it comes."""
        with closing(HTTPConnection(urlsplit(self.address).netloc, timeout=300)) as connection:
            connection.request("GET", path)
            with connection.getresponse() as response:
                yield response

    @property
    def path(self) -> str:
        """The secret part of the address."""
        return urlsplit(self.address).path


def serve(program: str, *words: str) -> Served:
    """Start a command, and return it with the address that it prints first."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {program} import main; main()", "watch", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    return Served(process, process.stdout.readline().strip())


def end(served: Served) -> str:
    """End a command by Ctrl-C; return what it printed after the address."""
    served.process.send_signal(signal.SIGINT)
    status = served.process.wait(timeout=300)
    assert served.process.stdout is not None
    with served.process.stdout as rest:
        printed = rest.read()
    assert status == 0, printed
    return printed


def test_the_command_serves_until_ctrl_c_and_tells_what_changes(tmp_path: Path) -> None:
    """A stream that is open does not keep it, and nothing that it prints holds the address."""
    run = write_run_at_work(tmp_path / "spring")
    served = serve("scenarios.cli.main", str(run.path))
    try:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{43}/", served.address)
        with served.answer("/") as elsewhere:
            assert elsewhere.status == 404
        with served.answer(f"{served.path}changes") as stream:
            assert "cedar-bank" in json.loads(stream.readline().removeprefix(b"data: "))
            with run.events.open("a") as file:
                file.write(json.dumps(CAME) + "\n")
            assert stream.readline() == b"\n"
            told = text_of(json.loads(stream.readline().removeprefix(b"data: ")))
            assert "cedar-bank | yes: its answer is here" in told
            printed = end(served)
    finally:
        served.process.kill()
    assert printed == "Open it in a browser on this machine. Ctrl-C ends it.\n"


def test_a_coordinator_watches_its_last_run_or_another(tmp_path: Path) -> None:
    init_coordinator(tmp_path, hosts=("127.0.0.1",), now=datetime.now(UTC))
    paths = CoordinatorDirectory(tmp_path)
    write_run_at_work(paths.run("spring"))
    served = serve("consortium.cli.main", str(tmp_path), "spring")
    try:
        with served.answer(served.path) as page:
            assert "spring" in page.read().decode()
        end(served)
    finally:
        served.process.kill()
