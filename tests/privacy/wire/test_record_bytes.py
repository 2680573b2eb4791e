"""A content as bytes: what is written is read, bit for bit, and nothing else is."""

import math

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from privacy.wire import flower_records as wire
from privacy.wire.flower_records import MalformedRecord
from privacy.wire.record_bytes import decode_content, encode_content

CONTENT = RecordDict(
    {
        "0.arrays": ArrayRecord(
            {
                "state": wire.vector_array(np.array([1.5, -0.0, 3e-45], np.float32)),
                "sealed": wire.bytes_array(bytes(range(256))),
                "empty": wire.bytes_array(b""),
                "odd": Array(dtype="float64", shape=(2, 1), stype="numpy.ndarray", data=b"x" * 16),
            }
        ),
        "0.facts": ConfigRecord(
            {
                "text": "ä\ud800",
                "whole": 2**63 - 1,
                "real": 0.1,
                "yes": True,
                "bytes": b"\x00\xff",
                "many": [b"\x01", b""],
                "numbers": [1.0, 2.5],
            }
        ),
        "metrics": MetricRecord({"loss": 0.25, "steps": [1, 2]}),
        "": ConfigRecord({}),
    }
)


def test_what_is_written_is_read_with_every_bit_and_in_its_order() -> None:
    read = decode_content(encode_content(CONTENT))
    assert [*read] == [*CONTENT]
    for key, record in CONTENT.items():
        assert type(read[key]) is type(record)
        assert [*read[key].items()] == [*record.items()]
    assert read["0.facts"]["yes"] is True
    assert decode_content(encode_content(RecordDict())) == RecordDict()


def test_figures_that_are_no_numbers_pass() -> None:
    content = RecordDict({"f": ConfigRecord({"loss": math.nan, "far": -math.inf})})
    read = decode_content(encode_content(content))["f"]
    assert isinstance(read, ConfigRecord)
    assert math.isnan(float(str(read["loss"])))
    assert read["far"] == -math.inf


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 8,
        encode_content(CONTENT)[:-1],
        encode_content(CONTENT) + b"x",
        encode_content(CONTENT)[:40],
        encode_content(CONTENT).replace(b"AP8=", b"A!8="),
        encode_content(CONTENT).replace(b'"bytes": "AP8="', b'"bytez": "AP8="'),
        encode_content(CONTENT).replace(b'"float64", [2, 1]', b'"float64", "2, 1"'),
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedRecord):
        decode_content(data)


def test_a_record_of_another_kind_is_refused() -> None:
    class Odd:
        def items(self) -> list[tuple[str, str]]:
            return [("kind", "odd")]

    with pytest.raises(MalformedRecord):
        encode_content(Odd())  # type: ignore[arg-type]
