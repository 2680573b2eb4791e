"""Sums of ciphertexts: the guard in front of SEAL, and addition.

With `parameters` this is all the coordinator needs. Nothing here can hold a secret key.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
import tenseal.sealapi as seal

from privacy.encryption.parameters import Placement, SealParameters
from privacy.encryption.seal_serialisation import (
    SEED_BYTES,
    Inlet,
    Octets,
    Outlet,
    UnknownStream,
    Words,
    pack,
    unpack,
)
from privacy.errors import ConsortiumError

Buffer: TypeAlias = bytes | bytearray | memoryview


class MalformedCiphertext(ConsortiumError, ValueError):
    """Bytes are not the ciphertexts that were expected."""

    code = "malformed-ciphertext"


class TooManyUploads(ConsortiumError, ValueError):
    """One more upload could make the sum inexact."""

    code = "too-many-uploads"


class NothingToSum(ConsortiumError, ValueError):
    """A sum was asked for before any upload was added."""

    code = "nothing-to-sum"


def uploaded_rows(upload: Buffer, placement: Placement) -> Octets:
    """Return the ciphertexts of an upload as rows of bytes, after the guard.

    Guarantee: the upload has the one length, version, parameters and count that were expected,
    and each number is below the ciphertext prime, so that SEAL will load every row: two
    polynomials, not in NTT form, of the right degree and prime. A transparent ciphertext
    cannot be written: the second polynomial travels as a seed only. Nothing is allocated in
    proportion to the upload.

    Raises:
        MalformedCiphertext: The bytes are not such an upload.
    """
    rows = _split_rows(upload, placement.upload_marker, placement.upload_stride)
    _check_numbers(rows[:, :-SEED_BYTES], placement.parameters, count=1)
    return rows


def summed_rows(summed: Buffer, placement: Placement) -> Octets:
    """Return the ciphertexts of a sum as rows of bytes, after the guard.

    Guarantee: as for `uploaded_rows`; whether a ciphertext is transparent is seen on opening.

    Raises:
        MalformedCiphertext: The bytes are not such a sum.
    """
    rows = _split_rows(summed, placement.sum_marker, placement.sum_stride)
    _check_numbers(rows, placement.parameters, count=2)
    return rows


def _split_rows(data: Buffer, marker: bytes, stride: int) -> Octets:
    view = memoryview(data).cast("B")
    expected = len(marker) + stride * int.from_bytes(marker[-8:], "little")
    if len(view) != expected:
        raise MalformedCiphertext(
            f"ciphertexts of {expected} bytes were expected, got {len(view)}",
            expected=expected,
            got=len(view),
        )
    if view[: len(marker)] != marker:
        raise MalformedCiphertext(
            f"ciphertexts of other version, parameters or count: marked "
            f"{view[: len(marker)].hex()}, expected {marker.hex()}"
        )
    return np.frombuffer(view[len(marker) :], dtype=np.uint8).reshape(-1, stride)


def unpack_polynomials(row: Octets, parameters: SealParameters, out: Words) -> Words:
    """Write the polynomials of one ciphertext, without its seed, to `out`, (count, degree)."""
    return unpack(row.view("<u8").reshape(-1, parameters.packed_words), out)


def _check_numbers(rows: Octets, parameters: SealParameters, count: int) -> None:
    both = np.empty((count, parameters.degree), dtype=np.uint64)
    for index, row in enumerate(rows):
        if int(unpack_polynomials(row, parameters, both).max()) >= parameters.prime:
            raise MalformedCiphertext(
                f"a number of ciphertext {index} is not below the ciphertext prime", index=index
            )


class Adder:
    """The sum of the uploads of one round, in memory that does not grow with their number.

    Guarantee: an upload is added as a whole or not at all; at most `num_sites` are added; the
    bytes of `sum` depend on which uploads were added and not on their order. Not for two
    threads at once.

    Args:
        placement: What every upload must look like.

    Raises:
        UnknownStream: This SEAL reads streams in another way.
    """

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        parameters = placement.parameters
        self._context = parameters.context
        self._evaluator = seal.Evaluator(self._context)
        self._inlet = Inlet(parameters.form(seeded=True))
        self._totals: list[Any] = []
        self._uploads = 0
        self._probe()

    def _probe(self) -> None:
        """Check that a loaded ciphertext is what was written: the layout is the known one."""
        parameters = self._placement.parameters
        zeros = np.zeros(parameters.degree, dtype=np.uint64)
        ciphertext = seal.Ciphertext()
        self._inlet.load(ciphertext, self._context, zeros, np.zeros(SEED_BYTES, dtype=np.uint8))
        numbers, _ = Outlet().read(ciphertext, parameters.form(seeded=False))
        first, second = np.split(numbers, 2)
        if first.any() or not second.any():
            raise UnknownStream("SEAL loads other numbers than were written: see tenseal's version")

    @property
    def uploads(self) -> int:
        """Uploads added so far."""
        return self._uploads

    def add(self, upload: Buffer) -> None:
        """Add one upload.

        Raises:
            MalformedCiphertext: The bytes are not an upload of this placement.
            TooManyUploads: The parameters are exact for no more uploads than there are.
        """
        if self._uploads == self._placement.parameters.num_sites:
            raise TooManyUploads(
                f"the sum is exact for {self._uploads} uploads and has them", limit=self._uploads
            )
        rows = uploaded_rows(upload, self._placement)
        first = not self._totals
        for index, ciphertext in enumerate(self._load_ciphertexts(rows, fresh=first)):
            if first:
                self._totals.append(ciphertext)
            else:
                self._evaluator.add_inplace(self._totals[index], ciphertext)
        self._uploads += 1

    def _load_ciphertexts(self, rows: Octets, *, fresh: bool) -> Iterator[Any]:
        parameters = self._placement.parameters
        numbers = np.empty((1, parameters.degree), dtype=np.uint64)
        scratch = seal.Ciphertext()
        for row in rows:
            ciphertext = seal.Ciphertext() if fresh else scratch
            unpack_polynomials(row[:-SEED_BYTES], parameters, numbers)
            self._inlet.load(ciphertext, self._context, numbers, row[-SEED_BYTES:])
            yield ciphertext

    def parts(self) -> Iterator[bytes]:
        """Yield the sum in parts, whose concatenation is `sum`.

        Raises:
            NothingToSum: No upload was added.
        """
        if not self._totals:
            raise NothingToSum("no upload was added to this sum")
        outlet, form = Outlet(), self._placement.parameters.form(seeded=False)
        yield self._placement.sum_marker
        packed = np.empty((2, self._placement.parameters.packed_words), dtype="<u8")
        for total in self._totals:
            numbers, _ = outlet.read(total, form)
            yield pack(numbers.reshape(2, -1), packed).tobytes()

    def sum(self) -> bytes:
        """Return the sum of all uploads so far, of the placement's `sum_bytes`.

        Raises:
            NothingToSum: No upload was added.
        """
        gathered = BytesIO()
        gathered.writelines(self.parts())
        return gathered.getvalue()
