from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from weakref import WeakSet

import pytest
from flwr.app import Context, Error, Message, RecordDict
from flwr.serverapp import Grid
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from privacy.wire import flower_records as wire
from scenarios.engines.in_process import InProcessGrid, Vanished
from strategies.coordinator.messaging.exchange import SILENT, UNREADABLE, ByteCount, Exchange
from tests.grids import CountingGrid, Traced, traced

FIRST = 1001


@dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


@dataclass(frozen=True)
class Site:
    """Answers with as many bytes as its index; after a time, by an error, or never."""

    index: int
    ready_after_s: float | None = 0.0
    raises: bool = False

    def __call__(self, message: Message, _context: Context) -> Message:
        """Answer."""
        if self.ready_after_s is None:
            raise Vanished
        if self.raises:
            raise ZeroDivisionError
        arrays = {"bytes": wire.bytes_array(bytes(self.index))}
        return Message(wire.content(arrays, {"site": self.index}), reply_to=message)


class LateGrid(InProcessGrid):
    """A bus on which each reply is there only some time after it was asked for."""

    def __init__(self, sites: Sequence[Site], clock: Clock) -> None:
        super().__init__(dict(enumerate(sites)), len(sites), {})
        self._delays = {FIRST + i: site.ready_after_s or 0.0 for i, site in enumerate(sites)}
        self._clock = clock
        self._ready: dict[str, float] = {}
        self.pulled: list[str] = []

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Note when each reply will be there."""
        pushed = list(messages)
        ids = list(super().push_messages(pushed))
        for message, message_id in zip(pushed, ids, strict=True):
            delay = self._delays.get(message.metadata.dst_node_id, 0.0)
            self._ready[message_id] = self._clock() + delay
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return only those that are there."""
        asked = list(message_ids)
        self.pulled += asked
        return super().pull_messages(i for i in asked if self._ready[i] <= self._clock())


def exchange_of(grid: Grid, clock: Clock, *, deadline_s: float = 10.0) -> Exchange:
    return Exchange(grid=grid, deadline_s=deadline_s, clock=clock, sleep=clock.sleep)


def questions(exchange: Exchange, nodes: Iterable[int], *, num_bytes: int = 0) -> list[Message]:
    content = wire.content({"question": wire.bytes_array(bytes(num_bytes))}, {})
    return [exchange.message("train", node, content, group="1") for node in nodes]


def ask(grid: Grid, clock: Clock, nodes: Iterable[int]) -> list[Message]:
    exchange = exchange_of(grid, clock)
    return list(exchange.replies(questions(exchange, nodes)))


DELAYS = st.lists(st.none() | st.integers(0, 240).map(lambda n: n / 16), min_size=1, max_size=6)


@given(delays=DELAYS, strangers=st.integers(0, 2), data=st.data())
def test_every_message_gets_exactly_one_reply_in_order(
    delays: list[float | None], strangers: int, data: st.DataObject
) -> None:
    """From the node that was asked: its answer if it came within 10 s, silence otherwise."""
    clock = Clock()
    grid = LateGrid([Site(i, delay) for i, delay in enumerate(delays)], clock)
    nodes = [FIRST + index for index in range(len(delays) + strangers)]
    nodes = data.draw(st.permutations(nodes))
    replies = ask(grid, clock, nodes)
    assert [reply.metadata.src_node_id for reply in replies] == nodes
    in_time = dict(enumerate(delay is not None and delay <= 10 for delay in delays))
    for node, reply in zip(nodes, replies, strict=True):
        if in_time.get(node - FIRST, False):
            assert reply.content.config_records[wire.FACTS]["site"] == node - FIRST
        else:
            assert reply.error.code == SILENT


