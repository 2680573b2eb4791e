"""The frame of a log, whatever the lengths of its records."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from consortium.coordinator.tracking.wandb_log import RecordLog, message

BLOCK = 32768


def records_in(written: bytes) -> Iterator[bytes]:
    """Yield the records as https://github.com/google/leveldb/blob/main/doc/log_format.md says."""
    at, record, begun = 7, b"", False
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
        assert (kind in {3, 4}) == begun
        at, record, begun = at + 7 + length, record + part, kind in {2, 3}
        if not begun:
            yield record
            record = b""
    assert not begun


@pytest.mark.parametrize("left", range(10))
@pytest.mark.parametrize("size", [0, 1, BLOCK, 3 * BLOCK])
def test_each_record_comes_back_whole(left: int, size: int, tmp_path: Path) -> None:
    """The first one leaves from 0 to 9 bytes of its block."""
    log, sizes = RecordLog(tmp_path / "log"), [BLOCK - 7 - 7 - 6 - left, size, 1]
    for one in sizes:
        log.append({9: bytes(one)})
    written = (tmp_path / "log").read_bytes()
    assert [*records_in(written)] == [
        message({1: number, 9: bytes(one)}) for number, one in enumerate(sizes, 1)
    ]


def test_messages_are_those_of_protocol_buffers() -> None:
    """The examples of https://protobuf.dev/programming-guides/encoding/."""
    assert message({1: 150}) == bytes.fromhex("089601")
    assert message({2: "testing"}) == bytes.fromhex("120774657374696e67")
    assert message({3: message({1: 150})}) == bytes.fromhex("1a03089601")
    assert message({4: "hello", 5: [b"\x01", b"\x02"]}) == bytes.fromhex(
        "220568656c6c6f2a01012a0102"
    )
