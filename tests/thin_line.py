"""A line between sites and coordinator that breaks: a TCP proxy that resets connections."""

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 65_536
_MEGABYTE = 1_000_000
_RESET = struct.pack("ii", 1, 0)  # closing sends RST, as a line that is cut does


@dataclass
class Line:
    """What passed, and how often it broke.

    Args:
        listen: Where it begins.
        target: Where it ends.
        share: Of the connections, and of every megabyte on a longer one, how many are reset.
        rng: Draws them.
    """

    listen: tuple[str, int]
    target: tuple[str, int]
    share: float
    rng: random.Random
    resets: int = 0
    bytes_passed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: list[socket.socket] = field(default_factory=list)
    _server: socket.socket = field(init=False)
    _accepting: threading.Thread = field(init=False)

    def mend(self) -> None:
        """Let connections through."""
        self._server = socket.create_server(self.listen, backlog=128)
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def cut(self) -> int:
        """Reset every connection, and let none begin until the line is mended.

        Returns:
            How many were reset.
        """
        self._server.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._server.close()
        reset = len(self._open) // 2
        for one in self._open:
            _cut(one)
        self._open.clear()
        return reset

    def breaks(self, passed: int) -> bool:
        """Count a piece, and return whether the connection is reset after it."""
        with self._lock:
            self.bytes_passed += passed
            broken = self.rng.random() < self.share * passed / _MEGABYTE
            self.resets += broken
            return broken

    def _accept(self) -> None:
        with suppress(OSError):  # the server was shut down
            while True:
                near, _ = self._server.accept()
                try:
                    far = socket.create_connection(self.target)
                except OSError:  # the coordinator is not up yet
                    _cut(near)
                    continue
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pass, args=(one, other, self), daemon=True).start()


@contextmanager
def thin_line(
    listen: tuple[str, int], target: tuple[str, int], *, share: float, seed: int = 7
) -> Iterator[Line]:
    """Pass connections on to a target, and reset some in the middle."""
    line = Line(listen, target, share, random.Random(seed))  # noqa: S311 -- which break is no secret
    line.mend()
    try:
        yield line
    finally:
        line.cut()


def _pass(one: socket.socket, other: socket.socket, line: Line) -> None:
    with suppress(OSError):
        while piece := one.recv(_PIECE):
            other.sendall(piece)
            if line.breaks(len(piece)):
                break
    _cut(one)
    _cut(other)


def _cut(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        one.shutdown(socket.SHUT_RDWR)
    one.close()
