"""Each way in which one reply breaks Flower's own strategies, tried against ours.

The law: the site is quarantined for the round by a typed code, and the model is that of the run
without it, bit for bit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.wire import flower_records as wire
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid, SiteApp, Vanished
from strategies.coordinator.messaging.cohort import QuorumNotReached
from strategies.coordinator.messaging.events import SiteAnswered, StatisticsPooled
from strategies.coordinator.plaintext.aggregation_buffer import Gather, StackedUpdates
from strategies.rules.coordinatewise import coordinate_median
from tests.small_site import (
    EVALUATION_SIZE,
    LAYOUT,
    MEAN,
    NAMES,
    STATISTICS_SIZE,
    TERMS,
    Outcome,
    SmallSite,
    Spoil,
    grid_of,
    honest,
    strategy_of,
)

DIM = LAYOUT.dim
MEDIAN = Gather(begin=lambda state: StackedUpdates(coordinate_median, state.vector.size))
GATHERS = {"mean": MEAN, "median": MEDIAN}
OTHERS = tuple(name for name in NAMES if name != "south")


class NoSuchRecord(ConsortiumError, LookupError, code="no-such-record"):
    """Why a site refuses."""


def with_fact(name: str, value: Any) -> Spoil:
    def spoil(content: RecordDict) -> RecordDict:
        arrays, facts = wire.arrays_and_facts(content)
        return wire.content(dict(arrays), {**facts, name: value})  # type: ignore[dict-item]

    return spoil


def with_array(name: str, array: Array) -> Spoil:
    def spoil(content: RecordDict) -> RecordDict:
        arrays, facts = wire.arrays_and_facts(content)
        return wire.content({**arrays, name: array}, dict(facts))  # type: ignore[arg-type]

    return spoil


def without(record: str, key: str) -> Spoil:
    def spoil(content: RecordDict) -> RecordDict:
        del content[record][key]
        return content

    return spoil


def with_record(name: str, record: ArrayRecord | ConfigRecord | MetricRecord) -> Spoil:
    def spoil(content: RecordDict) -> RecordDict:
        return RecordDict({**content, name: record})

    return spoil


def instead(content: RecordDict) -> Spoil:
    return lambda _: content


def update(*values: float) -> Spoil:
    """Return a spoil that puts values at the start of an update of ones."""
    vector: NDArray[np.float64] = np.ones(DIM)
    vector[: len(values)] = values
    return with_array("update", wire.vector_array(vector))


def raw(dtype: str, shape: tuple[int, ...], stype: str, nbytes: int) -> Spoil:
    return with_array("update", Array(dtype=dtype, shape=shape, stype=stype, data=bytes(nbytes)))


def ones(size: int) -> Spoil:
    return with_array("update", wire.vector_array(np.ones(size)))


def tally(entry: int, size: int) -> Spoil:
    return with_array("tally", wire.tally_array(np.full(size, entry, np.int64)))


def refusal(facts: Mapping[str, Any]) -> Spoil:
    return instead(RecordDict({wire.REFUSAL: ConfigRecord(dict(facts))}))


def raises(_content: RecordDict) -> RecordDict:
    raise ZeroDivisionError


def vanishes(_content: RecordDict) -> RecordDict:
    raise Vanished


NPY_OF_745_GIB = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'shape': (100000000000,), }".ljust(128)

# What any reply with a tally can be: (code, spoil).
ANYWHERE: dict[str, tuple[str, Spoil]] = {
    "no content": ("malformed-record", instead(RecordDict())),
    "a question": ("malformed-record", instead(messages.question("c"))),
    "an extra fact": ("malformed-record", with_fact("accuracy", 0.9)),
    "an extra record": ("malformed-record", with_record("metrics", MetricRecord({"loss": 1.0}))),
    "metrics as facts": ("malformed-record", with_record("facts", MetricRecord({"released": 1}))),
    "a missing fact": ("malformed-record", without(wire.FACTS, "released")),
    "a missing array": ("malformed-record", without(wire.ARRAYS, "tally")),
    "released neither yes nor no": ("malformed-record", with_fact("released", 2)),
    "a tally of one": ("malformed-record", tally(1, 1)),
    "a tally as npy": ("malformed-record", with_array("tally", Array(np.ones(4, np.int64)))),
    "a count of 2**41": ("tally-out-of-range", tally(2**41, EVALUATION_SIZE)),
    "a count that overflows": ("tally-out-of-range", tally(2**63 - 1, EVALUATION_SIZE)),
    "a count below zero": ("impossible-tally", tally(-1, EVALUATION_SIZE)),
    "an exception": ("node-failed", raises),
    "silence": ("silent", vanishes),
    "a refusal": (
        "site-refused.no-such-record",
        instead(wire.refusal_content(NoSuchRecord("patient 17", rows=0))),
    ),
    "a refusal that counts messages": (
        "site-refused.odd",
        refusal({"code": "odd", "count.message": 1, "count.self": 2}),
    ),
    "a refusal without a code": ("malformed-record", refusal({"count.rows": 1})),
    "a refusal with a fraction": ("malformed-record", refusal({"code": "c", "count.n": 0.5})),
    "a refusal with a long code": ("malformed-record", refusal({"code": "c" * 65})),
    "a refusal with 17 counts": (
        "malformed-record",
        refusal({"code": "c", **{f"count.n{index}": 1 for index in range(17)}}),
    ),
    "a refusal of arrays": (
        "malformed-record",
        instead(RecordDict({wire.REFUSAL: ArrayRecord()})),
    ),
}

TRAINING: dict[str, tuple[str, Spoil]] = {
    **ANYWHERE,
    "NaN": ("non-finite-update", update(0.0, float("nan"))),
    "Inf": ("non-finite-update", update(float("inf"))),
    "-Inf": ("non-finite-update", update(1.0, 1.0, -float("inf"))),
    "NaN and Inf": ("non-finite-update", update(float("inf"), float("nan"))),
    "10**12 examples": ("malformed-record", with_fact("num-examples", 10**12)),
    "1e12 examples": ("malformed-record", with_fact("num-examples", 1e12)),
    "negative examples": ("malformed-record", with_fact("num-examples", -100)),
    "no examples": ("malformed-record", with_fact("num-examples", 0)),
    "NaN examples": ("malformed-record", with_fact("num-examples", float("nan"))),
    "true examples": ("malformed-record", with_fact("num-examples", True)),
    "examples in words": ("malformed-record", with_fact("num-examples", "many")),
    "missing examples": ("malformed-record", without(wire.FACTS, "num-examples")),
    "an update of one number": ("malformed-record", ones(1)),
    "an update of two": ("malformed-record", ones(2)),
    "a row": ("malformed-record", raw("float32", (1, DIM), wire.VECTOR_TYPE, 4 * DIM)),
    "float64": ("malformed-record", raw("float64", (DIM,), wire.VECTOR_TYPE, 8 * DIM)),
    "an integer buffer": ("malformed-record", raw("int64", (DIM,), wire.VECTOR_TYPE, 8 * DIM)),
    "a byte less": ("malformed-record", raw("float32", (DIM,), wire.VECTOR_TYPE, 4 * DIM - 1)),
    "npy": ("malformed-record", with_array("update", Array(np.ones(DIM, np.float32)))),
    "npy that asks for 745 GiB": (
        "malformed-record",
        with_array(
            "update",
            Array(dtype="float32", shape=(DIM,), stype="numpy.ndarray", data=NPY_OF_745_GIB),
        ),
    ),
    "an extra buffer": (
        "malformed-record",
        with_array("num_batches_tracked", wire.tally_array(np.ones(1, np.int64))),
    ),
    "a missing update": ("malformed-record", without(wire.ARRAYS, "update")),
    "an update and a refusal": (
        "site-refused.both",
        with_record(wire.REFUSAL, ConfigRecord({"code": "both"})),
    ),
}


def ran(sites: Iterable[SiteApp], gather: Gather = MEAN, rounds: int = 2) -> Outcome:
    """Run to the end, by sample counts with the mean and by equal weights otherwise."""
    outcome = Outcome()
    terms = TERMS if gather is MEAN else replace(TERMS, weigh=lambda _examples: 1.0)
    strategy_of(outcome, gather=gather, terms=terms).start(grid_of(list(sites)), rounds)
    return outcome


@cache
def undisturbed(names: tuple[str, ...] = NAMES, gather: Gather = MEAN) -> Outcome:
    """Return a run of these sites alone, all of them honest."""
    return ran(honest(names), gather)


def with_bad(kind: str, spoil: Spoil) -> list[SmallSite]:
    """Return four sites of which south's answers of one kind are spoiled."""
    return [
        replace(site, spoil={kind: spoil}) if site.name == "south" else site for site in honest()
    ]


