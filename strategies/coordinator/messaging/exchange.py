"""Message exchange: asks sites and waits for their replies, up to a deadline."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid
from google.protobuf.message import DecodeError

from privacy.wire.flower_records import num_bytes
from privacy.wire.hub_messages import carried_bytes

SILENT = 1000  # Flower's own error codes are below 100
UNREADABLE = 1001
HUB_AWAY = 1002
GONE = 5  # Flower's own code: it considers the node offline

_AT_ONCE = 64  # messages handed to Flower together

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 0.5
_PAUSE_SHARE = 0.2  # of what was waited so far: each look takes the SuperLink some milliseconds
_LOOK_PAUSE_S = 0.02  # for each of several looks that are taken together
_LONGEST_TTL_S = 43_200.0

# Work-around: Flower raises these when it parses a reply whose bytes Flower did not write. An error
# of the connection is none of these, and ends the run.
_HOSTILE_BYTES = (ValueError, TypeError, LookupError, AttributeError, RecursionError, DecodeError)


@dataclass
class ByteCount:
    """Bytes of arrays sent to sites and received from them."""

    down: int = 0
    up: int = 0


class _Asked(NamedTuple):
    """What is kept of a message that was sent, to identify the reply to it."""

    node: int
    kind: str
    group: str
    message_id: str

    @classmethod
    def of(cls, message: Message, message_id: str) -> "_Asked":
        facts = message.metadata
        return cls(facts.dst_node_id, facts.message_type, facts.group_id, message_id)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One question to several sites.

    Guarantee: every message gets exactly one reply, in the order of the messages, with the asked
    node as its source. For a node that is silent until the deadline, the reply is the error
    `SILENT`; for one whose bytes Flower cannot parse, `UNREADABLE`. Messages are made and handed
    to Flower in batches, and replies are pulled one at a time. So the number of messages in memory
    does not grow with the number of sites, and the result does not depend on who was fastest, but
    for `first_replies`.

    Args:
        grid: Flower's message bus.
        deadline_s: Seconds that all sites together have to answer.
        traffic: Counts the bytes.
        clock: Returns seconds from a fixed point; a test may pass its own.
        sleep: Waits between two polls.
    """

    grid: Grid
    deadline_s: float
    traffic: ByteCount = field(default_factory=ByteCount)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def message(self, kind: str, node: int, content: RecordDict, *, group: str) -> Message:
        """Return a message to one node, valid for at least as long as the exchange waits.

        Args:
            kind: Flower's message type, such as `train` or `query.hello`.
            node: Flower's id of the node.
            content: Content of the message.
            group: Flower's group id: the round.
        """
        ttl = min(2 * self.deadline_s + 60.0, _LONGEST_TTL_S)
        return Message(content, node, kind, ttl=ttl, group_id=group)

    def replies(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Send the messages; yield the reply to each, in order."""
        until = self.clock() + self.deadline_s
        for asked in self._send(iter(messages)):
            yield self._counted(self._await_reply(asked, until))

    def first_replies(
        self, messages: Iterable[Message], *, enough: Callable[[], bool]
    ) -> Iterator[tuple[int, Message]]:
        """Send the messages; yield the replies as they come, until there are enough.

        Guarantee: what is there when there are enough is yielded, too. Who is slower is not waited
        for: the node answers all the same, and nobody reads it. So what follows must not depend on
        whose replies these are.

        Args:
            messages: The messages.
            enough: Whether what was yielded so far is enough.

        Yields:
            The place of a message among the messages, and the reply to it.
        """
        began = self.clock()
        until = began + self.deadline_s
        waiting = dict(enumerate(self._send(iter(messages))))
        while True:
            for place, asked in list(waiting.items()):
                reply = self._reply_there(asked)
                if reply is not None:
                    del waiting[place]
                    yield place, self._counted(reply)
            if enough() or not waiting:
                return
            now = self.clock()
            if now >= until:
                yield from ((place, self._silence(asked)) for place, asked in waiting.items())
                return
            self._pause(now - began, until - now, looks=len(waiting))

    def _send(self, messages: Iterator[Message]) -> list[_Asked]:
        """Send the messages in batches; return what identifies the reply to each."""
        sent: list[_Asked] = []
        while some := list(islice(messages, _AT_ONCE)):
            self.traffic.down += sum(num_bytes(message.content) for message in some)
            ids = list(self.grid.push_messages(some))
            sent += [_Asked.of(message, known) for message, known in zip(some, ids, strict=True)]
            del some  # before the next batch is made
        return sent

    def _counted(self, reply: Message) -> Message:
        if reply.has_content():
            self.traffic.up += num_bytes(reply.content) + carried_bytes(reply.content)
        return reply

    def _await_reply(self, asked: _Asked, until: float) -> Message:
        began = self.clock()
        while True:
            reply = self._reply_there(asked)
            if reply is not None:
                return reply
            now = self.clock()
            if now >= until:
                return self._silence(asked)
            self._pause(now - began, until - now)

    def _reply_there(self, asked: _Asked) -> Message | None:
        """Return the reply to a message if it is there; of a node that has left it is silence."""
        if not asked.message_id:
            return self._silence(asked)
        try:
            came = next(iter(self.grid.pull_messages([asked.message_id])), None)
        except _HOSTILE_BYTES:
            error = Error(UNREADABLE, "the bytes of the reply are not a message")
            return Message(error, reply_to=self._question(asked))
        if came is None:
            return None
        # Work-around: the metadata of a reply is what its sender wrote. The content is put into a
        # reply to a question of our own, so that its source is the node that was asked.
        question = self._question(asked)
        if came.has_error():
            return Message(came.error, reply_to=question)
        return Message(came.content, reply_to=question)

    def _silence(self, asked: _Asked) -> Message:
        error = Error(SILENT, "no reply before the deadline")
        return Message(error, reply_to=self._question(asked))

    def _question(self, asked: _Asked) -> Message:
        return self.message(asked.kind, asked.node, RecordDict(), group=asked.group)

    def _pause(self, waited_s: float, left_s: float, *, looks: int = 1) -> None:
        """Wait until it is worth looking again whether replies are there."""
        pause = max(_SHORTEST_PAUSE_S, _PAUSE_SHARE * waited_s)
        self.sleep(min(max(min(pause, _LONGEST_PAUSE_S), looks * _LOOK_PAUSE_S), left_s))
