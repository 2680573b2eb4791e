import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import canonical
from privacy.canonical import MAX_NAMES, MAX_NUMBER, MalformedEnvelope, Reader

TAG = b"consortium.test/1\n"
NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,127}", fullmatch=True)


@settings(max_examples=50)
@given(
    name=NAMES,
    value=st.integers(0, MAX_NUMBER),
    data=st.binary(max_size=100),
    some=st.lists(NAMES, max_size=5),
    rest=st.binary(max_size=50),
)
def test_reading_gives_back_what_was_written(
    name: str, value: int, data: bytes, some: list[str], rest: bytes
) -> None:
    written = (
        TAG
        + canonical.text(name)
        + canonical.number(value)
        + canonical.blob(data)
        + canonical.names(some)
        + rest
    )
    reader = Reader(written, tag=TAG)
    assert reader.text() == name
    assert reader.number() == value
    assert reader.blob(at_most=100) == data
    assert reader.names() == tuple(some)
    assert reader.rest(at_most=50) == rest
    reader.end()


@pytest.mark.parametrize("data", [b"", TAG[:-1], b"x" + TAG, TAG.replace(b"1", b"2")])
def test_another_tag_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        Reader(data, tag=TAG)


@pytest.mark.parametrize(
    ("data", "ask"),
    [
        (b"1234567", lambda reader: reader.number()),
        (b"1" * 31, lambda reader: reader.digest()),
        (b"", lambda reader: reader.text()),
        (b"\x05four", lambda reader: reader.text()),
        (b"\x02\xc3\xa9", lambda reader: reader.text()),
        (canonical.number(9) + b"12345678", lambda reader: reader.blob(at_most=9)),
        (canonical.number(9) + b"123456789", lambda reader: reader.blob(at_most=8)),
        (canonical.number(MAX_NAMES + 1), lambda reader: reader.names()),
        (canonical.number(2) + canonical.text("a"), lambda reader: reader.names()),
        (b"123", lambda reader: reader.rest(at_most=2)),
        (b"1", lambda reader: reader.end()),
    ],
)
def test_whatever_is_too_short_too_long_or_too_many_is_refused(data: bytes, ask: object) -> None:
    assert callable(ask)
    with pytest.raises(MalformedEnvelope):
        ask(Reader(TAG + data, tag=TAG))


def test_an_announced_length_allocates_nothing() -> None:
    data = TAG + b"\xff" * 8
    tracemalloc.start()
    try:
        with pytest.raises(MalformedEnvelope):
            Reader(data, tag=TAG).blob(at_most=2**63)
        with pytest.raises(MalformedEnvelope):
            Reader(data, tag=TAG).names()
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", ["", "A", "1a", "a b", "a\n", "é", "a" * 129, 7, None])
def test_what_is_no_name_is_refused(value: str) -> None:
    with pytest.raises(MalformedEnvelope, match="site"):
        canonical.require_name("site", value)


@pytest.mark.parametrize(
    "values", [("b", "a"), ("a", "a"), ("A",), tuple("a" for _ in range(1025))]
)
def test_one_set_of_names_has_one_order(values: tuple[str, ...]) -> None:
    canonical.require_names("roster", ("a", "b"))
    with pytest.raises(MalformedEnvelope, match="roster"):
        canonical.require_names("roster", values)


@pytest.mark.parametrize("value", [-1, 11, True, 1.0, "1", None])
def test_what_is_no_number_in_range_is_refused(value: int) -> None:
    canonical.require_number("round", 10, high=10)
    with pytest.raises(MalformedEnvelope, match="round"):
        canonical.require_number("round", value, high=10)


@pytest.mark.parametrize("data", [b"", b"1" * 31, b"1" * 33, bytearray(32), "1" * 32])
def test_what_is_no_digest_is_refused(data: bytes) -> None:
    canonical.require_digest("state", b"1" * 32)
    with pytest.raises(MalformedEnvelope, match="state"):
        canonical.require_digest("state", data)
