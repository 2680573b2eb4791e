from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Error,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from scenarios.engines.in_process import GONE, RAISED, InProcessGrid, Vanished, run_in_process

FIRST = 1001


def content() -> RecordDict:
    return RecordDict(
        {
            "arrays": ArrayRecord({"a": Array(np.ones(3))}),
            "facts": ConfigRecord({"name": "north", "list": [1, 2]}),
            "metrics": MetricRecord({"loss": 0.5, "losses": [0.5, 0.25]}),
        }
    )


def echo(message: Message, _context: Context) -> Message:
    return Message(message.content, reply_to=message)


def ask(grid: InProcessGrid, *nodes: int) -> list[Message]:
    asked = [Message(content(), node, "query.hello", group_id="4") for node in nodes]
    return list(grid.send_and_receive(asked, timeout=1.0))


def test_each_site_is_called_as_flower_calls_it() -> None:
    seen: list[tuple[str, str, int, Mapping[str, Any], Mapping[str, Any]]] = []

    def app(message: Message, context: Context) -> Message:
        facts = message.metadata
        seen.append(
            (
                facts.message_type,
                facts.group_id,
                facts.dst_node_id,
                context.node_config,
                context.run_config,
            )
        )
        return echo(message, context)

    grid = InProcessGrid(app, 2, {"rounds": 3})
    assert list(grid.get_node_ids()) == [FIRST, FIRST + 1]
    replies = ask(grid, FIRST + 1, FIRST)
    assert [reply.metadata.src_node_id for reply in replies] == [FIRST + 1, FIRST]
    assert all(reply.content == content() for reply in replies)
    assert seen == [
        (
            "query.hello",
            "4",
            FIRST + index,
            {"partition-id": index, "num-partitions": 2},
            {"rounds": 3},
        )
        for index in (1, 0)
    ]


def test_a_sites_state_lasts_for_the_run_and_is_its_own() -> None:
    def app(message: Message, context: Context) -> Message:
        record = context.state.setdefault("count", ConfigRecord({"n": 0}))
        assert isinstance(record, ConfigRecord)
        record["n"] = int(str(record["n"])) + 1
        return Message(RecordDict({"count": ConfigRecord(dict(record))}), reply_to=message)

    grid = InProcessGrid(app, 2, {})
    replies = ask(grid, FIRST, FIRST, FIRST + 1)
    assert [reply.content["count"] for reply in replies] == [{"n": 1}, {"n": 2}, {"n": 1}]


def test_no_record_is_shared_between_sites_or_with_the_coordinator() -> None:
    """Flower sends one content to all sites of a round; in one process they would share it."""
    received: list[RecordDict] = []
    kept: list[RecordDict] = []

    def spoils(message: Message, _context: Context) -> Message:
        received.append(message.content)
        assert message.content == content()
        for record in message.content.values():
            for value in record.values():
                if isinstance(value, list):
                    value.append(99)  # type: ignore[arg-type]
            record.clear()
        kept.append(content())
        return Message(kept[-1], reply_to=message)

    sent = content()
    grid = InProcessGrid(spoils, 2, {})
    asked = [Message(sent, node, "train") for node in (FIRST, FIRST + 1)]
    replies = list(grid.send_and_receive(asked))
    assert sent == content()
    for mine in kept:
        for record in mine.values():
            record.clear()
    assert [reply.content for reply in replies] == [content(), content()]
    assert len(received) == 2


def test_an_exception_at_a_site_returns_with_its_traceback_as_in_flower() -> None:
    def app(_message: Message, _context: Context) -> Message:
        raise KeyError("patient 17")

    (reply,) = ask(InProcessGrid(app, 1, {}), FIRST)
    assert reply.error.code == RAISED
    assert "KeyError: 'patient 17'" in str(reply.error.reason)
    assert reply.metadata.src_node_id == FIRST


