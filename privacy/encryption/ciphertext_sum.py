"""Ciphertext sum: validation of untrusted ciphertexts before SEAL loads them, and addition.

Together with `parameters` this is all that the coordinator needs. Nothing here holds a secret key.
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
from privacy.errors import ConsortiumError, number_of

Buffer: TypeAlias = bytes | bytearray | memoryview


class MalformedCiphertext(ConsortiumError, ValueError, code="malformed-ciphertext"):
    """The bytes are not the expected ciphertexts."""


class TooManyUploads(ConsortiumError, ValueError, code="too-many-uploads"):
    """With one more upload the sum could be inexact."""


class NothingToSum(ConsortiumError, ValueError, code="nothing-to-sum"):
    """A sum was asked for before any upload was added."""


def uploaded_rows(upload: Buffer, placement: Placement) -> Octets:
    """Return the ciphertexts of an upload as rows of bytes, after validation.

    Guarantee: the upload has exactly the expected length, version, parameters and count, and each
    number is below the ciphertext prime. So SEAL will load every row as two polynomials, not in
    NTT form, of the right degree and prime. A transparent ciphertext cannot be expressed, because
    the second polynomial travels as a seed only. The memory used does not grow with the upload.

    Raises:
        MalformedCiphertext: The bytes are not such an upload.
    """
    rows = _split_rows(upload, placement.upload_marker, placement.upload_stride)
    _check_numbers(rows[:, :-SEED_BYTES], placement.parameters, count=1)
    return rows


def summed_rows(summed: Buffer, placement: Placement) -> Octets:
    """Return the ciphertexts of a sum as rows of bytes, after validation.

    Guarantee: as for `uploaded_rows`, but a sum may hold a transparent ciphertext. Opening
    detects it.

    Raises:
        MalformedCiphertext: The bytes are not such a sum.
    """
    rows = _split_rows(summed, placement.sum_marker, placement.sum_stride)
    _check_numbers(rows, placement.parameters, count=2)
    return rows


def _split_rows(data: Buffer, marker: bytes, stride: int) -> Octets:
    view = memoryview(data).cast("B")
    # The expected length comes from our own marker: its last 8 bytes count the ciphertexts.
    expected = len(marker) + stride * int.from_bytes(marker[-8:], "little")
    if len(view) != expected:
        raise MalformedCiphertext(
            f"{expected} bytes of ciphertexts were expected, got {len(view)}",
            expected=expected,
            got=len(view),
        )
    if view[: len(marker)] != marker:
        raise MalformedCiphertext(
            f"the ciphertexts have another version, parameters or count: expected the marker "
            f"{marker.hex()}, got {view[: len(marker)].hex()}"
        )
    return np.frombuffer(view[len(marker) :], dtype=np.uint8).reshape(-1, stride)


def unpack_polynomials(row: Octets, parameters: SealParameters, out: Words) -> Words:
    """Write the polynomials of one ciphertext, without its seed, to `out`, (count, degree)."""
    return unpack(row.view("<u8").reshape(-1, parameters.packed_words), out)


def _check_numbers(rows: Octets, parameters: SealParameters, count: int) -> None:
    both = np.empty((count, parameters.degree), dtype=np.uint64)
    for index, row in enumerate(rows):
        # SEAL throws on such a number, in the middle of a load; refuse it before.
        if int(unpack_polynomials(row, parameters, both).max()) >= parameters.prime:
            raise MalformedCiphertext(
                f"ciphertext {index} holds a number that is not below the ciphertext prime",
                index=index,
            )


class Adder:
    """The sum of the uploads of one round, in memory that does not grow with their number.

    Guarantee: an upload is added as a whole or not at all. At most `num_sites` uploads are added.
    The bytes of `sum` depend on which uploads were added, not on their order. Not thread-safe.

    Args:
        placement: The agreed form of every upload.

    Raises:
        UnknownStream: The installed SEAL uses another stream format.
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
        """Check that SEAL loads the numbers that were written: its stream format is the known one.

        With a first polynomial of zeros, it must come back as zeros, and the second, expanded from
        the seed, must not.
        """
        parameters = self._placement.parameters
        zeros = np.zeros(parameters.degree, dtype=np.uint64)
        ciphertext = seal.Ciphertext()
        self._inlet.load(ciphertext, self._context, zeros, np.zeros(SEED_BYTES, dtype=np.uint8))
        numbers, _ = Outlet().read(ciphertext, parameters.form(seeded=False))
        first, second = np.split(numbers, 2)
        if first.any() or not second.any():
            raise UnknownStream(
                "SEAL loads other numbers than were written: tenseal 0.3.18 is needed"
            )

    @property
    def uploads(self) -> int:
        """Number of uploads added so far."""
        return self._uploads

    def add(self, upload: Buffer) -> None:
        """Add one upload.

        Raises:
            MalformedCiphertext: The bytes are not an upload of this placement.
            TooManyUploads: The sum already holds as many uploads as the parameters allow.
        """
        if self._uploads == self._placement.parameters.num_sites:
            raise TooManyUploads(
                f"the sum is exact for at most {number_of(self._uploads, 'upload')} and holds as "
                "many already",
                limit=self._uploads,
            )
        # All rows are validated before the first is added: an upload counts whole or not at all.
        rows = uploaded_rows(upload, self._placement)
        first = not self._totals
        for index, ciphertext in enumerate(self._load_ciphertexts(rows, fresh=first)):
            if first:
                self._totals.append(ciphertext)
            else:
                self._evaluator.add_inplace(self._totals[index], ciphertext)
        self._uploads += 1

    def add_sum(self, summed: Buffer, *, uploads: int) -> None:
        """Add a sum of uploads that another adder made: the result is that of the uploads.

        Args:
            summed: Bytes of `sum`, from somebody who is not trusted.
            uploads: Of how many uploads it is, at least 1.

        Raises:
            MalformedCiphertext: The bytes are not a sum of this placement, or what would come of
                them anybody could read.
            TooManyUploads: The sum would hold more uploads than the parameters allow.
        """
        rows = self.check_sum(summed, uploads=uploads)
        parameters = self._placement.parameters
        inlet = Inlet(parameters.form(seeded=False))
        numbers = np.empty((2, parameters.degree), dtype=np.uint64)
        first = not self._totals
        for index, row in enumerate(rows):
            ciphertext = seal.Ciphertext()
            unpack_polynomials(row, parameters, numbers)
            inlet.load(ciphertext, self._context, numbers)
            if first:
                self._totals.append(ciphertext)
            else:
                self._evaluator.add_inplace(self._totals[index], ciphertext)
        self._uploads += uploads

    def check_sum(self, summed: Buffer, *, uploads: int) -> Octets:
        """Check a sum as `add_sum` does; return its ciphertexts as rows of bytes."""
        parameters = self._placement.parameters
        if not 1 <= uploads <= parameters.num_sites - self._uploads:
            raise TooManyUploads(
                f"the sum is exact for at most {number_of(parameters.num_sites, 'upload')} and "
                f"holds {self._uploads} already: {uploads} more were to be added",
                limit=parameters.num_sites,
            )
        rows = summed_rows(summed, self._placement)
        self._require_hidden(rows)
        return rows

    def _require_hidden(self, rows: Octets) -> None:
        """Check that no ciphertext would be transparent, before any is added: SEAL would throw."""
        parameters = self._placement.parameters
        outlet, form = Outlet(), parameters.form(seeded=False)
        numbers = np.empty((2, parameters.degree), dtype=np.uint64)
        for index, row in enumerate(rows):
            second = unpack_polynomials(row, parameters, numbers)[1]
            if self._totals:
                total = outlet.read(self._totals[index], form)[0]
                second = (second + total[parameters.degree :]) % np.uint64(parameters.prime)
            if not second.any():
                raise MalformedCiphertext(
                    f"ciphertext {index} of the sum would be readable without a key", index=index
                )

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
        """Yield the bytes of `sum` in parts, so that they need not be in memory at once.

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
