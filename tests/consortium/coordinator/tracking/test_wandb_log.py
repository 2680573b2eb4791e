"""The frame of a log, whatever the lengths of its records."""

import io
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.coordinator.tracking.wandb_log import RecordLog, message

BLOCK = 32768


def records_in(written: bytes) -> Iterator[bytes]:
    """Yield the records as https://github.com/google/leveldb/blob/main/doc/log_format.md says."""
    at, record = 7, b""
    while at < len(written):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        checksum, length, kind = (
            int.from_bytes(written[at : at + 4], "little"),
            int.from_bytes(written[at + 4 : at + 6], "little"),
            written[at + 6],
        )
        part = written[at + 7 : at + 7 + length]
        assert zlib.crc32(bytes([kind]) + part) == checksum
        assert at // BLOCK == (at + 6 + length) // BLOCK
        assert (kind in (1, 2)) == (not record)
        at, record = at + 7 + length, record + part
        if kind in (1, 4):
            yield record
            record = b""
    assert not record


@given(sizes=st.lists(st.integers(0, 3 * BLOCK), max_size=5))
@pytest.mark.parametrize("left", range(10))
def test_each_record_comes_back_whole(left: int, sizes: list[int]) -> None:
    """The first one leaves from 0 to 9 bytes of its block."""
    first = BLOCK - 7 - 7 - 6 - left
    file = io.BytesIO()
    log = RecordLog(file)
    for size in [first, *sizes]:
        log.append({9: bytes(size)})
    assert [*records_in(file.getvalue())] == [
        message({1: number, 9: bytes(size)}) for number, size in enumerate([first, *sizes], 1)
    ]


def test_messages_are_those_of_protocol_buffers() -> None:
    """The examples of https://protobuf.dev/programming-guides/encoding/."""
    assert message({1: 150}) == bytes.fromhex("089601")
    assert message({2: "testing"}) == bytes.fromhex("120774657374696e67")
    assert message({3: message({1: 150})}) == bytes.fromhex("1a03089601")
    assert message({4: "hello", 5: [b"\x01", b"\x02"]}) == bytes.fromhex(
        "220568656c6c6f2a01012a0102"
    )
