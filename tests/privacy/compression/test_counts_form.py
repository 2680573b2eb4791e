"""Counts beside a compressed update: the same integers, few bytes, and no bomb."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.compression.codecs import BadCompression
from privacy.compression.counts_form import pack_counts, packed_counts_bytes, unpack_counts

ENTRIES = st.integers(-(2**41) + 1, 2**41 - 1)


@given(st.lists(ENTRIES, max_size=60))
def test_counts_are_read_as_they_were_written(tally: list[int]) -> None:
    data = pack_counts(np.array(tally, np.int64))
    assert len(data) in packed_counts_bytes(len(tally))
    assert unpack_counts(data, len(tally)).tolist() == tally


def test_counts_that_cannot_be_made_smaller_have_a_length_as_well() -> None:
    noise = np.random.default_rng(5).integers(-(2**63), 2**63 - 1, 6_000, dtype=np.int64)
    assert (unpack_counts(pack_counts(noise), 6_000) == noise).all()


def test_the_counts_of_few_persons_take_a_tenth_of_their_bytes() -> None:
    """As sixty held-out persons in 2 x 1,024 bins, and some sums."""
    rng = np.random.default_rng(7)
    tally = np.bincount(rng.integers(0, 2_048, 60), minlength=2_084)
    tally[2_048:] = rng.integers(0, 2**40, 36)
    assert len(pack_counts(tally)) <= 8 * len(tally) / 10


def test_a_length_tells_persons_to_a_factor_of_two_at_best() -> None:
    lengths = set()
    for persons in range(20, 2_000, 20):
        scores = np.random.default_rng(persons).integers(0, 2_048, persons)
        lengths.add(len(pack_counts(np.bincount(scores, minlength=2_084))))
    assert len(lengths) <= 5
    assert all(one & (one - 1) == 0 for one in lengths)


PACKED = pack_counts(np.arange(40))
BOMB = zlib.compress(bytes(10_000_000), 9)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PACKED[:-1],
        PACKED[:-1] + b"\1",
        PACKED.replace(PACKED[4:8], b"abcd"),
        (2**32 - 1).to_bytes(4, "little") + PACKED[4:],
        pack_counts(np.arange(39)),
        pack_counts(np.arange(41)),
        (len(BOMB[:500])).to_bytes(4, "little") + BOMB[:500].ljust(508, b"\0"),
        (len(PACKED) - 4).to_bytes(4, "little") + PACKED[4:],
    ],
)
def test_bytes_that_are_no_such_counts_are_refused(data: bytes) -> None:
    with pytest.raises(BadCompression):
        unpack_counts(data, 40)


def test_no_counts_take_no_bytes_and_nothing_else_is_none() -> None:
    """A round that asks for no counts (`evaluate-every`)."""
    assert pack_counts(np.zeros(0, np.int64)) == b""
    assert unpack_counts(b"", 0).size == 0
    with pytest.raises(BadCompression):
        unpack_counts(pack_counts(np.zeros(1, np.int64)), 0)
