"""Message exchange: asks sites and waits for their replies, up to a deadline."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeVar

from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid
from google.protobuf.message import DecodeError

from privacy.wire.flower_records import num_bytes
from privacy.wire.hub_messages import carried_bytes

Key = TypeVar("Key")

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


class Question(NamedTuple):
    """A message that was sent, as far as it is needed to identify the reply to it.

    Args:
        node: Flower's id of the node that was asked.
        kind: Flower's message type.
        group: Flower's group id: the round.
        message_id: Flower's id of the message; empty if its node has left.
        until: When the node is silent, by the clock of the exchange.
    """

    node: int
    kind: str
    group: str
    message_id: str
    until: float

    @classmethod
    def of(cls, message: Message, message_id: str, until: float) -> "Question":
        """Return what is kept of a message."""
        facts = message.metadata
        return cls(facts.dst_node_id, facts.message_type, facts.group_id, message_id, until)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One question to several sites.

    Guarantee: every message gets exactly one reply, in the order of the messages, with the asked
    node as its source. For a node that is silent until the deadline, the reply is the error
    `SILENT`; for one whose bytes Flower cannot parse, `UNREADABLE`. Messages are made and handed
    to Flower in batches, and replies are pulled one at a time. So the number of messages in memory
    does not grow with the number of sites, and the result does not depend on who was fastest, but
    for `first_replies` and `replies_as_they_come`.

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
        for asked in self.ask(messages):
            yield self._counted(self._await_reply(asked))

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
        waiting = dict(enumerate(self.ask(messages)))
        began = self.clock()
        while True:
            yield from self._replies_there(waiting)
            if enough() or not waiting:
                return
            yield from self._overdue(waiting)
            if not waiting:
                return
            self._pause_for(waiting, began)

    def ask(self, messages: Iterable[Message]) -> list[Question]:
        """Send messages in batches, and wait for nothing; return each as a question.

        Args:
            messages: The messages.
        """
        until = self.clock() + self.deadline_s
        sent: list[Question] = []
        unsent = iter(messages)
        while some := list(islice(unsent, _AT_ONCE)):
            self.traffic.down += sum(num_bytes(message.content) for message in some)
            ids = list(self.grid.push_messages(some))
            pairs = zip(some, ids, strict=True)
            sent += [Question.of(message, known, until) for message, known in pairs]
            del some  # before the next batch is made
        return sent

    def replies_as_they_come(
        self, waiting: MutableMapping[Key, Question]
    ) -> Iterator[tuple[Key, Message]]:
        """Yield the replies to questions that are on their way, as they come, until none is.

        Guarantee: what is yielded is no longer among those that wait, so that a caller which stops
        early can go on later, with more questions. Who is silent until its own deadline is yielded
        as `SILENT`. Of replies that are there together, the first are those of the first questions.

        Args:
            waiting: The questions; it shrinks.

        Yields:
            The key of a question, and the reply to it.
        """
        began = self.clock()
        while waiting:
            yield from self._replies_there(waiting)
            yield from self._overdue(waiting)
            if waiting:
                self._pause_for(waiting, began)

    def _replies_there(
        self, waiting: MutableMapping[Key, Question]
    ) -> Iterator[tuple[Key, Message]]:
        for key, asked in list(waiting.items()):
            reply = self._reply_there(asked)
            if reply is not None:
                del waiting[key]
                yield key, self._counted(reply)

    def _overdue(self, waiting: MutableMapping[Key, Question]) -> Iterator[tuple[Key, Message]]:
        now = self.clock()
        for key, asked in [one for one in waiting.items() if now >= one[1].until]:
            del waiting[key]
            yield key, self._silence(asked)

    def _pause_for(self, waiting: Mapping[Key, Question], began: float) -> None:
        now = self.clock()
        left = min(asked.until for asked in waiting.values()) - now
        self._pause(now - began, max(left, 0.0), looks=len(waiting))

    def _counted(self, reply: Message) -> Message:
        if reply.has_content():
            self.traffic.up += num_bytes(reply.content) + carried_bytes(reply.content)
        return reply

    def _await_reply(self, asked: Question) -> Message:
        began = self.clock()
        while True:
            reply = self._reply_there(asked)
            if reply is not None:
                return reply
            now = self.clock()
            if now >= asked.until:
                return self._silence(asked)
            self._pause(now - began, asked.until - now)

    def _reply_there(self, asked: Question) -> Message | None:
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

    def _silence(self, asked: Question) -> Message:
        error = Error(SILENT, "no reply before the deadline")
        return Message(error, reply_to=self._question(asked))

    def _question(self, asked: Question) -> Message:
        return self.message(asked.kind, asked.node, RecordDict(), group=asked.group)

    def _pause(self, waited_s: float, left_s: float, *, looks: int = 1) -> None:
        """Wait until it is worth looking again whether replies are there."""
        pause = max(_SHORTEST_PAUSE_S, _PAUSE_SHARE * waited_s)
        self.sleep(min(max(min(pause, _LONGEST_PAUSE_S), looks * _LOOK_PAUSE_S), left_s))
