from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import COUNT_NAMES, ConsortiumError
from privacy.wire import flower_records as wire
from privacy.wire.flower_records import MalformedRecord

SINGLES = st.lists(st.floats(width=32), min_size=1, max_size=20)
WHOLES = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20)
SCALARS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=80),
    st.binary(max_size=80),
    st.booleans(),
    st.lists(st.integers(0, 9), max_size=3),
)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)


class TooFewThings(ConsortiumError, ValueError, code="too-few-things"):
    """A refusal as our code would make one."""


@given(numbers=SINGLES)
def test_a_vector_arrives_bit_for_bit(numbers: list[float]) -> None:
    sent = np.array(numbers, np.float32)
    came = wire.read_vector(wire.vector_array(sent), dim=len(numbers))
    assert came.tobytes() == sent.tobytes()


@given(numbers=st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=20))
def test_a_vector_travels_as_little_endian_float32(numbers: list[float]) -> None:
    """Whatever the dtype, byte order or stride in memory."""
    wanted = np.array(numbers).astype("<f4").tobytes()
    strided = np.repeat(np.array(numbers, ">f8"), 2)[::2]
    assert wire.vector_array(strided).data == wanted


@given(numbers=WHOLES)
def test_a_tally_arrives_exactly(numbers: list[int]) -> None:
    sent = np.array(numbers, np.int64)
    assert wire.read_tally(wire.tally_array(sent), size=len(numbers)).tolist() == numbers


@given(data=st.binary(max_size=200))
def test_opaque_bytes_arrive_unchanged(data: bytes) -> None:
    assert wire.read_bytes(wire.bytes_array(data), at_most=200) == data


def test_more_bytes_than_agreed_are_refused_with_the_numbers() -> None:
    with pytest.raises(MalformedRecord, match="at most 4 bytes") as refused:
        wire.read_bytes(wire.bytes_array(b"12345"), at_most=4)
    assert refused.value.counts == {"at_most": 4, "came": 5}


def test_what_was_read_cannot_be_changed_in_place() -> None:
    """It is a read-only view of the message, so no rule can change another's input."""
    vector = wire.read_vector(wire.vector_array(np.ones(2)), dim=2)
    tally = wire.read_tally(wire.tally_array(np.ones(2, np.int64)), size=2)
    assert not vector.flags.writeable
    assert not tally.flags.writeable


HOSTILE = {
    "npy": Array(np.ones(2, np.float32)),
    "npy that asks for 745 GiB": Array(
        dtype="float32",
        shape=(2,),
        stype="numpy.ndarray",
        data=b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, "
        b"'shape': (100000000000,), }".ljust(128)
        + b"\n",
    ),
    "float64": Array(dtype="float64", shape=(2,), stype=wire.VECTOR_TYPE, data=bytes(16)),
    "float64 that says float32": Array(
        dtype="float32", shape=(2,), stype=wire.VECTOR_TYPE, data=bytes(16)
    ),
    "an integer buffer": Array(dtype="int64", shape=(2,), stype=wire.VECTOR_TYPE, data=bytes(16)),
    "a tally": wire.tally_array(np.ones(1, np.int64)),
    "one that would broadcast": wire.vector_array(np.ones(1)),
    "a matrix": Array(dtype="float32", shape=(1, 2), stype=wire.VECTOR_TYPE, data=bytes(8)),
    "a scalar": Array(dtype="float32", shape=(), stype=wire.VECTOR_TYPE, data=bytes(4)),
    "a negative side": Array(dtype="float32", shape=(-2,), stype=wire.VECTOR_TYPE, data=bytes(8)),
    "too short": Array(dtype="float32", shape=(2,), stype=wire.VECTOR_TYPE, data=bytes(7)),
    "empty": Array(dtype="float32", shape=(2,), stype=wire.VECTOR_TYPE, data=b""),
    "opaque bytes": wire.bytes_array(bytes(8)),
}


@pytest.mark.parametrize("array", HOSTILE.values(), ids=HOSTILE)
def test_an_array_that_is_not_the_agreed_vector_is_refused(array: Array) -> None:
    with pytest.raises(MalformedRecord) as refused:
        wire.read_vector(array, dim=2)
    assert refused.value.counts == {"needed": 8, "came": len(array.data)}


