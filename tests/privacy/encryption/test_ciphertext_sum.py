"""Hostile input: everything that broke TenSEAL's own deserialisers is refused here."""

import tracemalloc
from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
import tenseal.sealapi as seal
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.encryption import ciphertext_sum as homomorphic
from privacy.encryption.ciphertext_sum import (
    Adder,
    MalformedCiphertext,
    NothingToSum,
    TooManyUploads,
    summed_rows,
    uploaded_rows,
)
from privacy.encryption.parameters import PARAMETER_SETS, Placement
from privacy.encryption.seal_serialisation import Inlet, Octets, UnknownStream, Words, pack
from privacy.secrets.linear_mac import Checksum
from privacy.secrets.sealer import BfvSecret, Sealer

PARAMETERS = PARAMETER_SETS["default"](4)
PLACEMENT = Placement(parameters=PARAMETERS, dim=20_000, tally_size=5)
MARKER = len(PLACEMENT.upload_marker)
SECRET = BfvSecret.generate(PARAMETERS)


@cache
def upload(number: int) -> bytes:
    checksum = Checksum(
        bytes(32), b"", num_rows=PLACEMENT.num_ciphertexts, row_length=PARAMETERS.degree
    )
    rng = np.random.default_rng(number)
    levels = rng.integers(-9, 9, PLACEMENT.dim, dtype=np.int32)
    tally = rng.integers(-9, 9, PLACEMENT.tally_size)
    return Sealer(SECRET, PLACEMENT, checksum).seal(levels, tally, pad=number)


def sum_of(*numbers: int) -> bytes:
    adder = Adder(PLACEMENT)
    for number in numbers:
        adder.add(upload(number))
    return adder.sum()


def packed_with(number: int) -> bytes:
    words = np.ones((1, PARAMETERS.degree), dtype=np.uint64)
    words[0, 77] = number
    return pack(words, np.empty((1, PARAMETERS.packed_words), dtype="<u8")).tobytes()


def with_number(data: bytes, number: int) -> bytes:
    """The same ciphertexts with another polynomial in the first one."""
    packed = packed_with(number)
    return data[:MARKER] + packed + data[MARKER + len(packed) :]


def seal_stream() -> bytes:
    """A ciphertext as SEAL itself writes it: nothing of this kind is ever parsed."""
    body = bytes(pa.compress(bytes(PLACEMENT.upload_bytes), codec="zstd", asbytes=True))
    return b"\x5e\xa1\x10\x04\x03\x02\x00\x00" + len(body).to_bytes(8, "little") + body


