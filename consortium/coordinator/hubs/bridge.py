"""The bridge inside a hub: between the process that hears the coordinator and the one that asks.

A hub has two buses of Flower's, and a process has one. So the process with the bus to the members
listens at a socket in the hub's directory, and for each question of the coordinator a process comes
and brings it, and waits for the answer. A question whose bringer has gone is not asked any more.
"""

import json
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flwr.app import RecordDict

from privacy.errors import ConsortiumError
from privacy.wire.record_bytes import decode_content, encode_content

_HEAD = struct.Struct(">QQ")
_LOOK_S = 5.0
_RECEIVE_S = 60.0  # between two pieces, of a process on the same machine
_PIECE = 2**20
_ANSWERED = "answered"
_REFUSED = "refused"


class NobodyAnswers(ConsortiumError, ConnectionError, code="hub-not-answering"):
    """The process of a hub that asks its members is not there, or ended before it answered."""


@dataclass(frozen=True, kw_only=True)
class HubQuestion:
    """A question of the coordinator, as it came to the hub's node.

    Args:
        kind: Flower's message type.
        content: The content.
        run: Flower's number of the coordinator's run.
        node: Flower's id of the hub's node there.
    """

    kind: str
    run: int
    node: int
    content: RecordDict = field(repr=False)


@dataclass(frozen=True)
class Bridge:
    """The socket of one run of a hub.

    Guarantee: only the user whom the hub's directory belongs to can reach it.

    Args:
        path: Of the socket, in a directory that nobody else can enter.
    """

    path: Path

    def ask(self, brought: HubQuestion) -> RecordDict:
        """Bring a question; return the answer, however long it takes.

        Raises:
            NobodyAnswers: Nobody listens, or whoever listened refused or died. The message has the
                code of the refusal.
        """
        facts: dict[str, str | int] = {"kind": brought.kind}
        facts |= {"run": brought.run, "node": brought.node}
        try:
            with self._connected() as asking:
                _send(asking, facts, encode_content(brought.content))
                asking.settimeout(None)
                said, content = _receive(asking)
        except (OSError, EOFError) as error:
            raise NobodyAnswers("the hub's run is not there, or ended meanwhile") from error
        if _ANSWERED not in said:
            raise NobodyAnswers(f"the hub's run refused: {said.get(_REFUSED)}; its log says why")
        return decode_content(content)

    def is_served(self) -> bool:
        """Return whether somebody listens."""
        try:
            with self._connected():
                return True
        except OSError:
            return False

    def serve(
        self,
        answer: Callable[[HubQuestion], RecordDict],
        *,
        goes_on: Callable[[HubQuestion | None], bool],
        note: Callable[[ConsortiumError], None],
    ) -> None:
        """Answer one question after the other, until nothing is to come any more.

        Args:
            answer: Answers a question.
            goes_on: Asked after each question, and every few seconds without one (None): whether
                others may come.
            note: Told why a question was refused.
        """
        with self._listening() as listening:
            while True:
                try:
                    asking, _ = listening.accept()
                except TimeoutError:
                    if not goes_on(None):
                        return
                    continue
                with asking:
                    brought = self._serve_one(asking, answer, note)
                if brought is not None and not goes_on(brought):
                    return

    @staticmethod
    def _serve_one(
        asking: socket.socket,
        answer: Callable[[HubQuestion], RecordDict],
        note: Callable[[ConsortiumError], None],
    ) -> HubQuestion | None:
        """Answer one question; return it, or None if there was none or nobody waits for it."""
        brought = _received_question(asking)
        if brought is None or _has_gone(asking):
            return None
        try:
            said = answer(brought)
        except ConsortiumError as error:
            note(error)
            facts, content = {_REFUSED: error.code}, b""
        else:
            facts, content = {_ANSWERED: ""}, encode_content(said)
        with suppress(OSError):  # whoever brought it has gone meanwhile
            _send(asking, facts, content)
        return brought

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as asking, self._address() as address:
            asking.settimeout(_RECEIVE_S)
            asking.connect(address)
            yield asking

    @contextmanager
    def _listening(self) -> Iterator[socket.socket]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)  # left behind by a process that was killed
        with socket.socket(socket.AF_UNIX) as listening:
            with self._address() as address:
                listening.bind(address)
            listening.listen()
            listening.settimeout(_LOOK_S)
            try:
                yield listening
            finally:
                self.path.unlink(missing_ok=True)

    @contextmanager
    def _address(self) -> Iterator[str]:
        """Yield an address of the socket: the system allows 107 bytes, and a path may be longer."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{folder}/{self.path.name}"
        finally:
            os.close(folder)


def _received_question(asking: socket.socket) -> HubQuestion | None:
    """Return what somebody asks; None of one that only looked, or died before it had asked."""
    asking.settimeout(_RECEIVE_S)
    try:
        facts, content = _receive(asking)
        return HubQuestion(
            kind=str(facts["kind"]),
            run=int(facts["run"]),
            node=int(facts["node"]),
            content=decode_content(content),
        )
    except (OSError, EOFError, ValueError, LookupError, TypeError):
        return None


def _has_gone(asking: socket.socket) -> bool:
    """Return whether the other end hung up: it sends one question and then waits."""
    asking.setblocking(False)
    try:
        return asking.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    finally:
        asking.settimeout(_RECEIVE_S)


def _send(to: socket.socket, facts: Mapping[str, str | int], content: bytes) -> None:
    head = json.dumps(dict(facts)).encode()
    to.sendall(_HEAD.pack(len(head), len(content)) + head)
    to.sendall(content)


def _receive(of: socket.socket) -> tuple[dict[str, str | int], bytes]:
    """Return what `_send` sent; raise EOFError if the other end hung up before."""
    head, content = _HEAD.unpack(_exactly(of, _HEAD.size))
    facts: dict[str, str | int] = json.loads(_exactly(of, head))
    return facts, _exactly(of, content)


def _exactly(of: socket.socket, size: int) -> bytes:
    came = bytearray()
    while len(came) < size:
        part = of.recv(min(_PIECE, size - len(came)))
        if not part:
            raise EOFError
        came += part
    return bytes(came)
