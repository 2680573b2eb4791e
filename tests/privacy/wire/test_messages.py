import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from privacy.layout import Field, Layout, LayoutMismatch
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.flower_records import MalformedRecord

LAYOUT = Layout(fields=(Field("weight", (2, 3)), Field("bias", ())), start="base")
SINGLES = st.lists(st.floats(width=32, allow_nan=False), min_size=7, max_size=7)
TALLIES = st.lists(st.integers(-(2**41) + 1, 2**41 - 1), min_size=3, max_size=3)

INTRODUCTION = messages.Introduction(site="north", charter="c" * 64, layout=LAYOUT, num_examples=12)
POSITION = messages.Position(
    charter="c" * 64,
    run="r" * 32,
    server_round=1,
    state=np.ones(7),
    statistics=np.ones(3, np.int64),
)
CONTRIBUTION = messages.Contribution(
    update=np.ones(7), num_examples=12, tally=np.ones(3, np.int64), released=True
)
COUNTS = messages.Counts(tally=np.ones(3, np.int64), released=False)

WRITTEN: dict[str, Callable[[], RecordDict]] = {
    "question": lambda: messages.question("c" * 64),
    "greeting": lambda: messages.greeting("c" * 64, b"c" * 32),
    "introduction": lambda: messages.introduction(INTRODUCTION),
    "position": lambda: messages.position(POSITION),
    "contribution": lambda: messages.contribution(CONTRIBUTION),
    "counts": lambda: messages.counts(COUNTS),
}
READ: dict[str, Callable[[RecordDict], object]] = {
    "question": messages.read_question,
    "greeting": messages.read_greeting,
    "introduction": lambda record: messages.read_introduction(record, max_examples=100),
    "position": lambda record: messages.read_position(record, dim=7, statistics_size=3),
    "contribution": lambda record: messages.read_contribution(
        record, dim=7, tally_size=3, max_examples=100
    ),
    "counts": lambda record: messages.read_counts(record, tally_size=3),
}
every_message = pytest.mark.parametrize("kind", READ)


def test_a_question_is_read_as_it_was_written() -> None:
    assert messages.read_question(messages.question("c" * 64)) == "c" * 64


@given(challenge=st.binary(min_size=32, max_size=32))
def test_a_greeting_is_read_as_it_was_written(challenge: bytes) -> None:
    assert messages.read_greeting(messages.greeting("c" * 64, challenge)) == ("c" * 64, challenge)


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 66, "Z" * 64, "A" * 64, " " * 64])
def test_a_challenge_is_32_bytes_in_one_writing(text: str) -> None:
    record = messages.greeting("c" * 64, b"c" * 32)
    facts = record[wire.FACTS]
    assert isinstance(facts, ConfigRecord)
    facts["challenge"] = text
    with pytest.raises(MalformedRecord):
        messages.read_greeting(record)


@given(
    num_examples=st.integers(0, 100),
    site=st.text(max_size=64),
    proof=st.just(b"") | st.binary(min_size=64, max_size=64),
)
def test_an_introduction_is_read_as_it_was_written(
    num_examples: int, site: str, proof: bytes
) -> None:
    said = messages.Introduction(
        site=site, charter="c" * 64, layout=LAYOUT, num_examples=num_examples, proof=proof
    )
    came = messages.read_introduction(messages.introduction(said), max_examples=100)
    assert came == said
    assert came.layout.digest == LAYOUT.digest


@given(state=SINGLES, statistics=TALLIES, server_round=st.integers(1, 2**31))
def test_a_position_is_read_as_it_was_written(
    state: list[float], statistics: list[int], server_round: int
) -> None:
    sent = messages.Position(
        charter="c" * 64,
        run="r" * 32,
        server_round=server_round,
        state=np.array(state),
        statistics=np.array(statistics),
    )
    came = messages.read_position(messages.position(sent), dim=7, statistics_size=3)
    assert (came.charter, came.server_round) == (sent.charter, server_round)
    assert came.state.tolist() == state
    assert came.statistics.tolist() == statistics