def test_an_error_reply_of_a_site_is_delivered() -> None:
    def app(message: Message, _context: Context) -> Message:
        return Message(Error(42, "no"), reply_to=message)

    (reply,) = ask(InProcessGrid(app, 1, {}), FIRST)
    assert reply.error.code == 42


def test_a_site_that_vanishes_never_replies() -> None:
    calls: list[int] = []

    def app(_message: Message, context: Context) -> Message:
        calls.append(context.node_id)
        raise Vanished

    grid = InProcessGrid({0: app, 1: echo}, 2, {})
    ids = list(grid.push_messages([Message(content(), FIRST, "train")]))
    assert list(grid.pull_messages(ids)) == []
    assert list(grid.pull_messages(ids)) == []
    assert calls == [FIRST]
    assert len(ask(grid, FIRST, FIRST + 1)) == 1


def test_a_site_runs_when_its_reply_is_pulled_and_once() -> None:
    """So only one site is in memory at a time."""
    calls: list[int] = []

    def app(message: Message, context: Context) -> Message:
        calls.append(context.node_id)
        return echo(message, context)

    grid = InProcessGrid(app, 2, {})
    ids = list(grid.push_messages([Message(content(), FIRST + i, "train") for i in (0, 1)]))
    assert len(set(ids)) == 2
    assert calls == []
    assert len(list(grid.pull_messages([ids[1]]))) == 1
    assert calls == [FIRST + 1]
    assert list(grid.pull_messages([ids[1], "unknown"])) == []
    assert calls == [FIRST + 1]


def test_a_message_to_an_unknown_node_is_not_accepted() -> None:
    grid = InProcessGrid(echo, 1, {})
    assert list(grid.push_messages([Message(content(), 4711, "train")])) == [""]


def test_a_node_that_leaves_before_it_replies_is_an_error_reply() -> None:
    grid = InProcessGrid(echo, 2, {})
    ids = list(grid.push_messages([Message(content(), FIRST + 1, "train")]))
    grid.remove(1)
    assert list(grid.get_node_ids()) == [FIRST]
    (reply,) = grid.pull_messages(ids)
    assert reply.error.code == GONE
    assert reply.metadata.src_node_id == FIRST + 1


def test_the_rest_of_flowers_grid_is_implemented() -> None:
    grid: Grid = InProcessGrid(echo, 1, {})
    grid.set_run(None)  # type: ignore[arg-type]
    assert grid.run is None
    message = grid.create_message(content(), "train", FIRST, "7", ttl=5.0)
    assert message.metadata.group_id == "7"
    assert message.metadata.ttl == 5.0
    (reply,) = grid.send_and_receive([message])
    assert reply.content == content()


def test_the_real_apps_run_to_the_end_in_one_process() -> None:
    """Each reply passes the mods of the ClientApp."""
    client, server = ClientApp(), ServerApp()
    answers: list[tuple[int, int]] = []

    @client.query("double")
    def _double(message: Message, context: Context) -> Message:
        facts = message.content.config_records["facts"]
        doubled = 2 * int(str(facts["n"])) + int(str(context.run_config["extra"]))
        return Message(RecordDict({"facts": ConfigRecord({"n": doubled})}), reply_to=message)

    @server.main()
    def _main(grid: Grid, context: Context) -> None:
        asked = [
            Message(RecordDict({"facts": ConfigRecord({"n": index})}), node, "query.double")
            for index, node in enumerate(grid.get_node_ids())
        ]
        for reply in grid.send_and_receive(asked):
            facts = reply.content.config_records["facts"]
            answers.append((reply.metadata.src_node_id, int(str(facts["n"]))))
        assert context.run_config == {"extra": 5}

    run_in_process(server, client, num_sites=3, run_config={"extra": 5})
    assert answers == [(FIRST, 5), (FIRST + 1, 7), (FIRST + 2, 9)]


def test_exceptions_of_the_serverapp_pass_through() -> None:
    server = ServerApp()

    @server.main()
    def _main(_grid: Grid, _context: Context) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_in_process(server, echo, num_sites=1, run_config={})
