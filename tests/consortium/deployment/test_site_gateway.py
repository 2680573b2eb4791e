"""The coordinator's door: what reaches the SuperLink, and what is cut off before it."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from flwr.superlink.routers.fleet.router import router
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from consortium.coordinator.reply_bound import (
    ReplyBound,
    answers_in_one,
    note_layout,
    read_bound,
)
from consortium.deployment.loopback_transport import LoopbackTransport
from consortium.deployment.site_gateway import SITE_PATHS, SiteGateway
from consortium.run.directory import COORDINATOR
from strategies.coordinator.messaging.events import RoundStarted, SitesJoined
from tests.consortium.founded import found_with_hubs

BOUND = ReplyBound(numbers=100)
PIECE, ENVELOPE = "/v1/fleet/push-object", "/v1/fleet/push-messages"


@dataclass
class Behind:
    """A server behind the door that notes what reaches it, and says how much it was."""

    reached: list[tuple[str, str]] = field(default_factory=list)
    n_bytes: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a whole body; answer with the number of bytes so far."""
        self.reached.append((scope["method"], scope["path"]))
        more = True
        while more:
            event = await receive()
            self.n_bytes += len(event.get("body", b""))
            more = event.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(self.n_bytes).encode()})


async def parts(sizes: list[int]) -> AsyncIterator[bytes]:
    for size in sizes:
        yield bytes(size)


def asked(
    behind: Behind, method: str, path: str, content: bytes | list[int] = b""
) -> httpx.Response:
    """Ask through the door; a list of sizes is a body whose size nobody declares."""

    async def ask() -> httpx.Response:
        link = httpx.ASGITransport(behind)
        door = SiteGateway(link, lambda: BOUND)
        body = parts(content) if isinstance(content, list) else content
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(door), base_url="http://door"
        ) as site:
            return await site.request(method, path, content=body)

    return asyncio.run(ask())


def test_sites_may_ask_what_flower_serves_them_and_register_nobody() -> None:
    """So that a later Flower cannot open or need another path without a decision."""
    served = {getattr(route, "path", "") for route in router.routes}
    assert served - SITE_PATHS == {"/v1/fleet/register-node", "/v1/fleet/unregister-node"}
    assert served >= SITE_PATHS


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]),
    path=st.sampled_from(sorted(SITE_PATHS))
    | st.sampled_from(["/health", "/v1/control/list-runs", "/v1/runtime/acquire-task", "/docs"])
    | st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=40).map(
        lambda text: "/v1/fleet/" + text
    ),
)
def test_only_the_sites_interface_is_reached(method: str, path: str) -> None:
    behind = Behind()
    try:
        answer = asked(behind, method, path)
    except httpx.InvalidURL:
        return
    allowed = (method == "POST" and httpx.URL(path).path in SITE_PATHS) or (
        (method, path) == ("GET", "/health")
    )
    assert (answer.status_code, len(behind.reached)) == ((200, 1) if allowed else (404, 0))


@given(data=st.data(), path=st.sampled_from([PIECE, ENVELOPE, "/v1/fleet/get-run"]))
def test_a_body_arrives_whole_or_is_cut_off_at_the_bound(data: st.DataObject, path: str) -> None:
    most = {PIECE: BOUND.piece_bytes, ENVELOPE: BOUND.envelope_bytes}.get(path, 2**16)
    near = st.integers(max(0, most - 2), most + 2) | st.integers(0, 2 * most)
    size = data.draw(near)
    cut = data.draw(st.integers(0, size))
    for content in (bytes(size), [cut, size - cut]):
        behind = Behind()
        answer = asked(behind, "POST", path, content)
        assert behind.n_bytes <= most
        if size <= most:
            assert (answer.status_code, answer.text) == (200, str(size))
        else:
            assert answer.status_code == 413


def test_what_is_cut_off_is_logged_by_its_code_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def ask() -> None:
        link = httpx.ASGITransport(Behind())
        door = SiteGateway(link, lambda: BOUND)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://d") as c:
            for _ in range(50):
                await c.post(PIECE, content=bytes(BOUND.piece_bytes + 1))
                await c.post("/v1/control/list-runs")

    with caplog.at_level(logging.WARNING):
        asyncio.run(ask())
    said = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert said == ["oversized-body", "not-for-sites"]


def test_while_the_superlink_is_down_nodes_are_told_to_ask_again() -> None:
    async def ask() -> httpx.Response:
        link = LoopbackTransport(
            "127.0.0.1", 1, ssl.create_default_context(), connect_s=5.0, idle_s=1.0
        )
        door = SiteGateway(link, lambda: BOUND)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://d") as c:
            return await c.post("/v1/fleet/pull-messages")

    assert asyncio.run(ask()).status_code == 503


def test_the_bound_is_that_of_the_model_that_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever came before it, and of what is counted where that is more."""
    (tmp_path / "flower").mkdir()
    assert read_bound(tmp_path, 7) == ReplyBound(numbers=7)
    joined = SitesJoined(sites=(), absent=(), weights={}, dim=1_000_000)
    note_layout(joined, tally_size=9)
    assert read_bound(tmp_path, 7) == ReplyBound(numbers=7), "a simulation has no door"
    monkeypatch.setenv(COORDINATOR, str(tmp_path))
    note_layout(joined, tally_size=9)
    note_layout(RoundStarted(server_round=1, cohort=()), tally_size=9)
    assert read_bound(tmp_path, 7) == ReplyBound(numbers=1_000_000)
    note_layout(joined, tally_size=1_500_000)
    assert read_bound(tmp_path, 7) == ReplyBound(numbers=1_500_000)
    note_layout(joined, tally_size=9)
    assert read_bound(tmp_path, 7) == ReplyBound(numbers=1_000_000)
    assert read_bound(tmp_path, 2_000_000) == ReplyBound(numbers=2_000_000)


def test_a_hub_brings_the_answers_of_its_members_in_one(tmp_path: Path) -> None:
    """Its envelope lists the pieces of all of them; what a member sends its hub is as ever."""
    (tmp_path / "flower").mkdir()
    charter = found_with_hubs(tmp_path / "all").charter
    assert answers_in_one(charter, "") == 3
    assert answers_in_one(charter, "alps") == 1
    assert answers_in_one(charter.model_copy(update={"hubs": ()}), "") == 1
    alone, three = read_bound(tmp_path, 7), read_bound(tmp_path, 7, 3)
    assert three.envelope_bytes == 3 * alone.envelope_bytes
    assert three.piece_bytes == alone.piece_bytes


@given(st.integers(0, 10**9))
def test_an_answer_fits_and_one_of_thrice_its_size_does_not(numbers: int) -> None:
    """Every piece is listed in the envelope, under a name of 64 letters at least."""
    bound = ReplyBound(numbers=numbers)
    assert bound.content_bytes >= 16 * numbers
    n_pieces = bound.envelope_bytes // 64
    assert n_pieces * bound.piece_bytes >= bound.content_bytes
    assert n_pieces * bound.piece_bytes <= 3 * bound.content_bytes + 80 * bound.piece_bytes
