"""SEAL's stream format: moves numbers into and out of SEAL without Python lists.

TenSEAL exposes no other access to the numbers of a ciphertext than saving and loading a stream. A
stream is a header of 16 bytes and a content. The content of every object used here is a fixed
head, one block of 64-bit numbers, and a fixed tail. Streams that SEAL loads are built here,
uncompressed, and only their numbers change: nothing that a peer sent decides their structure.
Streams that SEAL saves are compressed by SEAL, and only our own process writes them.
"""

import mmap
import os
import struct
import weakref
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError

Words: TypeAlias = NDArray[np.uint64]
Octets: TypeAlias = NDArray[np.uint8]

WORD_BYTES = 8
# SEAL's PRNG seed. A seeded ciphertext carries it in place of its second polynomial.
SEED_BYTES = 64
PACKED_BITS = 60  # SEAL's primes have at most 60 bits, so 4 bits of each word are free
NO_SEED: Octets = np.empty(0, dtype=np.uint8)
_GROUP = 16

# SEALHeader: magic, header size, version major and minor, compression mode, reserved, stream size.
_HEADER = struct.Struct("<HBBBBHQ")
_MAGIC, _VERSION, _STORED, _ZSTD = 0xA15E, (4, 3), 0, 2
_BLAKE2XB = 1  # SEAL's number for the generator that expands the seed
_SHIFTS = np.arange(_GROUP - 1, dtype=np.uint64)[:, None] * np.uint64(4)
_TOP = np.uint64(PACKED_BITS)
_LOW = np.uint64((1 << PACKED_BITS) - 1)


class UnknownStream(ConsortiumError, RuntimeError, code="unknown-stream"):
    """SEAL's stream format is not the one that this module knows."""


class Saveable(Protocol):
    """An object that SEAL can save to a path."""

    def save(self, path: str) -> None:
        """Save the object to `path` as a compressed stream."""


def pack(words: Words, out: Words) -> Words:
    """Write numbers below 2^60, shape (count, n), to `out`, shape (count, n * 15 / 16).

    The last sixteenth of a row is spread over the four free bits of the other fifteen.
    """
    rows = words.reshape(len(words), _GROUP, -1)
    packed = out.reshape(len(out), _GROUP - 1, -1)
    # The shift by 60 that follows drops all but the lowest four bits: no mask is needed.
    np.right_shift(rows[:, -1:], _SHIFTS, out=packed)
    packed <<= _TOP
    packed |= rows[:, :-1]
    return out


def unpack(packed: Words, out: Words) -> Words:
    """Write the numbers that `pack` packed to `out`, shape (count, n).

    Every input is valid, and each number is below 2^60.
    """
    rows = packed.reshape(len(packed), _GROUP - 1, -1)
    numbers = out.reshape(len(out), _GROUP, -1)
    np.bitwise_and(rows, _LOW, out=numbers[:, :-1])
    nibbles = rows >> _TOP
    nibbles <<= _SHIFTS
    np.bitwise_or.reduce(nibbles, axis=1, out=numbers[:, -1])
    return out


def _frame_content(content: bytes) -> bytes:
    size = _HEADER.size + len(content)
    return _HEADER.pack(_MAGIC, _HEADER.size, *_VERSION, _STORED, 0, size) + content


class Form:
    """The layout of one kind of stream: the bytes before and after its numbers.

    Args:
        head: Content before the block of numbers.
        count: Numbers in the block.
        seeded: Whether the seed of the second polynomial follows the numbers.
    """

    def __init__(self, head: bytes, count: int, *, seeded: bool = False) -> None:
        # The block of numbers, and the seed after it, are streams of their own inside the content,
        # each with a header. A block starts with the count of its numbers.
        block = _HEADER.size + WORD_BYTES * (1 + count)
        self.head = head + _frame_content(bytes(block - _HEADER.size))[: _HEADER.size]
        self.head += struct.pack("<Q", count)
        self.count = count
        self.middle = _frame_content(bytes([_BLAKE2XB]) + bytes(SEED_BYTES))[:-SEED_BYTES]
        self.tail_bytes = SEED_BYTES if seeded else 0
        if not seeded:
            self.middle = b""

    @property
    def content_bytes(self) -> int:
        """Bytes of the content, without the header of the stream."""
        return len(self.head) + WORD_BYTES * self.count + len(self.middle) + self.tail_bytes

    @classmethod
    def plaintext(cls, count: int) -> "Form":
        """Return the form of a plaintext polynomial."""
        # A parms_id of zeros says: not in NTT form.
        return cls(struct.pack("<4QQd", 0, 0, 0, 0, count, 1.0), count)

    @classmethod
    def secret(cls, parms_id: tuple[int, ...], degree: int) -> "Form":
        """Return the form of a secret key."""
        return cls(struct.pack("<4QQd", *parms_id, degree, 1.0), degree)

    @classmethod
    def ciphertext(cls, parms_id: tuple[int, ...], degree: int, *, seeded: bool) -> "Form":
        """Return the form of a ciphertext of two polynomials; if seeded, the second as its seed."""
        # Fields: parms_id, is_ntt_form, size, degree, coeff_modulus_size, scale, correction factor.
        head = struct.pack("<4QBQQQdQ", *parms_id, 0, 2, degree, 1, 1.0, 1)
        return cls(head, degree if seeded else 2 * degree, seeded=seeded)