@pytest.mark.parametrize("gather", GATHERS.values(), ids=GATHERS)
@pytest.mark.parametrize(("code", "spoil"), TRAINING.values(), ids=TRAINING)
def test_a_bad_update_leaves_no_trace_in_the_model(gather: Gather, code: str, spoil: Spoil) -> None:
    outcome = ran(with_bad(messages.TRAIN, spoil), gather)
    reference = undisturbed(OTHERS, gather)
    assert outcome.quarantined == {("south", code)}
    assert outcome.model == reference.model
    for spoiled, clean in zip(outcome.rounds[:-1], reference.rounds[:-1], strict=True):
        assert spoiled.answered == OTHERS
        assert spoiled.evaluation.tolist() == clean.evaluation.tolist()
        assert set(outcome.released(spoiled.server_round)) == set(OTHERS)


@pytest.mark.parametrize(("code", "spoil"), ANYWHERE.values(), ids=ANYWHERE)
def test_bad_evaluation_counts_are_not_added(code: str, spoil: Spoil) -> None:
    outcome = ran(with_bad(messages.EVALUATE, spoil))
    assert outcome.quarantined == {("south", code)}
    assert outcome.model == undisturbed().model
    assert outcome.rounds[-1].answered == OTHERS
    assert outcome.rounds[-1].evaluation.tolist() == [3 * 3] * EVALUATION_SIZE