@given(delays=DELAYS, enough=st.integers(0, 6))
def test_first_replies_are_waited_for_until_there_are_enough(
    delays: list[float | None], enough: int
) -> None:
    """Each at most once, of the node that was asked; who is slower is not waited for."""
    clock, heard = Clock(), dict[int, Message]()
    grid = LateGrid([Site(i, delay) for i, delay in enumerate(delays)], clock)
    exchange = exchange_of(grid, clock)
    asked = questions(exchange, [FIRST + index for index in range(len(delays))])
    answered = set[int]()
    for place, reply in exchange.first_replies(asked, enough=lambda: len(answered) >= enough):
        assert place not in heard
        assert reply.metadata.src_node_id == FIRST + place
        heard[place] = reply
        if reply.has_content():
            assert reply.content.config_records[wire.FACTS]["site"] == place
            answered.add(place)
    waited = clock.now - 100.0
    there = {i for i, delay in enumerate(delays) if delay is not None and delay <= waited}
    assert answered == there
    in_time = sorted(delay for delay in delays if delay is not None and delay <= 10)
    if len(in_time) >= enough:
        # A look comes at most half a second after a reply.
        assert waited <= (in_time[enough - 1] if enough else 0) + 0.5
        assert set(heard) == answered
    else:
        assert len(heard) == len(delays)
        assert {one.error.code for one in heard.values() if one.has_error()} <= {SILENT}
        assert len(in_time) == len(delays) or waited == 10


@given(delays=DELAYS, at_once=st.integers(1, 6))
def test_who_stops_early_goes_on_later_and_misses_no_reply(
    delays: list[float | None], at_once: int
) -> None:
    """Each question gets one reply: an answer in time, or silence at its own deadline."""
    clock = Clock()
    grid = LateGrid([Site(i, delay) for i, delay in enumerate(delays)], clock)
    exchange = exchange_of(grid, clock)
    nodes = [FIRST + index for index in range(len(delays))]
    waiting = dict(zip(nodes, exchange.ask(questions(exchange, nodes)), strict=True))
    heard = dict[int, Message]()
    while waiting:
        for taken, (node, reply) in enumerate(exchange.replies_as_they_come(waiting), start=1):
            assert node not in heard
            assert node not in waiting
            assert reply.metadata.src_node_id == node
            heard[node] = reply
            if taken == at_once:
                break
    assert set(heard) == set(nodes)
    in_time = {FIRST + i for i, delay in enumerate(delays) if delay is not None and delay <= 10}
    assert {node for node, reply in heard.items() if reply.has_content()} == in_time
    assert clock.now <= 110 + 1e-9


@given(delays=DELAYS)
def test_no_wait_is_longer_than_the_deadline(delays: list[float | None]) -> None:
    """All sites together have one deadline; and the pauses are short."""
    clock = Clock()
    grid = LateGrid([Site(i, delay) for i, delay in enumerate(delays)], clock)
    ask(grid, clock, [FIRST + index for index in range(len(delays))])
    assert sum(clock.slept) <= 10 + 1e-9
    assert max(clock.slept, default=0) <= 0.5


def test_nobody_waits_for_a_node_that_is_not_there() -> None:
    clock = Clock()
    (reply,) = ask(LateGrid([], clock), clock, [4711])
    assert reply.error.code == SILENT
    assert clock.slept == []


def test_nobody_waits_for_a_reply_that_is_there() -> None:
    clock = Clock()
    grid = LateGrid([Site(0), Site(1, raises=True)], clock)
    answer, error = ask(grid, clock, [FIRST, FIRST + 1])
    assert answer.has_content()
    assert error.error.code == 2
    assert clock.slept == []


def test_replies_are_pulled_one_at_a_time() -> None:
    """The next reply is pulled only after the last one was taken."""
    clock = Clock()
    grid = LateGrid([Site(0), Site(1), Site(2)], clock)
    exchange = exchange_of(grid, clock)
    replies = exchange.replies(questions(exchange, [FIRST, FIRST + 1, FIRST + 2]))
    for count, _ in enumerate(replies, 1):
        assert len(grid.pulled) == count


def test_nothing_of_a_reply_is_in_memory_when_the_next_is_pulled() -> None:
    grid, clock = CountingGrid([traced(Site(index)) for index in range(1, 4)]), Clock()
    exchange = exchange_of(grid, clock)
    for reply in exchange.replies(questions(exchange, [FIRST, FIRST + 1, FIRST + 2])):
        assert reply.has_content()
        assert Traced.alive == 1
        del reply
    assert grid.held == [0, 0, 0]
    assert Traced.alive == 0


class ForgetfulGrid(InProcessGrid):
    """A bus that takes messages, keeps none, and has no replies."""

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Say that each was sent."""
        return [f"to {message.metadata.dst_node_id}" for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return nothing."""
        del message_ids
        return []


