"""The published vectors are those of RFC 8439 (ChaCha20) and RFC 4231 (HMAC-SHA256)."""

import hashlib
import hmac
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.layout import Tally
from privacy.secrets.linear_mac import (
    MAX_ROW,
    MAX_ROWS,
    PRIME,
    Checksum,
    ChecksumFailed,
    keystream,
    upload_pad,
    verify_tag,
)

KEY = bytes(range(32))
LARGEST = 2**47

matrices = st.tuples(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 40))


def matrix(seed: int, num_rows: int, row_length: int) -> Tally:
    rng = np.random.default_rng(seed)
    return rng.integers(-LARGEST, LARGEST, (num_rows, row_length))


def share(rows: Tally, *, key: bytes = KEY, context: bytes = b"round 1") -> int:
    checksum = Checksum(key, context, num_rows=len(rows), row_length=rows.shape[1])
    starts = range(0, len(rows), MAX_ROWS)
    parts = [checksum.of_rows(start, rows[start : start + MAX_ROWS]) for start in starts]
    return sum(parts) % PRIME


def reference(rows: Tally, *, key: bytes = KEY, context: bytes = b"round 1") -> int:
    """The definition, in Python's whole numbers."""
    subkey = hmac.digest(key, b"consortium checksum/1" + context, hashlib.sha256)

    def draw(purpose: int, count: int) -> list[int]:
        stream = keystream(subkey, bytes([*[0] * 15, purpose]), 8 * count)
        words = np.frombuffer(stream, dtype="<u8") & np.uint64(PRIME)
        return [int(word) for word in words]

    u, v = draw(0, len(rows)), draw(1, rows.shape[1])
    return sum(u[i] * v[j] * int(entry) for (i, j), entry in np.ndenumerate(rows)) % PRIME


@pytest.mark.parametrize(
    ("counter", "block"),
    [
        (0, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"),
        (1, "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"),
    ],
)
def test_rfc8439_the_keystream_is_chacha20(counter: int, block: str) -> None:
    nonce = counter.to_bytes(4, "little") + bytes(12)
    assert keystream(bytes(32), nonce, 32).hex() == block


def test_rfc4231_the_pad_is_hmac_sha256() -> None:
    digest = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    expected = int.from_bytes(digest, "little") % PRIME
    assert upload_pad(b"Jefe", b"what do ya want for nothing?") == expected


@given(shape=matrices)
def test_the_checksum_is_exactly_what_it_is_defined_to_be(shape: tuple[int, int, int]) -> None:
    rows = matrix(*shape)
    assert share(rows) == reference(rows)


@pytest.mark.parametrize("entry", [LARGEST, -LARGEST, LARGEST - 1, 2**23, -(2**23), 1, 0])
def test_it_is_exact_where_partial_sums_are_largest(entry: int) -> None:
    rows = np.full((MAX_ROWS + 1, MAX_ROW), entry)
    assert share(rows) == reference(rows)


@given(shape=matrices, other=st.integers(0, 2**32), factor=st.integers(-90, 90))
def test_the_checksum_of_a_sum_is_the_sum_of_checksums(
    shape: tuple[int, int, int], other: int, factor: int
) -> None:
    first = matrix(*shape) >> 8
    second = matrix(other, *shape[1:]) >> 8
    expected = (share(first) + factor * share(second)) % PRIME
    assert share(first + factor * second) == expected


@given(shape=matrices, place=st.integers(0, 2**32), change=st.integers(1, 2**48 - 1))
def test_any_altered_entry_is_detected(
    shape: tuple[int, int, int], place: int, change: int
) -> None:
    """Padding included: an entry is an entry."""
    rows = matrix(*shape)
    tag = share(rows) + 7
    verify_tag(share(rows), tag, pads=[7])
    altered = rows.reshape(-1)
    index = place % altered.size
    altered[index] = (int(altered[index]) + change + LARGEST) % 2**48 - LARGEST
    with pytest.raises(ChecksumFailed):
        verify_tag(share(rows), tag, pads=[7])


@given(shape=matrices)
def test_moving_entries_is_detected(shape: tuple[int, int, int]) -> None:
    rows = matrix(*shape)
    for moved in (np.roll(rows, 1, axis=0), np.roll(rows, 1, axis=1)):
        assert np.array_equal(moved, rows) or share(moved) != share(rows)


def test_another_key_or_context_gives_another_checksum() -> None:
    rows = matrix(5, 3, 30)
    shares = {share(rows), share(rows, key=bytes(32)), share(rows, context=b"round 2")}
    assert len(shares) == 3


@given(pads=st.lists(st.integers(0, PRIME - 1), min_size=1, max_size=8))
def test_a_sum_verifies_under_the_pads_of_its_uploads_only(pads: list[int]) -> None:
    tag = sum((11 + one) % PRIME for one in pads)
    verify_tag(11 * len(pads), tag, pads=pads)
    with pytest.raises(ChecksumFailed, match="kept uploads tell which"):
        verify_tag(11 * len(pads), tag, pads=[*pads, 1])


def test_different_labels_have_different_pads() -> None:
    labels = [number.to_bytes(2, "big") for number in range(1000)]
    assert len({upload_pad(KEY, label) for label in labels}) == 1000


@pytest.mark.parametrize("row_length", [0, MAX_ROW + 1])
def test_rows_too_long_to_be_exact_are_refused(row_length: int) -> None:
    with pytest.raises(ValueError, match="is exact"):
        Checksum(KEY, b"", num_rows=1, row_length=row_length)


def test_the_secret_coefficients_are_not_printed() -> None:
    assert repr(Checksum(KEY, b"", num_rows=2, row_length=3)) == (
        "Checksum(num_rows=2, row_length=3)"
    )


@pytest.mark.parametrize("kernel", ["Prescott", "Haswell"])
def test_machines_that_add_in_another_order_find_the_same(kernel: str) -> None:
    """OpenBLAS has a kernel per processor, and each has its own order of summation."""
    program = (
        "import numpy as np; from privacy.secrets.linear_mac import MAX_ROW, Checksum;"
        "rows = np.random.default_rng(9).integers(-(2**47), 2**47, (4, MAX_ROW));"
        "checksum = Checksum(bytes(range(32)), b'round 1', num_rows=4, row_length=MAX_ROW);"
        "print(checksum.of_rows(0, rows))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "OPENBLAS_CORETYPE": kernel, "NPY_DISABLE_CPU_FEATURES": "X86_V4"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert int(answer.stdout) == reference(matrix(9, 4, MAX_ROW))
