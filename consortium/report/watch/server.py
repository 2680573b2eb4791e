"""Serve the page of a run on 127.0.0.1, to whoever has its address, and tell it what changes."""

import asyncio
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from consortium.report.watch.page_state import page_state
from consortium.report.watch.run_files import WatchedRun
from consortium.wording.pages import render_page
from privacy.errors import ConsortiumError

_HERE = "127.0.0.1"
_HOSTS = frozenset({_HERE, "localhost"})
_TOKEN_BYTES = 32
_LOOK_EVERY_S = 1.0
_ALIVE_EVERY_S = 15.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NO_NAME = "This page answers to 127.0.0.1 and localhost only, on the machine that serves it."
_NO_PAGE = (
    "Nothing is at this address. The page of a run has a secret one, which is new at each start: "
    "open the whole of what the command printed."
)


class PortTaken(ConsortiumError, OSError, code="port-taken"):
    """The port that was asked for cannot be used."""


def serve_run(path: Path, *, port: int, tell: Callable[[str], None]) -> None:
    """Serve the page of a run until Ctrl-C.

    Guarantee: it listens on 127.0.0.1 alone, and answers nobody who does not know the random part
    of the address, which is new each time.

    Args:
        path: The directory of the run.
        port: The port; 0 for any that is free.
        tell: Is told the address, once the page can be opened.

    Raises:
        BadRunDirectory: There is no run.
        BadCharter: Its charter is invalid.
        PortTaken: The port cannot be used.
    """
    watched, token = WatchedRun.at(path), secrets.token_urlsafe(_TOKEN_BYTES)
    with _listening(port) as listener:
        config = uvicorn.Config(
            watch_app(watched, token, stops=lambda: server.should_exit),
            lifespan="off",
            ws="none",
            access_log=False,  # it would hold the address
            server_header=False,
            log_level="warning",
            timeout_graceful_shutdown=3,
        )
        server = uvicorn.Server(config)
        tell(f"http://{_HERE}:{listener.getsockname()[1]}/{token}/")
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            return  # uvicorn raises it again after it has stopped


def watch_app(
    watched: WatchedRun, token: str, *, stops: Callable[[], bool] = lambda: False
) -> ASGIApp:
    """Return the application that shows a run.

    Args:
        watched: The run.
        token: The random part of the address, which every request must have.
        stops: Whether the server is about to stop, so that streams must end.
    """
    shown = _Shown(watched)

    async def page(_request: Request) -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        text = render_page("watch.html.j2", state=page_state(watched.read()), nonce=nonce)
        return HTMLResponse(text, headers={**_HEADERS, "Content-Security-Policy": _policy(nonce)})

    async def changes(_request: Request) -> StreamingResponse:
        told = _changes(shown, stops)
        return StreamingResponse(told, media_type="text/event-stream", headers=_HEADERS)

    app = Starlette(
        routes=[Route(f"/{token}/", page), Route(f"/{token}/changes", changes)],
        middleware=[Middleware(_Guard, token=token)],
    )
    app.router.redirect_slashes = False
    return app


@dataclass
class _Shown:
    """What the page shows, rendered once a second however many look at it."""

    watched: WatchedRun
    _html: str = ""
    _until: float = field(default=0.0)

    def html(self) -> str:
        now = time.monotonic()
        if now >= self._until:
            self._html = render_page("watch_state.html.j2", state=page_state(self.watched.read()))
            self._until = now + _LOOK_EVERY_S / 2
        return self._html


async def _changes(shown: _Shown, stops: Callable[[], bool]) -> AsyncIterator[str]:
    """Yield the page's body whenever it changes, as server-sent events, and signs of life."""
    told, spoke = "", time.monotonic()
    while not stops():
        html = shown.html()
        if html != told:
            told, spoke = html, time.monotonic()
            yield f"data: {json.dumps(html)}\n\n"
        elif time.monotonic() - spoke > _ALIVE_EVERY_S:
            spoke = time.monotonic()
            yield ": nothing new\n\n"
        await asyncio.sleep(_LOOK_EVERY_S)


class _Guard:
    """Lets a request pass that names this machine and has the token; answers 403 or 404 else.

    A page elsewhere whose name resolves to 127.0.0.1 (DNS rebinding) names itself as the host.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if not _names_this_machine(scope):
            await _refusal(403, "Forbidden", _NO_NAME)(scope, receive, send)
        elif not self._has_token(scope):
            await _refusal(404, "Not found", _NO_PAGE)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _has_token(self, scope: Scope) -> bool:
        first = scope["path"].split("/")[1:2]
        return bool(first) and secrets.compare_digest(first[0].encode(), self._token)


def _refusal(status: int, title: str, told: str) -> HTMLResponse:
    """Return a page that says nothing of a run, as who asks for it may not read it."""
    page = render_page("refused.html.j2", title=title, told=told)
    policy = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
    return HTMLResponse(page, status, {**_HEADERS, **policy})


def _names_this_machine(scope: Scope) -> bool:
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return len(hosts) == 1 and hosts[0].partition(":")[0] in _HOSTS


def _policy(nonce: str) -> str:
    """Return the policy of the page: its own style and script, its own stream, and no more."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _listening(port: int) -> socket.socket:
    """Return a socket that listens on 127.0.0.1."""
    try:
        return socket.create_server((_HERE, port))
    except (OSError, OverflowError) as error:
        raise PortTaken(f"port {port} cannot be used: give another one, or none") from error