class _MemoryFile:
    """An anonymous file in memory, with a path by which SEAL can open it.

    TenSEAL's `save` and `load` take paths only. A secret key must not be written to a disk.
    """

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("stream", os.MFD_CLOEXEC)
        self.path = f"/proc/self/fd/{self.descriptor}"
        weakref.finalize(self, os.close, self.descriptor)


class Inlet:
    """A stream for SEAL to load, whose numbers can be replaced.

    Guarantee: everything but the numbers and the seed is fixed at construction. Not to be shared
    between threads or processes.
    """

    def __init__(self, form: Form) -> None:
        self._file = _MemoryFile()
        start = _HEADER.size + len(form.head)
        end = start + WORD_BYTES * form.count
        content = form.head + bytes(end - start) + form.middle + bytes(form.tail_bytes)
        os.write(self._file.descriptor, _frame_content(content))
        self._map = mmap.mmap(self._file.descriptor, 0)
        octets = np.frombuffer(self._map, dtype=np.uint8)
        self._numbers = octets[start:end]
        self._seed = octets[len(octets) - form.tail_bytes :]

    def load(self, target: Any, context: Any, numbers: Words, seed: Octets = NO_SEED) -> None:  # noqa: ANN401
        """Load `target` from the stream with these numbers.

        Raises:
            UnknownStream: SEAL refuses the stream, or a number that is not below its modulus.
        """
        self._numbers[:] = numbers.reshape(-1).view(np.uint8)
        self._seed[:] = seed
        try:
            target.load(context, self._file.path)
        except (ValueError, RuntimeError) as refusal:
            raise UnknownStream(
                f"SEAL does not load a stream of this format: {refusal}"
            ) from refusal


class Outlet:
    """A file to which SEAL saves objects, to read their numbers.

    Not to be shared between threads or processes.
    """

    def __init__(self) -> None:
        self._file = _MemoryFile()

    def read(self, source: Saveable, form: Form) -> tuple[Words, Octets]:
        """Return the numbers of `source`, shape (count,), read-only, and its seed if it has one.

        Raises:
            UnknownStream: SEAL writes the object in another format than this module knows.
        """
        content = self._content(source, form.content_bytes)
        start, end = len(form.head), len(form.head) + WORD_BYTES * form.count
        seed_at = end + len(form.middle)
        if content[:start] != form.head or content[end:seed_at] != form.middle:
            raise UnknownStream("SEAL wrote an object with other fields: tenseal 0.3.18 is needed")
        numbers = np.frombuffer(content, dtype="<u8", count=form.count, offset=start)
        return numbers, np.frombuffer(content, dtype=np.uint8, offset=seed_at)

    def _content(self, source: Saveable, size: int) -> bytes:
        source.save(self._file.path)
        # SEAL truncates the file on saving, so its length is that of the stream. Even
        # where compression fails, a stream is not twice as long as its content.
        stream = os.pread(self._file.descriptor, 2 * size, 0)
        *fixed, stream_size = _HEADER.unpack_from(stream)
        if (*fixed, stream_size) != (_MAGIC, _HEADER.size, *_VERSION, _ZSTD, 0, len(stream)):
            raise UnknownStream(
                f"SEAL wrote a stream with the header {fixed}: tenseal 0.3.18 is needed"
            )
        import pyarrow as pa  # here: a site that runs in the clear starts without it

        compressed = memoryview(stream)[_HEADER.size :]
        try:
            content = pa.decompress(compressed, size, codec="zstd", asbytes=True)
        except OSError as refusal:
            raise UnknownStream(
                f"SEAL wrote an object of other than {size} bytes: tenseal 0.3.18 is needed"
            ) from refusal
        return bytes(content)
