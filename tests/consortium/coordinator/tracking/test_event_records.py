"""The frame of an event, beside TensorBoard's own."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.summary.writer.record_writer import RecordWriter

from consortium.coordinator.tracking.event_records import crc32c, framed_record


@pytest.mark.parametrize(
    ("content", "checksum"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_checksums_are_those_of_rfc_3720(content: bytes, checksum: int) -> None:
    assert crc32c(content) == checksum


@given(content=st.binary())
def test_a_record_is_the_one_that_tensorboard_writes(content: bytes) -> None:
    file = io.BytesIO()
    RecordWriter(file).write(content)
    assert framed_record(content) == file.getvalue()
