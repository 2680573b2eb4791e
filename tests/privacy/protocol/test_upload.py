from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.protocol.envelope import Receipt
from privacy.protocol.upload import MAX_BLOCKS, UploadHeader, upload_digest

BLOCKS = st.lists(st.binary(max_size=20), max_size=5)


@pytest.fixture(scope="module")
def header(receipts: tuple[Receipt, ...]) -> UploadHeader:
    return UploadHeader(
        label=receipts[0].label, parameter_set="default", layout=b"\x07" * 32, blocks=3
    )


def test_a_header_is_read_as_it_was_written(header: UploadHeader) -> None:
    assert UploadHeader.decode(header.encode()) == header
    for changed in (header.encode() + b"0", header.encode()[:-1], b""):
        with pytest.raises(MalformedEnvelope):
            UploadHeader.decode(changed)


@pytest.mark.parametrize(
    "change",
    [
        {"parameter_set": "Default"},
        {"layout": b""},
        {"blocks": 0},
        {"blocks": MAX_BLOCKS + 1},
    ],
)
def test_a_header_out_of_range_does_not_construct(
    header: UploadHeader, change: dict[str, object]
) -> None:
    with pytest.raises(MalformedEnvelope):
        replace(header, **change)  # type: ignore[arg-type]


@settings(max_examples=50)
@given(first=BLOCKS, second=BLOCKS)
def test_a_digest_is_of_one_sequence_of_blocks(
    header: UploadHeader, first: list[bytes], second: list[bytes]
) -> None:
    """Bytes may not move from one ciphertext to the next unseen."""
    assert (upload_digest(header, first) == upload_digest(header, second)) == (first == second)


def test_a_digest_streams_and_covers_the_header(header: UploadHeader) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    digest = upload_digest(header, blocks())
    assert digest == upload_digest(header, [b"one", b"two"])
    for changed in (
        replace(header, blocks=2),
        replace(header, layout=bytes(32)),
        replace(header, label=replace(header.label, bucket=1)),
    ):
        assert upload_digest(changed, blocks()) != digest
