"""Layers of Flower's services, with less machinery around questions that are whole messages.

Flower puts nine layers around each question to its SuperLink, and Starlette's class for a layer has
tasks and queues for answers that come in parts. They took more than a third of the CPU of a
coordinator: a round is made of some forty questions a site, and none of their answers comes in
parts.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class UnaryLayer:
    """A layer around what answers questions, without Starlette's machinery for streams.

    Guarantee: a question to one of `paths` is answered with the same status, headers and body as
    through the layer itself, and by the layer's own code; it passes by a layer that acts on other
    paths only. Every other question passes through the layer as it is.

    Args:
        app: What lies beneath the layer.
        layer: The layer, as Flower would put it around `app`.
        paths: Those whose questions and answers are whole messages.
        acts_on: How the paths begin on which the layer acts.
    """

    def __init__(
        self, app: ASGIApp, layer: Middleware, paths: frozenset[str], acts_on: str
    ) -> None:
        self._beneath, self._paths, self._acts_on = app, paths, acts_on
        self._layer = cast(BaseHTTPMiddleware, layer.cls(app, *layer.args, **layer.kwargs))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one question, as ASGI asks for it."""
        if scope["type"] != "http" or scope["path"] not in self._paths:
            await self._layer(scope, receive, send)
        elif not scope["path"].startswith(self._acts_on):
            await self._beneath(scope, receive, send)
        else:
            asked = Request(scope, receive)
            answer = await self._layer.dispatch_func(asked, self._answer_beneath)
            await answer(scope, receive, send)

    async def _answer_beneath(self, asked: Request) -> Response:
        """Return the whole answer of what lies beneath; its body is what the layer has read."""
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        async def receive_again() -> Message:
            return {"type": "http.request", "body": await asked.body(), "more_body": False}

        await self._beneath(asked.scope, receive_again, keep)
        start, *parts = sent
        body = b"".join(part.get("body", b"") for part in parts)
        answer = Response(body, status_code=start["status"])
        answer.raw_headers = [*start["headers"]]
        return answer


def spared_layers(
    layers: Sequence[Middleware], paths: frozenset[str], *, acts_on: Mapping[str, str]
) -> list[Middleware]:
    """Return the layers of a service, each spared on some paths.

    Args:
        layers: Outermost first.
        paths: Those whose questions and answers are whole messages.
        acts_on: How the paths begin on which a layer acts, by the name of its class; a layer that
            is not in it acts on all.
    """

    def spared(layer: Middleware) -> Middleware:
        if not (isinstance(layer.cls, type) and issubclass(layer.cls, BaseHTTPMiddleware)):
            return layer
        begin = acts_on.get(layer.cls.__name__, "/")
        return Middleware(UnaryLayer, layer=layer, paths=paths, acts_on=begin)

    return [spared(layer) for layer in layers]