@pytest.mark.parametrize("array", HOSTILE.values(), ids=HOSTILE)
def test_an_array_that_is_not_the_agreed_tally_is_refused(array: Array) -> None:
    with pytest.raises(MalformedRecord):
        wire.read_tally(array, size=2)


@given(
    stype=st.sampled_from([wire.VECTOR_TYPE, wire.TALLY_TYPE, wire.BYTES_TYPE, "numpy.ndarray"]),
    dtype=st.sampled_from(["float32", "int64", "uint8"]),
    shape=st.sampled_from([(), (1,), (2,), (16,), (1, 2)]),
    data=st.sampled_from([b"", bytes(8), bytes(range(16)), bytes(17)]),
)
def test_an_array_is_read_if_and_only_if_all_of_it_is_as_agreed(
    stype: str, dtype: str, shape: tuple[int, ...], data: bytes
) -> None:
    array = Array(dtype=dtype, shape=shape, stype=stype, data=data)
    came = (stype, dtype, shape, len(data))
    readers: dict[tuple[str, str, tuple[int, ...], int], Callable[[], bytes]] = {
        (wire.VECTOR_TYPE, "float32", (2,), 8): lambda: wire.read_vector(array, dim=2).tobytes(),
        (wire.TALLY_TYPE, "int64", (2,), 16): lambda: wire.read_tally(array, size=2).tobytes(),
        (wire.BYTES_TYPE, "uint8", (16,), 16): lambda: wire.read_bytes(array, at_most=16),
    }
    for agreed, read in readers.items():
        if came == agreed:
            assert read() == data
        else:
            with pytest.raises(MalformedRecord):
                read()


def content(**facts: Any) -> RecordDict:
    return wire.content({"update": wire.vector_array(np.ones(1))}, {"site": "a", **facts})


def read(record: RecordDict) -> tuple[ArrayRecord, ConfigRecord]:
    return wire.read_content(record, arrays=frozenset({"update"}), facts=frozenset({"site"}))


def test_a_content_is_read_back() -> None:
    arrays, facts = read(content())
    assert list(arrays) == ["update"]
    assert dict(facts) == {"site": "a"}


def with_record(name: str, record: ArrayRecord | ConfigRecord | MetricRecord) -> RecordDict:
    return RecordDict({**content(), name: record})


ODD_CONTENTS = {
    "nothing": RecordDict(),
    "no arrays": RecordDict({wire.FACTS: ConfigRecord({"site": "a"})}),
    "no facts": RecordDict({wire.ARRAYS: content()[wire.ARRAYS]}),
    "a record more": with_record("metrics", MetricRecord({"loss": 1.0})),
    "metrics for facts": with_record(wire.FACTS, MetricRecord({"site": 1})),
    "scalars for arrays": with_record(wire.ARRAYS, ConfigRecord({"update": 1})),
    "an array more": wire.content(
        {"update": wire.vector_array(np.ones(1)), "more": wire.bytes_array(b"")}, {"site": "a"}
    ),
    "an array less": wire.content({}, {"site": "a"}),
    "a fact more": content(accuracy=1.0),
    "a fact less": wire.content({"update": wire.vector_array(np.ones(1))}, {}),
    "a fact by another name": wire.content(
        {"update": wire.vector_array(np.ones(1))}, {"Site": "a"}
    ),
}


@pytest.mark.parametrize("record", ODD_CONTENTS.values(), ids=ODD_CONTENTS)
def test_a_content_with_other_keys_than_agreed_is_refused(record: RecordDict) -> None:
    with pytest.raises(MalformedRecord):
        read(record)


@given(counts=st.dictionaries(st.sampled_from(sorted(COUNT_NAMES)), st.integers(0), max_size=16))
def test_every_refusal_arrives_as_its_code_and_counts(counts: dict[str, int]) -> None:
    record = wire.refusal_content(TooFewThings("patient 17 has no age", **counts))
    assert wire.read_refusal(record) == ("too-few-things", counts)


@given(counts=st.dictionaries(NAMES, st.integers(0), max_size=15))
def test_no_name_of_a_sites_own_making_is_read_from_a_refusal(counts: dict[str, int]) -> None:
    """It would be text in the coordinator's record, on its terminal and in the report."""
    record = wire.refusal_of("bad-table", {**counts, "call_555_0100_for_the_key": 1})
    known = {name: number for name, number in counts.items() if name in COUNT_NAMES}
    assert wire.read_refusal(record) == ("bad-table", known)


