"""The messages of hubs: what is written is read, and nothing else is."""

from dataclasses import replace

import pytest
from flwr.app import ArrayRecord, ConfigRecord, RecordDict

from privacy.wire import flower_records as wire
from privacy.wire.flower_records import MalformedRecord
from privacy.wire.hub_messages import (
    Brought,
    HubAnswer,
    HubHello,
    HubIsHere,
    HubPart,
    Passed,
    Relayed,
    SignedSum,
    carried_bytes,
    part_of,
    run_name,
    run_of,
)

QUIET = wire.content({"receipts": wire.bytes_array(b"two")}, {"report": 0})
LOUD = wire.content({"receipts": wire.bytes_array(b"two")}, {"report": 1})
REFUSAL = wire.refusal_of("bad-table", {})
PASSED = Passed(
    name="first",
    charter="c",
    config="d",
    kind="train",
    group="1",
    nodes=(2**64 - 1, 7),
    sites=("east", "west"),
    contents=(QUIET, LOUD),
    asked=(1, 0),
    layout=b"{}",
)
ANSWER = HubAnswer(
    nodes=(7, 8),
    brought=(
        Brought(content=QUIET, run=9, digest=bytes(32), num_bytes=3, summed=True),
        Brought(content=REFUSAL, run=9, digest=bytes(32)),
        Brought(error=5),
    ),
    sums=(SignedSum(statement=b"said", summed=b"sum"),),
)


def test_what_a_hub_is_asked_and_answers_is_read_as_it_was_written() -> None:
    hello = HubHello(name="first", charter="c", config="d", challenge=bytes(32))
    here = HubIsHere(hub="hub-a", session="s", nodes=(1, 2**64 - 1), proof=bytes(64))
    assert HubHello.read(hello.content()) == hello
    assert HubIsHere.read(here.content()) == here
    assert Passed.read(PASSED.content()) == PASSED
    assert HubAnswer.read(ANSWER.content(), asked=3) == ANSWER


def without(record: RecordDict, key: str) -> RecordDict:
    return RecordDict({name: one for name, one in record.items() if name != key})


@pytest.mark.parametrize("key", ["about", "0.about", "2.about", "sums"])
def test_an_answer_that_lacks_a_part_is_refused(key: str) -> None:
    with pytest.raises(MalformedRecord):
        HubAnswer.read(without(ANSWER.content(), key), asked=3)


def test_answers_of_others_than_were_asked_are_refused() -> None:
    with pytest.raises(MalformedRecord):
        HubAnswer.read(ANSWER.content(), asked=1)
    with pytest.raises(MalformedRecord):
        HubAnswer.read(ANSWER.content(), asked=4)


def test_a_sum_without_a_statement_is_refused() -> None:
    record = ANSWER.content()
    record["sums"] = ArrayRecord({"0": wire.bytes_array(b"sum")})
    with pytest.raises(MalformedRecord):
        HubAnswer.read(record, asked=3)


def test_a_question_whose_nodes_and_contents_do_not_belong_together_is_refused() -> None:
    record = PASSED.content()
    about = record["about"]
    assert isinstance(about, ConfigRecord)
    for key, value in (("nodes", "7"), ("nodes", "7,x"), ("contents", "0,5"), ("sites", "east")):
        wrong = ConfigRecord({**about, key: value})
        with pytest.raises(MalformedRecord):
            Passed.read(RecordDict({**record, "about": wrong}))


def test_only_what_was_read_from_a_hub_says_that_its_uploads_are_in_a_sum() -> None:
    """A site cannot send such a content: a message from the network is a plain one."""
    part = HubPart(hub="hub-a", contents={}, sums=ANSWER.sums)
    relayed = Relayed(ANSWER.brought[0], part, carries=part.num_bytes)
    assert relayed == QUIET
    assert (part_of(relayed), run_of(relayed, 1), carried_bytes(relayed)) == (part, 9, 3)
    assert (part_of(QUIET), run_of(QUIET, 1), carried_bytes(QUIET)) == (None, 1, 0)


@pytest.mark.parametrize("name", ["", "../up", "a b", ".hidden", "n" * 65])
def test_a_run_has_a_name_that_is_safe_for_a_directory(name: str) -> None:
    """A coordinator may call its run as it likes; a hub is told a name that leads nowhere else."""
    assert "/" not in run_name(name)
    assert run_name(run_name(name)) == run_name(name) != ""
    hello = HubHello(name=name, charter="c", config="d", challenge=bytes(32))
    with pytest.raises(MalformedRecord):
        HubHello.read(hello.content())
    with pytest.raises(MalformedRecord):
        Passed.read(replace(PASSED, name=name).content())
