"""What the gateway asks arrives whole and in order, whatever the server does to the connection."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consortium.deployment.loopback_transport import LoopbackTransport
from consortium.provisioning.installation import init_coordinator
from consortium.run.party_directory import CoordinatorDirectory

HOST = "127.0.0.1"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CoordinatorDirectory:
    folder = tmp_path_factory.mktemp("server")
    init_coordinator(folder / "coordinator", hosts=(HOST,), now=datetime.now(UTC))
    return CoordinatorDirectory(folder / "coordinator")


def asked(
    certificates: CoordinatorDirectory,
    serve: Serve,
    ask: Callable[[LoopbackTransport], Awaitable[None]],
    *,
    idle_s: float = 60.0,
) -> int:
    """Ask a server; return how many connections it was asked over."""
    connections = 0

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server_certificate, certificates.server_key)
        server = await asyncio.start_server(counting, HOST, 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        trusted = ssl.create_default_context(cafile=str(certificates.authority))
        async with LoopbackTransport(HOST, port, trusted, connect_s=5.0, idle_s=idle_s) as link:
            await ask(link)
        server.close()

    asyncio.run(main())
    return connections


async def answer(link: LoopbackTransport, content: bytes | AsyncIterator[bytes] = b"") -> bytes:
    request = httpx.Request("POST", "https://link/path", content=content)
    answered = await link.handle_async_request(request)
    try:
        return await answered.aread()
    finally:
        await answered.aclose()


async def requests_of(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the body of each request of a declared length."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        (line,) = (one for one in head.lower().splitlines() if one.startswith(b"content-length"))
        yield await reader.readexactly(int(line.split(b":")[1]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=300_000), min_size=1, max_size=4), st.booleans())
def test_bodies_arrive_as_they_were_sent_over_one_connection(
    certificates: CoordinatorDirectory, bodies: list[bytes], pieces: bool
) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for body in requests_of(reader):
            if pieces:  # an answer whose length is not declared
                chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                writer.write(chunk + b"0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()

    async def ask(link: LoopbackTransport) -> None:
        for body in bodies:
            assert await answer(link, body) == body

    assert asked(certificates, echo, ask) == 1


@pytest.mark.parametrize("idle_s", [60.0, 0.0])
def test_a_connection_that_was_closed_or_is_old_is_not_used_again(
    certificates: CoordinatorDirectory, idle_s: float
) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for _ in requests_of(reader):
            writer.write(WHOLE)
            if idle_s:
                return

    async def ask(link: LoopbackTransport) -> None:
        for _ in range(3):
            assert await answer(link) == b"ok"
            await asyncio.sleep(0.05)

    assert asked(certificates, once, ask, idle_s=idle_s) == 3


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", WHOLE[:-1], b"nothing like it\r\n\r\n"])
def test_an_answer_that_breaks_off_is_an_error_and_its_connection_is_not_kept(
    certificates: CoordinatorDirectory, sent: bytes
) -> None:
    broken = [sent, WHOLE]

    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for _ in requests_of(reader):
            now = broken.pop(0)
            writer.write(now)
            await writer.drain()
            if now != WHOLE:
                return

    async def ask(link: LoopbackTransport) -> None:
        with pytest.raises((httpx.TransportError, OSError)):
            await answer(link)
        assert await answer(link) == b"ok"

    assert asked(certificates, breaking, ask) == 2


def test_a_body_that_its_sender_does_not_finish_reaches_no_second_request(
    certificates: CoordinatorDirectory,
) -> None:
    """What came of it would be read as the head of the next one."""
    seen: list[bytes] = []

    async def noting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line.startswith(b"POST"):
                seen.append(line)
            if line == b"\r\n" and len(seen) == 2:
                writer.write(WHOLE)

    async def unfinished() -> AsyncIterator[bytes]:
        yield b"a part\r\n"
        raise BrokenPipeError

    async def ask(link: LoopbackTransport) -> None:
        with pytest.raises(BrokenPipeError):
            await answer(link, unfinished())
        assert await answer(link) == b"ok"

    assert asked(certificates, noting, ask) == 2
    assert len(seen) == 2


def test_a_server_that_another_authority_vouches_for_is_not_asked(
    certificates: CoordinatorDirectory, tmp_path: Path
) -> None:
    init_coordinator(tmp_path / "other", hosts=(HOST,), now=datetime.now(UTC))

    async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def ask(link: LoopbackTransport) -> None:
        trusted = ssl.create_default_context(
            cafile=str(CoordinatorDirectory(tmp_path / "other").authority)
        )
        other = LoopbackTransport(*link.address, trusted, connect_s=5.0, idle_s=1.0)
        with pytest.raises(ssl.SSLCertVerificationError):
            await answer(other)

    asked(certificates, nobody, ask)
