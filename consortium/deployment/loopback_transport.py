"""How the gateway asks the SuperLink: over a few connections that stay open, with little work.

Each message of a round is a hundred small questions and a few pieces of megabytes. httpx' own
transport spends more on each of them than the SuperLink does. This one leaves TLS and sockets to
the event loop, and the form of a request and an answer to h11.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import h11
import httpx

_READ_BYTES = 2**18


@dataclass(eq=False)
class _Connection:
    """One connection, used for one request after the other."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    state: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))
    since: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the other end has not hung up, as far as is known."""
        return not self.reader.at_eof() and not self.writer.is_closing()

    async def ask(self, request: httpx.Request) -> h11.Response:
        """Send a request, its body as it comes; return the head of the answer."""
        head = h11.Request(
            method=request.method, target=request.url.raw_path, headers=request.headers.raw
        )
        waiting = self._bytes_of(head)
        async for part in request.stream:  # type: ignore[union-attr]
            # The head leaves with the first part: each write is a record of TLS of its own.
            self.writer.write(b"".join([*waiting, *self._bytes_of(h11.Data(data=part))]))
            waiting = []
            await self.writer.drain()
        self.writer.write(b"".join([*waiting, *self._bytes_of(h11.EndOfMessage())]))
        while not isinstance(event := await self.next_event(), h11.Response):
            pass  # an answer may be announced before it comes
        return event

    async def next_event(self) -> h11.Event:
        """Return what comes next of the answer.

        Raises:
            httpx.RemoteProtocolError: It hung up, or sent what is no HTTP.
        """
        try:
            while (event := self.state.next_event()) is h11.NEED_DATA:
                self.state.receive_data(await self.reader.read(_READ_BYTES))
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
            raise httpx.RemoteProtocolError("the other end hung up before its answer")
        return event

    def _bytes_of(self, event: h11.Event) -> list[bytes]:
        return self.state.send_with_data_passthrough(event) or []


class LoopbackTransport(httpx.AsyncBaseTransport):
    """Asks one server on this machine.

    Guarantee: a body is passed on as it comes, and an answer as it is read. A connection is used
    again only after a whole request and its whole answer.

    Args:
        host: Where it listens.
        port: Where it listens.
        context: With the authority that vouches for it.
        connect_s: The most seconds until it has answered a connection.
        idle_s: The most seconds for which a connection that nobody uses is kept.
    """

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext, *, connect_s: float, idle_s: float
    ) -> None:
        self.address, self._context = (host, port), context
        self._connect_s, self._idle_s = connect_s, idle_s
        self._idle: list[_Connection] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask; the answer's body is still to be read.

        Raises:
            httpx.LocalProtocolError: The request is no HTTP, such as with a body of another length
                than its head says.
            httpx.TransportError: The server hung up.
            OSError: It is not there.
        """
        connection = self._kept() or await self._opened()
        try:
            head = await connection.ask(request)
        except BaseException as error:
            connection.writer.close()
            if isinstance(error, h11.LocalProtocolError):
                raise httpx.LocalProtocolError(str(error)) from error
            raise
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Body(connection, self._keep),
        )

    async def aclose(self) -> None:
        """Close all connections that nobody uses."""
        while self._idle:
            self._idle.pop().writer.close()

    def _kept(self) -> _Connection | None:
        """Return the connection that was used last, if one is still good."""
        oldest = time.monotonic() - self._idle_s
        good = [one for one in self._idle if one.is_open and one.since > oldest]
        for one in self._idle:
            if one not in good:
                one.writer.close()
        self._idle = good
        return self._idle.pop() if self._idle else None

    async def _opened(self) -> _Connection:
        async with asyncio.timeout(self._connect_s):
            return _Connection(
                *await asyncio.open_connection(*self.address, ssl=self._context, limit=_READ_BYTES)
            )

    def _keep(self, connection: _Connection) -> None:
        connection.state.start_next_cycle()
        connection.since = time.monotonic()
        self._idle.append(connection)


@dataclass(eq=False)
class _Body(httpx.AsyncByteStream):
    """The body of an answer, which is read once."""

    connection: _Connection
    keep: Callable[[_Connection], None]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self.connection.next_event(), h11.Data):
            yield bytes(event.data)

    async def aclose(self) -> None:
        """Keep the connection for the next request, if all of the answer was read."""
        state = self.connection.state
        if state.our_state is h11.DONE and state.their_state is h11.DONE:
            self.keep(self.connection)
        else:
            self.connection.writer.close()
