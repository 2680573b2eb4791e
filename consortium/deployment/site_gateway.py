"""The door of a coordinator or a hub: a reverse proxy in front of Flower's SuperLink.

Flower serves sites, operators and its own processes on one port. That port is bound to the loopback
address, and only what a site needs passes from here to it: the paths in `SITE_PATHS`, in bodies no
larger than the model asks for. Bodies are passed on as they come and are never parsed.

Run as a program, it starts the SuperLink, stands in front of it, and ends when the SuperLink does.
"""

import logging
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from pathlib import Path

import httpx
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from consortium.coordinator.reply_bound import (
    ReplyBound,
    answers_in_one,
    counted_numbers,
    read_bound,
)
from consortium.deployment.loopback_transport import LoopbackTransport
from consortium.deployment.superlink import SuperLink
from privacy.errors import ConsortiumError

_PUSH_PIECE, _PUSH_ENVELOPE = "/v1/fleet/push-object", "/v1/fleet/push-messages"
_HEALTH = "/health"
# A node never registers or unregisters itself here: the operator does both, on the loopback.
SITE_PATHS = frozenset(
    {
        _PUSH_PIECE,
        _PUSH_ENVELOPE,
        *(
            f"/v1/fleet/{name}"
            for name in (
                "activate-node",
                "deactivate-node",
                "send-node-heartbeat",
                "pull-messages",
                "get-run",
                "get-fab",
                "pull-object",
                "confirm-message-received",
            )
        ),
    }
)
_BEHIND = "https://superlink"  # a name for the head of a request: the connection decides where
_OTHER_BYTES = 2**16  # every other question of a node is a few names
_HEAD_BYTES = 2**16  # the head of a node's question is a kilobyte
_CONNECTION_HEADERS = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer", b"host"}
)
# Above the 3 s between two questions of a node that waits, so that a connection serves both; below
# the 5 s after which the SuperLink closes a connection that nobody uses.
_IDLE_S = 4.0
_LOG_EVERY_S = 60.0
_LOOK_S = 0.5
_STOP_LIMIT_S = 5.0


_LOG = logging.getLogger(__name__)


class NotForSites(ConsortiumError, PermissionError, code="not-for-sites"):
    """A party asked at the coordinator's port for something other than what a site needs."""


class OversizedBody(ConsortiumError, ValueError, code="oversized-body"):
    """A party sent more than an answer of this run can hold; it was cut off there."""


class _Gone(Exception):
    """The party or the SuperLink hung up in the middle; there is nobody to tell."""


class SiteGateway:
    """Passes on what a site may ask the SuperLink, and refuses everything else.

    Guarantee: a request reaches the SuperLink only with one of `SITE_PATHS` as its whole path, the
    method POST, and at most as many bytes as `bound` allows; or as `GET /health`. A refused one is
    logged by its code, at most once a minute for each code.

    Args:
        link: Asks the SuperLink.
        bound: Returns how large an answer can be at this moment.
    """

    def __init__(self, link: httpx.AsyncBaseTransport, bound: Callable[[], ReplyBound]) -> None:
        self._link = link
        self._bound = bound
        self._refusals = _RefusalLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI asks for it."""
        if scope["type"] != "http":
            return
        try:
            await self._pass_on(scope, receive, send)
        except NotForSites as error:
            self._refusals.note(error)
            await _answer(send, 404)
        except OversizedBody as error:
            self._refusals.note(error)
            await _answer(send, 413)
        except httpx.LocalProtocolError:  # its head does not fit its body
            await _answer(send, 400)
        except (httpx.TransportError, OSError):  # the SuperLink is down: nodes ask again
            await _answer(send, 503)
        except _Gone:
            return

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if (method, path) != ("GET", _HEALTH) and not (method == "POST" and path in SITE_PATHS):
            raise NotForSites(f"{_party(scope)} asked for {method} {path[:80]!r}")
        most = self._most_bytes(path)
        headers = [pair for pair in scope["headers"] if pair[0] not in _CONNECTION_HEADERS]
        _require_declared_size(scope, most)
        body = None if method == "GET" else _bounded_body(scope, receive, most)
        # the path is ours and not the party's bytes, so no second reading of it can differ
        request = httpx.Request(method, _url_of(path), headers=headers, content=body)
        answered = await self._link.handle_async_request(request)
        try:
            await _relay(answered, send)
        finally:
            await answered.aclose()

    def _most_bytes(self, path: str) -> int:
        if path == _PUSH_PIECE:
            return self._bound().piece_bytes
        if path == _PUSH_ENVELOPE:
            return self._bound().envelope_bytes
        return _OTHER_BYTES


@lru_cache(maxsize=len(SITE_PATHS) + 1)
def _url_of(path: str) -> httpx.URL:
    return httpx.URL(_BEHIND + path)


class _RefusalLog:
    """Logs refusals, at most one a minute of each code: who refuses must not fill its own disk."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def note(self, error: ConsortiumError) -> None:
        now = time.monotonic()
        if now - self._told.get(error.code, -_LOG_EVERY_S) < _LOG_EVERY_S:
            self._untold[error.code] = self._untold.get(error.code, 0) + 1
            return
        self._told[error.code] = now
        more = self._untold.pop(error.code, 0)
        _LOG.warning("%s: %s%s", error.code, error, f" ({more} more before)" if more else "")