def test_the_text_of_a_refusal_stays_at_the_site() -> None:
    record = wire.refusal_content(TooFewThings("patient 17 has no age", rows=1))
    assert "patient" not in repr(record)


def test_a_content_that_is_no_refusal_is_read_as_none() -> None:
    assert wire.read_refusal(content()) is None


def refusal(facts: dict[str, Any]) -> RecordDict:
    return RecordDict({wire.REFUSAL: ConfigRecord(facts)})


MALFORMED_REFUSALS = {
    "no facts": RecordDict({wire.REFUSAL: ArrayRecord()}),
    "empty": refusal({}),
    "a long name of a site": refusal({"code": "c", "site": "n" * 65}),
    "a name that is a number": refusal({"code": "c", "site": 7}),
    "no code": refusal({"count.rows": 1, "count.columns": 2}),
    "code is a number": refusal({"code": 7}),
    "code is empty": refusal({"code": ""}),
    "code is long": refusal({"code": "a" * 65}),
    "code has a line break": refusal({"code": "refused\n"}),
    "code steers a terminal": refusal({"code": "\x1b[2J"}),
    "code is markup": refusal({"code": "<script>"}),
    "code is not ASCII": refusal({"code": "à-louer"}),
    "17 counts": refusal({"code": "c", **{f"count.n{index}": 1 for index in range(17)}}),
    "a fraction": refusal({"code": "c", "count.rows": 1.5}),
    "a truth value": refusal({"code": "c", "count.rows": True}),
    "a text": refusal({"code": "c", "count.rows": "many"}),
    "a list": refusal({"code": "c", "count.rows": [1, 2]}),
    "an unnamed count": refusal({"code": "c", "count.": 1}),
    "a long name": refusal({"code": "c", "count." + "n" * 65: 1}),
    "a name of markup": refusal({"code": "c", "count.<b>": 1}),
    "another fact": refusal({"code": "c", "rows": 1}),
}


@pytest.mark.parametrize("record", MALFORMED_REFUSALS.values(), ids=MALFORMED_REFUSALS)
def test_a_refusal_without_the_form_of_one_is_malformed(record: RecordDict) -> None:
    with pytest.raises(MalformedRecord):
        wire.read_refusal(record)


@given(facts=st.dictionaries(st.sampled_from(["code", "count.n", "x"]) | st.text(), SCALARS))
def test_any_refusal_is_short_and_plain_or_malformed(facts: dict[str, Any]) -> None:
    try:
        told = wire.read_refusal(refusal(facts))
    except MalformedRecord:
        return
    assert told is not None
    code, counts = told
    assert set(code) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(code) <= 64
    assert len(counts) <= 16
    assert all(type(value) is int for value in counts.values())


@given(value=SCALARS)
def test_a_whole_number_is_within_its_range_or_refused(value: Any) -> None:
    facts = ConfigRecord({"n": value})
    if type(value) is int and 1 <= value <= 10:
        assert wire.fact_int(facts, "n", low=1, high=10) == value
    else:
        with pytest.raises(MalformedRecord, match="from 1 to 10"):
            wire.fact_int(facts, "n", low=1, high=10)


@pytest.mark.parametrize("value", [True, 1.0, float("nan"), 0, 11, 10**12, -1, "1", b"1", [1]])
def test_what_is_nearly_a_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(MalformedRecord):
        wire.fact_int(ConfigRecord({"n": value}), "n", low=1, high=10)


@pytest.mark.parametrize("value", [1, 10])
def test_the_ends_of_a_range_belong_to_it(value: int) -> None:
    assert wire.fact_int(ConfigRecord({"n": value}), "n", low=1, high=10) == value


@given(value=SCALARS)
def test_a_text_is_short_or_refused(value: Any) -> None:
    facts = ConfigRecord({"name": value})
    if isinstance(value, str) and len(value) <= 10:
        assert wire.fact_str(facts, "name", at_most=10) == value
    else:
        with pytest.raises(MalformedRecord, match="at most 10 characters"):
            wire.fact_str(facts, "name", at_most=10)


@given(sizes=st.lists(st.integers(0, 50), max_size=5))
def test_the_bytes_of_a_content_are_those_of_its_arrays(sizes: list[int]) -> None:
    arrays = {f"array-{index}": wire.bytes_array(bytes(n)) for index, n in enumerate(sizes)}
    assert wire.num_bytes(wire.content(arrays, {"site": "a"})) == sum(sizes)
