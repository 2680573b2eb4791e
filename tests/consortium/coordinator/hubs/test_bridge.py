"""The bridge inside a hub: questions cross it one after the other, and no death leaves it stuck."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flwr.app import ConfigRecord, RecordDict

from consortium.coordinator.hubs import bridge as bridges
from consortium.coordinator.hubs.bridge import Bridge, HubQuestion, NobodyAnswers
from consortium.coordinator.hubs.regional_hub import NotForAHub
from privacy.errors import ConsortiumError
from privacy.wire.flower_records import bytes_array, content
from privacy.wire.record_bytes import encode_content

END = "query.hub_end"
NOTHING = encode_content(RecordDict())


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridges, "_LOOK_S", 0.05)


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    """A bridge whose path is longer than the system allows an address to be."""
    return Bridge(tmp_path / ("long" * 30) / "hub.sock")


def question(kind: str, size: int = 1) -> HubQuestion:
    facts = content({"uploads": bytes_array(b"u" * size)}, {"kind": kind})
    return HubQuestion(kind=kind, run=2**63, node=2**64 - 1, content=facts)


def echoed(asked: HubQuestion) -> RecordDict:
    """Answer with what came; refuse what only members answer."""
    if asked.kind == "train":
        raise NotForAHub("a hub answers none itself")
    said = ConfigRecord({"kind": asked.kind, "run": str(asked.run), "node": str(asked.node)})
    return RecordDict({**dict(asked.content.items()), "said": said})


@contextmanager
def served(
    bridge: Bridge,
    answer: Callable[[HubQuestion], RecordDict] = echoed,
    *,
    silent: Callable[[], bool] = lambda: True,
) -> Iterator[list[ConsortiumError]]:
    """Serve a bridge in a thread, until its end was told; yield what was refused."""
    refused: list[ConsortiumError] = []

    def goes_on(asked: HubQuestion | None) -> bool:
        return silent() if asked is None else asked.kind != END

    serving = threading.Thread(
        target=lambda: bridge.serve(answer, goes_on=goes_on, note=refused.append)
    )
    serving.start()
    while serving.is_alive() and not bridge.is_served():
        pass
    try:
        yield refused
        if serving.is_alive():
            bridge.ask(question(END))
    finally:
        serving.join(10)
    assert not serving.is_alive()
    assert not bridge.path.exists()


def test_two_questions_one_after_another_get_their_answers_whole(bridge: Bridge) -> None:
    with served(bridge) as refused:
        for size in (1, 5_000_000):
            asked = question("query.hub_carry", size)
            came = bridge.ask(asked)
            assert came == echoed(asked)
    assert refused == []


def test_a_question_that_is_refused_says_its_code_and_the_next_is_answered(bridge: Bridge) -> None:
    with served(bridge) as refused:
        with pytest.raises(NobodyAnswers, match="not-for-a-hub"):
            bridge.ask(question("train"))
        assert bridge.ask(question("query.hub_hello"))
    assert [one.code for one in refused] == ["not-for-a-hub"]


def test_nobody_else_can_reach_it(bridge: Bridge) -> None:
    with served(bridge):
        assert bridge.path.parent.stat().st_mode & 0o077 == 0


def test_where_nobody_listens_it_is_said_at_once(bridge: Bridge) -> None:
    with pytest.raises(NobodyAnswers):
        bridge.ask(question("query.hub_hello"))
    bridge.path.parent.mkdir()
    assert not bridge.is_served()
    with pytest.raises(NobodyAnswers):
        bridge.ask(question("query.hub_hello"))


def test_a_socket_that_a_killed_process_left_is_taken_over(bridge: Bridge) -> None:
    bridge.path.parent.mkdir()
    with bridge._address() as address, socket.socket(socket.AF_UNIX) as left:
        left.bind(address)
    assert bridge.path.exists()
    with pytest.raises(NobodyAnswers):
        bridge.ask(question("query.hub_hello"))
    with served(bridge):
        assert bridge.ask(question("query.hub_hello"))


def test_whoever_asks_is_told_when_the_one_that_asks_members_dies(bridge: Bridge) -> None:
    """Not left waiting for a deadline: the coordinator hears that the hub is away."""

    def dies(_asked: HubQuestion) -> RecordDict:
        raise KeyboardInterrupt

    def serve() -> None:
        with pytest.raises(KeyboardInterrupt):
            bridge.serve(dies, goes_on=lambda _asked: True, note=lambda _error: None)

    serving = threading.Thread(target=serve)
    serving.start()
    while not bridge.is_served():
        pass
    with pytest.raises(NobodyAnswers):
        bridge.ask(question("query.hub_carry"))
    serving.join(10)


def test_a_question_whose_bringer_has_gone_is_not_asked_any_more(bridge: Bridge) -> None:
    asked: list[str] = []
    busy, free = threading.Event(), threading.Event()

    def slowly(one: HubQuestion) -> RecordDict:
        asked.append(one.kind)
        if one.kind == "query.slow":
            busy.set()
            free.wait(10)
        return RecordDict()

    with served(bridge, slowly):
        first = threading.Thread(target=lambda: bridge.ask(question("query.slow")))
        first.start()
        busy.wait(10)
        with bridge._connected() as gone:
            bridges._send(gone, {"kind": "query.lost", "run": 1, "node": 1}, NOTHING)
        free.set()
        first.join(10)
        bridge.ask(question("query.next"))
    assert asked == ["query.slow", "query.next", END]


@pytest.mark.parametrize("sent", [b"\x00" * 3, b"\x00" * 20, bridges._HEAD.pack(2, 0) + b"{}"])
def test_half_a_question_is_none(bridge: Bridge, sent: bytes) -> None:
    with served(bridge) as refused:
        with bridge._connected() as asking:
            asking.sendall(sent)
        assert bridge.ask(question("query.hub_hello"))
    assert refused == []


def test_it_ends_when_nothing_comes_for_too_long(bridge: Bridge) -> None:
    with served(bridge, silent=lambda: False):
        pass