def test_questions_are_made_as_they_are_sent_and_not_held() -> None:
    nodes = range(FIRST, FIRST + 300)
    exchange = exchange_of(ForgetfulGrid({}, 0, {}), Clock(), deadline_s=0.0)
    alive: WeakSet[Message] = WeakSet()
    most = 0

    def asked() -> Iterator[Message]:
        nonlocal most
        for message in (questions(exchange, [node])[0] for node in nodes):
            alive.add(message)
            most = max(most, len(alive))
            yield message
            del message

    replies = exchange.replies(asked())
    assert [reply.metadata.src_node_id for reply in replies] == list(nodes)
    assert most <= 70
    assert not alive


class LyingGrid(InProcessGrid):
    """A bus on which every reply names another source: Flower's placeholder, or a liar's."""

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return replies of node 999."""
        elsewhere = Message(RecordDict(), 999, "train")
        return [
            Message(reply.error if reply.has_error() else reply.content, reply_to=elsewhere)
            for reply in super().pull_messages(message_ids)
        ]


def test_a_reply_is_of_the_node_that_was_asked_whatever_it_says() -> None:
    grid = LyingGrid({0: Site(0), 1: Site(1, raises=True)}, 2, {})
    answer, error = ask(grid, Clock(), [FIRST, FIRST + 1])
    assert answer.metadata.src_node_id == FIRST
    assert error.metadata.src_node_id == FIRST + 1
    assert error.error.code == 2


class BrokenGrid(InProcessGrid):
    """A bus on which pulling the first reply raises."""

    def __init__(self, error: Exception) -> None:
        super().__init__({0: Site(0), 1: Site(1)}, 2, {})
        self._error = error

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Raise for the first message."""
        asked = list(message_ids)
        if asked == ["message-1"]:
            raise self._error
        return super().pull_messages(asked)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        UnicodeDecodeError("utf-8", b"", 0, 1, ""),
        TypeError(),
        KeyError(),
        IndexError(),
        AttributeError(),
        RecursionError(),
        DecodeError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_bytes_that_flower_cannot_read_are_that_nodes_fault(error: Exception) -> None:
    """Mutating a stored reply 40,000 times made Flower's reading raise these and no others."""
    unreadable, other = ask(BrokenGrid(error), Clock(), [FIRST, FIRST + 1])
    assert unreadable.metadata.src_node_id == FIRST
    assert unreadable.error.code == UNREADABLE
    assert other.has_content()


def test_a_lost_connection_is_nobodys_fault() -> None:
    with pytest.raises(ConnectionError):
        ask(BrokenGrid(ConnectionError()), Clock(), [FIRST])


@given(nodes=st.lists(st.integers(0, 5), max_size=8), num_bytes=st.integers(0, 40))
def test_traffic_counts_the_bytes_of_arrays(nodes: list[int], num_bytes: int) -> None:
    """Bytes sent to an absent node count as well; an error reply has no bytes."""
    clock, traffic = Clock(), ByteCount()
    sites = [Site(0), Site(1), Site(2), Site(3, raises=True), Site(4, None)]
    exchange = Exchange(
        grid=LateGrid(sites, clock),
        deadline_s=1.0,
        traffic=traffic,
        clock=clock,
        sleep=clock.sleep,
    )
    asked = questions(exchange, [FIRST + index for index in nodes], num_bytes=num_bytes)
    list(exchange.replies(asked))
    assert traffic.down == num_bytes * len(nodes)
    assert traffic.up == sum(index for index in nodes if index < 3)


@pytest.mark.parametrize("deadline_s", [0.0, 600.0, 20_000.0])
def test_a_message_is_valid_for_longer_than_its_reply_is_awaited(deadline_s: float) -> None:
    exchange = exchange_of(LateGrid([], Clock()), Clock(), deadline_s=deadline_s)
    message = exchange.message("query.hello", 17, RecordDict(), group="3")
    assert deadline_s < message.metadata.ttl <= 43_200
    assert message.metadata.message_type == "query.hello"
    assert message.metadata.dst_node_id == 17
    assert message.metadata.group_id == "3"


def test_without_a_clock_of_its_own_an_exchange_takes_the_machines() -> None:
    grid = InProcessGrid({0: Site(0, None)}, 1, {})
    exchange = Exchange(grid=grid, deadline_s=0.0)
    (reply,) = exchange.replies(questions(exchange, [FIRST]))
    assert reply.error == Error(SILENT, "no reply before the deadline")
