"""A linear MAC (keyed checksum): the sum of tags is the tag of the sum of the plaintexts.

The tag of a plaintext m is `<c, m> + pad mod p` with `p = 2^61 - 1`. The plaintext is a matrix
with one row per ciphertext, and `c[i, j] = u[i] * v[j]`, where `u` and `v` are drawn from ChaCha20
(RFC 8439). An altered sum passes with probability at most `2 / p`: its difference from the true
sum gives a polynomial of degree 2 in the secret numbers. The pad is HMAC-SHA256 of a label that is
never used twice. It prevents uploads from being recombined into another valid sum.

The arithmetic is exact. Entries are split into two halves of 24 bits and `v` into limbs of 16
bits. So every partial sum over a row of 8192 entries is a whole number below 2^53, which float64
holds exactly, in whatever order the machine adds.
"""

import hashlib
import hmac
from collections.abc import Iterable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Matrix, Tally

PRIME = (1 << 61) - 1
MAX_ROW = 8192
MAX_ROWS = 4

_HALF_BITS = 24
_LIMB_BITS = 16
_LIMBS = 4
_NONCE_BYTES = 16


class ChecksumFailed(ConsortiumError, ValueError, code="checksum-failed"):
    """A sum is not the sum of the uploads with the given labels."""


def upload_pad(pad_key: bytes, label: bytes) -> int:
    """Return the pad of one upload's tag, below `PRIME`; a label must be used only once."""
    return int.from_bytes(hmac.digest(pad_key, label, "sha256"), "little") % PRIME


def keystream(key: bytes, nonce: bytes, size: int) -> bytes:
    """Return the first `size` bytes of ChaCha20 under `key` (32 bytes) and `nonce` (16 bytes)."""
    return Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(size))


class Checksum:
    """The secret coefficients for one kind of message in one round.

    Not thread-safe.

    Args:
        key: The run's checksum key, 32 bytes.
        context: Bytes that differ for each run, round and kind of message.
        num_rows: Rows of the plaintext: one per ciphertext.
        row_length: Coefficients in a row, at most 8192.
    """

    def __init__(self, key: bytes, context: bytes, *, num_rows: int, row_length: int) -> None:
        if not 0 < row_length <= MAX_ROW:
            raise ValueError(
                f"the checksum is exact for rows of 1 to {MAX_ROW} entries, got {row_length}"
            )
        # Fresh coefficients for each context: what a failed forgery reveals about them is of no use
        # in another round.
        subkey = hmac.digest(key, b"consortium checksum/1" + context, hashlib.sha256)
        self._rows = _secret_numbers(subkey, 0, num_rows)
        columns = _secret_numbers(subkey, 1, row_length)
        shifts = np.arange(_LIMBS, dtype=np.uint64)[:, None] * np.uint64(_LIMB_BITS)
        limbs = (columns >> shifts) & np.uint64((1 << _LIMB_BITS) - 1)
        self._limbs: Matrix = np.ascontiguousarray(limbs.T.astype(np.float64))
        self._scratch = np.empty((3, MAX_ROWS, row_length))

    def __repr__(self) -> str:
        return f"Checksum(num_rows={len(self._rows)}, row_length={len(self._limbs)})"

    def of_rows(self, first: int, rows: Tally) -> int:
        """Return the part of the tag, below `PRIME`, that some rows of the plaintext contribute.

        Args:
            first: Index of the first of these rows in the whole plaintext.
            rows: Coefficients, shape (count, row_length), at most `MAX_ROWS`, |x| <= 2^47.
        """
        low, high, lifted = self._scratch[:, : len(rows)]
        # Balanced halves: row = low + 2^24 * high with |low| <= 2^23, by rounding to nearest.
        low[:] = rows
        np.rint(np.multiply(low, 2.0**-_HALF_BITS, out=high), out=high)
        low -= np.multiply(high, 2.0**_HALF_BITS, out=lifted)
        low_products = (low @ self._limbs).astype(np.int64)  # exact: below 2^(23 + 16 + 13)
        high_products = (high @ self._limbs).astype(np.int64)
        # <c, m> = sum over i of u[i] * (sum over j of v[j] * m[i, j]). The inner sums are the
        # products above, joined as Python integers, which do not overflow.
        keys = self._rows[first : first + len(rows)].tolist()
        parts = zip(keys, low_products.tolist(), high_products.tolist(), strict=True)
        return int(sum(key * _join_limbs(*row) for key, *row in parts)) % PRIME


def _join_limbs(low: list[int], high: list[int]) -> int:
    # Horner's rule in base 2^16, from the highest limb down.
    value = 0
    for low_limb, high_limb in zip(reversed(low), reversed(high), strict=True):
        value = (value << _LIMB_BITS) + low_limb + (high_limb << _HALF_BITS)
    return value


def verify_tag(share: int, tag: int, *, pads: Iterable[int]) -> None:
    """Check that the sum of the tags is the tag of the sum.

    Args:
        share: The part that all rows of the sum contribute, from `Checksum.of_rows`.
        tag: Sum of the tags.
        pads: The pad of each upload in the sum.

    Raises:
        ChecksumFailed: It is not. One such answer reveals nothing useful. A second one under the
            same key might, so the caller must burn the key.
    """
    expected = (share + sum(pads)) % PRIME
    if not hmac.compare_digest(expected.to_bytes(8, "little"), (tag % PRIME).to_bytes(8, "little")):
        raise ChecksumFailed(
            "the sum is not the sum of the uploads that were receipted: the coordinator altered "
            "it, or a member of this bucket spoiled its own tag; the kept uploads tell which"
        )


def _secret_numbers(key: bytes, purpose: int, count: int) -> NDArray[np.uint64]:
    # 61 of 64 bits are kept. The value 2^61 - 1, equal to 0 modulo p, makes 0 twice as likely: a
    # bias of 2^-61.
    stream = keystream(key, purpose.to_bytes(_NONCE_BYTES, "big"), 8 * count)
    return np.frombuffer(stream, dtype="<u8") & np.uint64(PRIME)
