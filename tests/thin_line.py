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
        share: Of the connections, and of every megabyte on a longer one, how many are reset.
        rng: Draws them.
    """

    share: float
    rng: random.Random
    resets: int = 0
    bytes_passed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: list[socket.socket] = field(default_factory=list)
    _is_cut: bool = False

    def cut(self) -> int:
        """Reset every connection, and let none through until the line is mended.

        Returns:
            How many were reset.
        """
        with self._lock:
            self._is_cut = True
            reset = len(self._open) // 2
            for one in self._open:
                _cut(one)
            self._open.clear()
            return reset

    def mend(self) -> None:
        """Let connections through again."""
        with self._lock:
            self._is_cut = False

    def lets_through(self, near: socket.socket, far: socket.socket) -> bool:
        """Remember both ends of a connection; return whether it may be."""
        with self._lock:
            if not self._is_cut:
                self._open += [near, far]
            return not self._is_cut

    def breaks(self, passed: int) -> bool:
        """Count a piece, and return whether the connection is reset after it."""
        with self._lock:
            self.bytes_passed += passed
            broken = self.rng.random() < self.share * passed / _MEGABYTE
            self.resets += broken
            return broken


@contextmanager
def thin_line(
    listen: tuple[str, int], target: tuple[str, int], *, share: float, seed: int = 7
) -> Iterator[Line]:
    """Pass connections on to a target, and reset some in the middle."""
    line = Line(share, random.Random(seed))  # noqa: S311 -- which connections break is no secret
    with socket.create_server(listen, backlog=128) as server:
        accepting = threading.Thread(target=_accept, args=(server, target, line))
        accepting.start()
        try:
            yield line
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            line.cut()


def _accept(server: socket.socket, target: tuple[str, int], line: Line) -> None:
    with suppress(OSError):  # the server was shut down
        while True:
            near, _ = server.accept()
            try:
                far = socket.create_connection(target)
            except OSError:  # the coordinator is not up yet
                _cut(near)
                continue
            if not line.lets_through(near, far):
                _cut(near)
                _cut(far)
                continue
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pass, args=(one, other, line), daemon=True).start()


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