@pytest.mark.parametrize(
    ("code", "spoil"),
    [*ANYWHERE.values(), ("malformed-record", tally(1, EVALUATION_SIZE))],
    ids=[*ANYWHERE, "evaluation counts"],
)
def test_bad_statistics_are_not_pooled(code: str, spoil: Spoil) -> None:
    """The tallies of `ANYWHERE` have the size of an evaluation; here that size alone is refused."""
    outcome = ran(with_bad(messages.STATISTICS, spoil))
    if code in {"tally-out-of-range", "impossible-tally"}:
        code = "malformed-record"
    assert outcome.quarantined == {("south", code)}
    (pooled,) = [event for event in outcome.events if isinstance(event, StatisticsPooled)]
    reference = undisturbed(OTHERS)
    (clean,) = [event for event in reference.events if isinstance(event, StatisticsPooled)]
    assert pooled.pooled.tolist() == clean.pooled.tolist()
    assert set(outcome.released(0)) == set(OTHERS)


@pytest.mark.parametrize(
    ("entry", "code"), [(2**41, "tally-out-of-range"), (-1, "impossible-tally")]
)
def test_impossible_statistics_are_not_pooled(entry: int, code: str) -> None:
    outcome = ran(with_bad(messages.STATISTICS, tally(entry, STATISTICS_SIZE)))
    assert outcome.quarantined == {("south", code)}


def moody(site: SmallSite, spoils: Mapping[int, Spoil]) -> SiteApp:
    """Return the site with its updates of some rounds spoiled."""

    def app(message: Message, context: Context) -> Message:
        if message.metadata.message_type != messages.TRAIN:
            return site(message, context)
        server_round = wire.arrays_and_facts(message.content)[1]["round"]
        assert isinstance(server_round, int)
        spoil = spoils.get(server_round)
        return (replace(site, spoil={messages.TRAIN: spoil}) if spoil else site)(message, context)

    return app


SCHEDULES = st.dictionaries(
    st.tuples(st.sampled_from(NAMES), st.integers(1, 3)), st.sampled_from(sorted(TRAINING))
)


@settings(max_examples=60)
@given(schedule=SCHEDULES)
def test_whatever_is_sent_is_worth_no_more_than_silence(
    schedule: dict[tuple[str, int], str],
) -> None:
    """Any mixture of bad replies leaves the model that silence at those places leaves."""

    def model(spoils: Mapping[str, Spoil]) -> bytes:
        sites = [
            moody(
                site,
                {
                    turn: spoils[what]
                    for (name, turn), what in schedule.items()
                    if name == site.name
                },
            )
            for site in honest()
        ]
        outcome = Outcome()
        try:
            strategy_of(outcome).start(grid_of(sites), 3)
        except QuorumNotReached:
            assert any(all((n, t) in schedule for n in NAMES) for t in (1, 2, 3))
        answered = {
            (event.site, event.server_round)
            for event in outcome.events
            if isinstance(event, SiteAnswered)
        }
        assert answered.isdisjoint(schedule)
        return outcome.model

    spoiled = model({name: spoil for name, (_, spoil) in TRAINING.items()})
    assert spoiled == model(dict.fromkeys(TRAINING, vanishes))


class OddGrid(InProcessGrid):
    """A bus on which error replies come from nowhere, and south's updates cannot be read."""

    unreadable: frozenset[str] = frozenset()

    def push_messages(self, messages_: Iterable[Message]) -> Iterable[str]:
        """Note the messages that ask south to train."""
        pushed = list(messages_)
        ids = list(super().push_messages(pushed))
        self.unreadable |= {
            message_id
            for message, message_id in zip(pushed, ids, strict=True)
            if message.metadata.dst_node_id == 1003
            and message.metadata.message_type == messages.TRAIN
        }
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Fail where Flower's own reading of a reply would; hide who failed."""
        asked = list(message_ids)
        if self.unreadable.intersection(asked):
            raise ValueError
        nowhere = Message(RecordDict(), 1, "train")
        return [
            Message(reply.error, reply_to=nowhere) if reply.has_error() else reply
            for reply in super().pull_messages(asked)
        ]


def test_failures_are_attributed_whatever_source_flower_gives_them() -> None:
    sites: list[SiteApp] = list(honest())
    sites[0] = SmallSite(name="east", spoil={messages.TRAIN: raises})
    outcome = Outcome()
    strategy_of(outcome).start(OddGrid(dict(enumerate(sites)), 4, {}), 2)
    assert outcome.quarantined == {("east", "node-failed"), ("south", "unreadable")}
    reference = ran(honest(["north", "west"]))
    assert outcome.model == reference.model
