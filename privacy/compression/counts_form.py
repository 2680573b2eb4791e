"""How counts in the clear travel beside a compressed update: deflated, and padded.

Most of the bins that a site counts in are empty, so that the counts of a small model take more
bytes than its update. Whoever reads the message reads the counts, and their compressed length tells
him nothing more. Others see its length only: it is padded to a power of two, so that it tells them
how many persons were counted to an order of magnitude at best. Nothing that is sealed passes here.
"""

import zlib

import numpy as np

from privacy.compression.codecs import BadCompression
from privacy.layout import Tally

_ENTRY = 8  # bytes
_LENGTH = 4  # bytes that say how many follow, before the padding
_LEAST = 256
_LEVEL = 9


def packed_counts_bytes(size: int) -> tuple[int, ...]:
    """Return how many bytes so many counts may take, the most first; no counts take none."""
    if not size:
        return (0,)
    # Deflate adds 5 bytes for each block of 16 kB that it cannot make smaller, and 6 around all.
    raw = _ENTRY * size
    most = _LENGTH + raw + 5 * (raw // 16_000 + 1) + 6
    sizes = [_LEAST]
    while sizes[-1] < most:
        sizes.append(2 * sizes[-1])
    return tuple(reversed(sizes))


def pack_counts(tally: Tally) -> bytes:
    """Return counts, shape (size,), as they travel; `unpack_counts` returns the same integers."""
    if not len(tally):
        return b""
    deflated = zlib.compress(np.ascontiguousarray(tally, "<i8").tobytes(), _LEVEL)
    written = len(deflated).to_bytes(_LENGTH, "little") + deflated
    size = next(one for one in reversed(packed_counts_bytes(len(tally))) if one >= len(written))
    return written.ljust(size, b"\0")


def unpack_counts(data: bytes, size: int) -> Tally:
    """Return the counts that a peer sent, shape (size,); no more memory is taken than they need.

    Raises:
        BadCompression: The bytes are no such counts.
    """
    if not size and not data:
        return np.zeros(0, np.int64)
    end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    if len(data) not in packed_counts_bytes(size) or len(data) < end or any(data[end:]):
        raise BadCompression(f"packed counts have their length, and zeros behind it; send {size}")
    reader = zlib.decompressobj()
    try:
        # One byte more than agreed, to see that there is none.
        found = reader.decompress(data[_LENGTH:end], _ENTRY * size + 1)
    except zlib.error as error:
        raise BadCompression("packed counts are deflated (zlib)") from error
    if len(found) != _ENTRY * size or not reader.eof or reader.unused_data:
        raise BadCompression(f"{size} counts were agreed; packed ones are exactly as many")
    return np.frombuffer(found, "<i8")
