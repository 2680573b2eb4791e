"""Flower's own services, once with all their layers and once spared, asked the same."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.fleet_pb2 import ActivateNodeRequest, PullMessagesRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES
from flwr.superlink.main import create_app
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from consortium.deployment.flower_entrypoints import spared
from consortium.deployment.programs.unary_layers import spared_layers

PROTOBUF = {"content-type": "application/protobuf"}
PATHS = sorted(
    {path for _, path in PROTOBUF_REQUEST_TYPES if not path.startswith("/v1/control/")}
    | {f"/v1/control/{name}" for name in ("list-apps", "create-federation", "get-auth-tokens")}
    | {"/v1/runtime/responses", "/health", "/v1/fleet/", "/v1/fleet/pull-messages/"}
    | {"/v1/fleet/../control/list-apps", "/v1/fleet/%2e%2e/control/list-apps"}
)
KEY = ec.generate_private_key(ec.SECP384R1())
BODIES = {
    "nothing": b"",
    "no message": b"\xff\xff\xff",
    "a node": PullMessagesRequest(node=Node(node_id=1)).SerializeToString(),
    "a key": ActivateNodeRequest(
        public_key=public_key_to_bytes(KEY.public_key()), heartbeat_interval=30
    ).SerializeToString(),
}
HEADERS: dict[str, Mapping[str, str]] = {"protobuf": PROTOBUF, "json": {"content-type": "a/json"}}
_CHANGING = {b"date"}


@pytest.fixture(scope="module")
def services() -> tuple[ASGIApp, ASGIApp]:
    """A SuperLink with all its layers, and a spared one."""
    return create_app(), spared(create_app)()


async def answer_to(app: ASGIApp, method: str, path: str, **asked: Any) -> tuple[Any, ...]:
    """Return status, headers and body of an answer."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://superlink") as client:
        answer = await client.request(method, path, **asked)
    headers = sorted(pair for pair in answer.headers.raw if pair[0] not in _CHANGING)
    return answer.status_code, headers, answer.content


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("body", BODIES)
def test_a_spared_service_answers_every_path_as_the_whole_one(
    body: str, headers: str, services: tuple[ASGIApp, ASGIApp]
) -> None:
    async def compare() -> set[int]:
        seen = set()
        for path in PATHS:
            for method in ("POST", "GET"):
                asked = {"content": BODIES[body], "headers": HEADERS[headers]}
                whole, spared_ = [await answer_to(app, method, path, **asked) for app in services]
                assert spared_ == whole, (method, path)
                seen.add(whole[0])
        return seen

    statuses = asyncio.run(compare())
    assert statuses >= {404, 405}


def test_a_node_that_does_not_prove_its_key_is_refused_by_both(
    services: tuple[ASGIApp, ASGIApp],
) -> None:
    for app in services:
        for path in ("activate-node", "pull-messages", "push-object", "get-fab"):
            asked = {"content": BODIES["a key"], "headers": PROTOBUF}
            status, *_ = asyncio.run(answer_to(app, "POST", f"/v1/fleet/{path}", **asked))
            assert status in {400, 401}, path
        asked = {"content": BODIES["a node"], "headers": PROTOBUF}
        status, *_ = asyncio.run(answer_to(app, "POST", "/v1/fleet/pull-messages", **asked))
        assert status == 401


Answer = Callable[[Request], Awaitable[Response]]


class Noting(BaseHTTPMiddleware):
    """A layer that notes which paths pass through it, and what the body was."""

    def __init__(self, app: ASGIApp, seen: list[tuple[str, bytes]]) -> None:
        super().__init__(app)
        self.seen = seen

    async def dispatch(self, request: Request, call_next: Answer) -> Response:
        """Note it, and mark the answer."""
        self.seen.append((request.url.path, await request.body()))
        answer = await call_next(request)
        answer.headers["noted"] = "yes"
        return answer


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body; in parts under `/parts`, and not at all under `/raises`."""
    request = Request(scope, receive)
    body = await request.body()
    if scope["path"].endswith("/raises"):
        raise ZeroDivisionError
    parts = scope["path"].startswith("/parts")
    answer = StreamingResponse(iter([body, body])) if parts else PlainTextResponse(body)
    await answer(scope, receive, send)


def layered(seen: list[tuple[str, bytes]], *, whole: bool) -> ASGIApp:
    """Return an app beneath a layer that acts on `/one/`, and beneath one that acts on all."""
    layers = [Middleware(Noting, seen=seen), Middleware(BaseHTTPMiddleware, dispatch=passed)]
    if not whole:
        paths = frozenset({"/one/a", "/two/a", "/one/raises"})
        layers = spared_layers(layers, paths, acts_on={"Noting": "/one/"})
    app: ASGIApp = echo
    for layer in reversed(layers):
        app = layer.cls(app, *layer.args, **layer.kwargs)
    return app


async def passed(request: Request, call_next: Answer) -> Response:
    """Turn errors into a status."""
    try:
        return await call_next(request)
    except ZeroDivisionError:
        return PlainTextResponse("raised", 500)


@pytest.mark.parametrize("path", ["/one/a", "/one/b", "/one/raises", "/parts/a", "/three/a"])
def test_a_layer_sees_the_same_questions_and_answers_where_it_acts(path: str) -> None:
    whole: list[tuple[str, bytes]] = []
    spared_: list[tuple[str, bytes]] = []
    body = bytes(range(256)) * 5_000
    answers = [
        asyncio.run(answer_to(app, "POST", path, content=body))
        for app in (layered(whole, whole=True), layered(spared_, whole=False))
    ]
    assert answers[0] == answers[1]
    assert spared_ == whole == [(path, body)]


def test_a_question_passes_by_a_layer_that_acts_on_other_paths() -> None:
    seen: list[tuple[str, bytes]] = []
    status, headers, body = asyncio.run(
        answer_to(layered(seen, whole=False), "POST", "/two/a", content=b"asked")
    )
    assert (status, body, seen) == (200, b"asked", [])
    assert not any(name == b"noted" for name, _ in headers)