@given(update=SINGLES, tally=TALLIES, num_examples=st.integers(1, 100), released=st.booleans())
def test_a_contribution_is_read_as_it_was_written(
    update: list[float], tally: list[int], num_examples: int, released: bool
) -> None:
    sent = messages.Contribution(
        update=np.array(update),
        num_examples=num_examples,
        tally=np.array(tally),
        released=released,
    )
    came = messages.read_contribution(
        messages.contribution(sent), dim=7, tally_size=3, max_examples=100
    )
    assert (came.num_examples, came.released) == (num_examples, released)
    assert came.update.tolist() == update
    assert came.tally.tolist() == tally


@given(update=SINGLES, tally=TALLIES, num_examples=st.integers(1, 100), released=st.booleans())
def test_a_contribution_is_kept_as_it_would_be_sent(
    update: list[float], tally: list[int], num_examples: int, released: bool
) -> None:
    sent = messages.Contribution(
        update=np.array(update),
        num_examples=num_examples,
        tally=np.array(tally),
        released=released,
    )
    kept = messages.Contribution.decode(sent.encode())
    assert messages.contribution(kept) == messages.contribution(sent)


@given(summed=TALLIES, tally=TALLIES, num_examples=st.integers(0, 100), released=st.booleans())
def test_exact_integers_are_read_and_kept_as_they_were_written(
    summed: list[int], tally: list[int], num_examples: int, released: bool
) -> None:
    sent = messages.Contribution(
        update=np.zeros(0, np.float32),
        num_examples=num_examples,
        tally=np.array(tally),
        released=released,
        summed=np.array(summed),
    )
    kept = messages.Contribution.decode(sent.encode())
    for one in (sent, kept):
        came = messages.read_contribution(
            messages.contribution(one), dim=7, tally_size=3, max_examples=100, summed_size=3
        )
        assert (came.num_examples, came.released) == (num_examples, released)
        assert came.summand.tolist() == summed
        assert came.tally.tolist() == tally


def test_an_update_is_no_tally_and_a_tally_no_update() -> None:
    counted = replace(CONTRIBUTION, update=np.zeros(0), summed=np.ones(3, np.int64))
    with pytest.raises(MalformedRecord):
        messages.read_contribution(
            messages.contribution(counted), dim=7, tally_size=3, max_examples=100
        )
    with pytest.raises(MalformedRecord):
        messages.read_contribution(
            messages.contribution(CONTRIBUTION),
            dim=7,
            tally_size=3,
            max_examples=100,
            summed_size=3,
        )


def test_an_update_is_kept_in_the_bytes_of_version_0_1_0() -> None:
    """A site that was asked before its upgrade answers the same after it."""
    kept = CONTRIBUTION.encode()
    assert kept == (
        np.array([12, 1, 28], "<u8").tobytes()
        + np.ones(7, "<f4").tobytes()
        + np.ones(3, "<i8").tobytes()
    )


@given(tally=TALLIES, released=st.booleans())
def test_counts_are_read_as_they_were_written(tally: list[int], released: bool) -> None:
    sent = messages.Counts(tally=np.array(tally), released=released)
    came = messages.read_counts(messages.counts(sent), tally_size=3)
    assert came.tally.tolist() == tally
    assert came.released is released


@every_message
def test_a_message_is_read_by_its_own_reader_only(kind: str) -> None:
    for other, written in WRITTEN.items():
        if other == kind:
            READ[kind](written())
        else:
            with pytest.raises(MalformedRecord):
                READ[kind](written())


@every_message
def test_a_record_more_or_less_is_refused(kind: str) -> None:
    for name in (wire.ARRAYS, wire.FACTS):
        record = WRITTEN[kind]()
        del record[name]
        with pytest.raises(MalformedRecord):
            READ[kind](record)
    record = WRITTEN[kind]()
    record["metrics"] = MetricRecord({"loss": 0.5})
    with pytest.raises(MalformedRecord):
        READ[kind](record)