def other_parameters(name: str, sites: int) -> bytes:
    parameters = PARAMETER_SETS[name](sites)
    placement = Placement(parameters=parameters, dim=20_000, tally_size=5)
    return placement.upload_marker + upload(0)[MARKER:]


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "right sizes and no ciphertexts": lambda good: good[:MARKER],
    "one byte short": lambda good: good[:-1],
    "one byte long": lambda good: good + b"\0",
    "half": lambda good: good[: len(good) // 2],
    "count of zero": lambda good: good[: MARKER - 8] + bytes(8),
    "count beyond what is there": lambda good: good[: MARKER - 8] + b"\3" + good[MARKER - 7 :],
    "count that overflows": lambda good: good[: MARKER - 8] + b"\xff" * 8 + good[MARKER:],
    "a third polynomial": lambda good: good + good[MARKER:],
    "other version": lambda good: b"bfv-up/2" + good[8:],
    "a sum for an upload": lambda good: b"bfv-sm/1" + good[8:],
    "other parameters": lambda _: other_parameters("compact-12", 4),
    "other number of sites": lambda _: other_parameters("default", 5),
    "a number at the prime": lambda good: with_number(good, PARAMETERS.prime),
    "the largest number": lambda good: with_number(good, 2**60 - 1),
    "all ones": lambda good: good[:MARKER] + b"\xff" * (len(good) - MARKER),
    "noise": lambda good: np.random.default_rng(1).bytes(len(good)),
    "a compressed stream": lambda _: seal_stream(),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_upload_is_refused_and_the_sum_is_unchanged(case: str) -> None:
    adder = Adder(PLACEMENT)
    adder.add(upload(0))
    with pytest.raises(MalformedCiphertext):
        adder.add(HOSTILE[case](upload(1)))
    assert adder.uploads == 1
    assert adder.sum() == sum_of(0)


@pytest.mark.parametrize("case", [case for case in HOSTILE if case != "a sum for an upload"])
def test_a_hostile_sum_is_refused(case: str) -> None:
    with pytest.raises(MalformedCiphertext):
        summed_rows(HOSTILE[case](sum_of(0, 1)), PLACEMENT)


def test_a_bad_number_in_the_last_ciphertext_is_found_before_anything_is_added() -> None:
    stride = PLACEMENT.upload_stride
    good = upload(1)
    bad = bytearray(good)
    bad[-stride : -stride + 15 * PARAMETERS.degree // 2] = packed_with(PARAMETERS.prime)
    adder = Adder(PLACEMENT)
    with pytest.raises(MalformedCiphertext, match="ciphertext 1"):
        adder.add(bad)
    with pytest.raises(NothingToSum):
        adder.sum()


def test_the_largest_number_below_the_prime_is_a_number() -> None:
    rows = uploaded_rows(with_number(upload(0), PARAMETERS.prime - 1), PLACEMENT)
    assert rows.shape == (PLACEMENT.num_ciphertexts, PLACEMENT.upload_stride)


@settings(max_examples=20)
@given(order=st.permutations(range(4)))
def test_the_order_of_uploads_does_not_matter(order: list[int]) -> None:
    assert sum_of(*order) == sum_of(0, 1, 2, 3)


def test_the_sum_has_its_stated_length_and_may_be_taken_in_parts() -> None:
    adder = Adder(PLACEMENT)
    adder.add(memoryview(upload(0)))
    adder.add(bytearray(upload(1)))
    assert len(adder.sum()) == PLACEMENT.sum_bytes
    assert b"".join(adder.parts()) == adder.sum() == sum_of(0, 1)


def test_more_uploads_than_are_exact_are_refused() -> None:
    adder = Adder(PLACEMENT)
    for number in range(4):
        adder.add(upload(number))
    with pytest.raises(TooManyUploads) as refused:
        adder.add(upload(4))
    assert refused.value.counts == {"limit": 4}
    assert adder.sum() == sum_of(0, 1, 2, 3)


def test_an_upload_is_checked_without_memory_in_proportion_to_it() -> None:
    placement = Placement(parameters=PARAMETERS, dim=2_000_000)
    data = placement.upload_marker + bytes(placement.upload_bytes - MARKER)
    tracemalloc.start()
    try:
        uploaded_rows(data, placement)
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()


class Shifted(Inlet):
    """An inlet for a SEAL that reads other numbers than are written."""

    def load(
        self,
        target: seal.Ciphertext,
        context: seal.SEALContext,
        numbers: Words,
        seed: Octets = np.empty(0, dtype=np.uint8),  # noqa: B008
    ) -> None:
        """Load one more than each number."""
        super().load(target, context, numbers + np.uint64(1), seed)


def test_a_seal_that_reads_streams_in_another_way_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(homomorphic, "Inlet", Shifted)
    with pytest.raises(UnknownStream, match="other numbers"):
        Adder(PLACEMENT)


@given(cuts=st.lists(st.integers(0, 2), min_size=4, max_size=4))
@settings(max_examples=10)
def test_sums_of_sums_have_the_bytes_of_the_sum_of_all(cuts: list[int]) -> None:
    """However four uploads are divided into up to three sums."""
    parts = [[at for at in range(4) if cuts[at] == group] for group in range(3)]
    adder = Adder(PLACEMENT)
    for part in filter(None, parts):
        adder.add_sum(sum_of(*part), uploads=len(part))
    assert adder.sum() == sum_of(0, 1, 2, 3)
    assert adder.uploads == 4


def test_a_sum_of_more_uploads_than_is_exact_is_refused_and_changes_nothing() -> None:
    adder = Adder(PLACEMENT)
    adder.add_sum(sum_of(0, 1), uploads=2)
    for uploads in (0, 3):
        with pytest.raises(TooManyUploads):
            adder.add_sum(sum_of(2), uploads=uploads)
    assert adder.sum() == sum_of(0, 1)


def test_a_sum_that_would_leave_a_ciphertext_open_is_refused_and_changes_nothing() -> None:
    """SEAL throws in the middle of adding to what cancels; and an open one hides nothing."""
    whole = np.frombuffer(sum_of(0), np.uint8)[MARKER:].reshape(-1, PLACEMENT.sum_stride)
    negated = []
    for row in whole:
        numbers = np.empty((2, PARAMETERS.degree), np.uint64)
        homomorphic.unpack_polynomials(row, PARAMETERS, numbers)
        opposite = (np.uint64(PARAMETERS.prime) - numbers) % np.uint64(PARAMETERS.prime)
        negated.append(pack(opposite, np.empty((2, PARAMETERS.packed_words), "<u8")).tobytes())
    opposite_sum = PLACEMENT.sum_marker + b"".join(negated)
    adder = Adder(PLACEMENT)
    adder.add(upload(0))
    with pytest.raises(MalformedCiphertext, match="readable"):
        adder.add_sum(opposite_sum, uploads=1)
    with pytest.raises(MalformedCiphertext, match="readable"):
        Adder(PLACEMENT).add_sum(
            PLACEMENT.sum_marker + bytes(PLACEMENT.sum_bytes - MARKER), uploads=1
        )
    assert adder.sum() == sum_of(0)