async def _relay(answered: httpx.Response, send: Send) -> None:
    headers = [
        (name.lower(), value)
        for name, value in answered.headers.raw
        if name.lower() not in _CONNECTION_HEADERS
    ]
    await send({"type": "http.response.start", "status": answered.status_code, "headers": headers})
    try:
        async for part in answered.aiter_raw():
            await send({"type": "http.response.body", "body": part, "more_body": True})
    except (
        httpx.TransportError,
        OSError,
    ) as error:  # too late for another status: the answer just breaks off
        raise _Gone from error
    await send({"type": "http.response.body", "body": b""})


async def _bounded_body(scope: Scope, receive: Receive, most: int) -> AsyncIterator[bytes]:
    """Yield the parts of a body as they come.

    Raises:
        OversizedBody: It is larger than allowed; nothing beyond was passed on.
        _Gone: The party hung up.
    """
    n_bytes, more = 0, True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise _Gone
        part, more = event.get("body", b""), event.get("more_body", False)
        n_bytes += len(part)
        if n_bytes > most:
            raise OversizedBody(_oversize_text(scope, most))
        yield part


def _require_declared_size(scope: Scope, most: int) -> None:
    """Refuse a body by the size that its sender declares, before any of it is read."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    if not declared.isdigit() or int(declared[:20]) > most:
        raise OversizedBody(_oversize_text(scope, most))


def _oversize_text(scope: Scope, most: int) -> str:
    return (
        f"{_party(scope)} sent more than {most:,} bytes to {scope['path']}, which is the most that "
        "an answer of this run can hold"
    )


def _party(scope: Scope) -> str:
    client = scope.get("client")
    return f"a party at {client[0]}" if client else "a party"


async def _answer(send: Send, status: int) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class _ManyQuestions(Exception):
    """A party asks on and on before it has its answer, which no node does."""


class _SmallHeads(HttpToolsProtocol):
    """HTTP with heads of a bounded size, and at most one question that waits.

    Guarantee: of a connection, no more is kept than `_HEAD_BYTES` of a head or of what follows a
    body, what was read last, and the part of a body that was not passed on yet. uvicorn by itself
    keeps whole heads, and all questions that wait, however much comes.
    """

    _n_head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take what came; hang up if it is more of a head than a node sends."""
        self._n_head_bytes += len(data)
        super().data_received(data)
        if self._n_head_bytes > _HEAD_BYTES:
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Begin to answer, or let the question wait if it is the only one."""
        if self.pipeline:
            raise _ManyQuestions
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, which its reader bounds."""
        self._n_head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a question; the next head begins."""
        self._n_head_bytes = 0
        super().on_message_complete()


def gateway_server(link: SuperLink, app: SiteGateway, *, host: str, port: int) -> uvicorn.Server:
    """Return the server at the coordinator's address, with its TLS certificate."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_SmallHeads,
        ssl_certfile=str(link.paths.server_certificate),
        ssl_keyfile=str(link.paths.server_key),
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="error",  # uvicorn has a line for each request that is no HTTP
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def superlink_transport(link: SuperLink) -> LoopbackTransport:
    """Return what asks the SuperLink on the loopback address."""
    host, _, port = link.loopback_address.partition(":")
    return LoopbackTransport(
        host,
        int(port),
        ssl.create_default_context(cafile=str(link.loopback.authority)),
        connect_s=_STOP_LIMIT_S,
        idle_s=_IDLE_S,
    )


def stand_before(link: SuperLink, *, host: str, port: int) -> None:
    """Start the SuperLink and its door; return when one of them ends, or at SIGTERM."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    behind = subprocess.Popen(link.flower_command())  # noqa: S603 -- Flower's own program
    charter = link.charter
    counted, answers = counted_numbers(charter), answers_in_one(charter, link.hub)
    asking = superlink_transport(link)
    app = SiteGateway(asking, lambda: read_bound(link.directory, counted, answers))
    server = gateway_server(link, app, host=host, port=port)

    async def serve() -> None:
        async with asking:  # the SuperLink waits at its end until its connections are closed
            await server.serve()

    # outside the main thread, so that the server leaves SIGTERM to this function
    serving = threading.Thread(target=lambda: uvloop.run(serve()), daemon=True)
    serving.start()
    while behind.poll() is None and serving.is_alive() and not told.wait(_LOOK_S):
        pass
    server.should_exit = True
    serving.join(_STOP_LIMIT_S)
    behind.terminate()
    try:
        behind.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        behind.kill()
        behind.wait()


def main() -> None:
    """Run the door of the coordinator in the first argument, on the address in the next two."""
    directory, host, port = sys.argv[1:]
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    stand_before(SuperLink(Path(directory)), host=host, port=int(port))


if __name__ == "__main__":
    main()