@every_message
def test_an_array_of_another_size_is_refused(kind: str) -> None:
    record = WRITTEN[kind]()
    for name in record.array_records[wire.ARRAYS]:
        spoiled = WRITTEN[kind]()
        spoiled.array_records[wire.ARRAYS][name] = wire.vector_array(np.ones(1))
        with pytest.raises(MalformedRecord):
            READ[kind](spoiled)


NOT_FACTS = [float("nan"), True, -1, 10**12, "", "x" * 201, b"", [1], 1.0]


@every_message
@pytest.mark.parametrize("value", NOT_FACTS, ids=repr)
def test_a_fact_of_another_type_or_out_of_range_is_refused(kind: str, value: Any) -> None:
    """The one exception is a shorter text in the place of a text: it is another valid text.

    But a challenge has its length.
    """
    for name, was in WRITTEN[kind]().config_records[wire.FACTS].items():
        record = WRITTEN[kind]()
        record.config_records[wire.FACTS][name] = value
        if value == "" and isinstance(was, str) and name != "challenge":
            READ[kind](record)
        else:
            with pytest.raises(MalformedRecord):
                READ[kind](record)


def test_training_takes_an_example_and_presence_does_not() -> None:
    contribution, introduction = WRITTEN["contribution"](), WRITTEN["introduction"]()
    for record in (contribution, introduction):
        record.config_records[wire.FACTS]["num-examples"] = 0
    READ["introduction"](introduction)
    with pytest.raises(MalformedRecord, match="from 1 to 100"):
        READ["contribution"](contribution)


DESCRIPTIONS = {
    "empty": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00",
    "deep nesting": b"[" * 100_000,
    "a number of 5,000 digits": b"9" * 5_000,
    "a side of 5,000 digits": b'{"start": "", "fields": [["w", [' + b"9" * 5_000 + b"]]]}",
    "a list": b"[]",
    "no fields": b'{"start": "zero", "fields": []}',
    "a name twice": b'{"start": "zero", "fields": [["w", [1]], ["w", [2]]]}',
    "an empty side": b'{"start": "zero", "fields": [["w", [0]]]}',
    "a fraction": b'{"start": "zero", "fields": [["w", [1.5]]]}',
    "a truth value": b'{"start": "zero", "fields": [["w", [true]]]}',
    "more than fits": b'{"start": "zero", "fields": [["w", [4000000000]]]}',
    "nine sides": b'{"start": "zero", "fields": [["w", [1,1,1,1,1,1,1,1,1]]]}',
    "too long": b" " * 4_000_001,
    "10,001 fields": json.dumps(
        {"start": "zero", "fields": [[str(index), [1]] for index in range(10_001)]}
    ).encode(),
}


@pytest.mark.parametrize("described", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_hostile_layout_is_refused(described: bytes) -> None:
    record = WRITTEN["introduction"]()
    record.array_records[wire.ARRAYS]["layout"] = wire.bytes_array(described)
    with pytest.raises((MalformedRecord, LayoutMismatch)):
        READ["introduction"](record)


@given(described=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_for_a_layout_are_one_or_refused(described: bytes) -> None:
    record = WRITTEN["introduction"]()
    record.array_records[wire.ARRAYS]["layout"] = wire.bytes_array(described)
    with pytest.raises((MalformedRecord, LayoutMismatch)):
        READ["introduction"](record)


def test_a_position_is_for_a_round_from_one_on() -> None:
    record = WRITTEN["position"]()
    record[wire.FACTS] = ConfigRecord({"charter": "c", "run": "r", "round": 0})
    with pytest.raises(MalformedRecord, match="round must be a whole number from 1"):
        READ["position"](record)
