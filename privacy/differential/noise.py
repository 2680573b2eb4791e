"""Noise and sampling that protect people: randomness from the operating system, never a seed.

Each draw is the key stream of AES-256 in counter mode, under a fresh key from the operating system.
Linux makes its own randomness alike, with ChaCha20; asking it for every byte takes four times as
long in all.

Noise is drawn on a grid, as whole numbers, independently of the value it is added to. Added to
whole numbers, it leaves no trace of the value in the low bits of a float (Mironov 2012; Holohan
and Braghin 2021, arXiv:2107.10138): any result that one data set can give, another can give too.
"""

import math
import os
from collections.abc import Iterator

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Vector

_AT_ONCE = 2**14  # numbers whose steps of computation stay in a processor's cache
_LARGEST_DEVIATION = 2.0**48  # so that what 17 deviations reach is still exact in float64
_DRAWN_AT_ONCE = 2.0**12  # largest deviation of one part: each part takes as long as the first
_FINE_PART = 2.0**10
_FAR = 2.0**-16  # of the probability: 4 deviations
_ALL_BUT_SIGN = np.uint64(2**63 - 1)


class BadNoise(ConsortiumError, ValueError, code="bad-noise"):
    """The standard deviation is out of the range in which noise is drawn exactly."""


def poisson_sample(n: int, *, rate: float) -> NDArray[np.intp]:
    """Return a Poisson sample of range(n), in rising order.

    Each index is drawn independently with probability `rate`.

    Guarantee: only somebody who reads this process's memory can tell who was drawn. The
    probability is `rate` to within 2**-53.

    Args:
        n: Number of units.
        rate: Sampling rate, in [0, 1].
    """
    if rate >= 1.0:
        return np.arange(n)
    # A number of 64 bits is below another if its first byte is, or if that is equal and the rest
    # is below. So one byte decides for all but one unit of 256, and most bytes need no drawing.
    first, rest = divmod(int(rate * 2.0**64), 2**56)
    firsts = np.frombuffer(_random_bytes(n), np.uint8)
    drawn = firsts < first
    undecided = np.flatnonzero(firsts == first)
    drawn[undecided] = _random_words(len(undecided)) >> np.uint64(8) < rest
    return np.flatnonzero(drawn)


def poisson_samples(n: int, *, rate: float, times: int) -> Iterator[NDArray[np.intp]]:
    """Yield Poisson samples of range(n), `times` of them: several are drawn in one call."""
    together = max(1, _AT_ONCE // max(n, 1))
    for start in range(0, times, together):
        count = min(together, times - start)
        found = poisson_sample(count * n, rate=rate)
        ends = np.searchsorted(found, np.arange(1, count) * n)
        for number, sample in enumerate(np.split(found, ends)):
            yield sample - number * n


def grid_gaussian(n: int, *, deviation: float) -> Vector:
    """Return n Gaussian values rounded to whole numbers, shape (n,).

    Guarantee: only the noise is rounded, so adding it to whole numbers equals a Gaussian mechanism
    of this deviation, followed by a little uniform noise, perhaps, and by rounding. Float64 moves
    the probability of a whole number by at most `11 * 2**-49` times the deviations of all
    `gaussian_parts`, relatively, as long as none is further out than ten deviations, which has a
    probability of 2**-75 each. No value is further out than 17.

    Args:
        n: Number of values.
        deviation: Standard deviation in steps of the grid, above 0, at most 2**48.

    Raises:
        BadNoise: The deviation is out of range.
    """
    if not 0.0 < deviation <= _LARGEST_DEVIATION:
        raise BadNoise(f"noise needs a deviation above 0 and at most 2**48 steps, got {deviation}")
    steps, parts = np.array(gaussian_parts(deviation)).T[:, :, None]  # both (n_parts, 1)
    drawn = np.empty(n)
    for start in range(0, n, _AT_ONCE):
        chunk = drawn[start : start + _AT_ONCE]
        numbers = _standard_normal(len(parts) * len(chunk)).reshape(len(parts), -1)
        numbers *= parts
        np.rint(numbers, out=numbers)
        numbers *= steps
        numbers.sum(0, out=chunk)
    return drawn


class GridNoise:
    """Noise of one deviation for several vectors, drawn ahead in pieces; no number is used twice.

    Args:
        deviation: As `grid_gaussian` takes it.
        expected: How many numbers will be asked for in all: no more than these are drawn ahead.
    """

    def __init__(self, *, deviation: float, expected: int) -> None:
        self._deviation = deviation
        self._expected = expected
        self._ready = np.zeros(0)

    def add_to(self, numbers: Vector) -> None:
        """Add noise to whole numbers, in place.

        Raises:
            BadNoise: The deviation is out of range.
        """
        while len(numbers):
            if not len(self._ready):
                size = min(_AT_ONCE, max(self._expected, len(numbers)))
                self._ready = grid_gaussian(size, deviation=self._deviation)
                self._expected -= size
            count = min(len(numbers), len(self._ready))
            numbers[:count] += self._ready[:count]
            numbers, self._ready = numbers[count:], self._ready[count:]


def gaussian_parts(deviation: float) -> list[tuple[float, float]]:
    """Return the parts of which noise is the sum: of each its step, and its deviation in steps.

    A rounded Gaussian of a large deviation has more possible values than float64 tells apart in its
    tails. So it is drawn as a coarse part, on a grid of steps of `k`, and a fine one of deviation
    `2 k`. By Poisson summation their sum is the rounding of a Gaussian of the whole deviation, plus
    uniform noise over one coarse step, to a relative error of `exp(-73)`. The uniform noise is
    independent of the records, and so can only hide more.
    """
    parts, step = [], 1.0
    while deviation > _DRAWN_AT_ONCE:
        parts.append((step, _FINE_PART))
        coarser = _FINE_PART / 2
        deviation = math.sqrt(deviation**2 - _FINE_PART**2) / coarser
        step *= coarser
    return [*parts, (step, deviation)]


def _standard_normal(n: int) -> Vector:
    """Return n Gaussian values, drawn by inversion of random bits, shape (n,)."""
    from scipy.special import ndtri  # loaded by those who draw noise, not by everybody who trains

    words = _random_words(n)
    # 63 bits choose the magnitude and one bit the sign. Inverting only the lower half keeps
    # the resolution of float64 near 0, where the tail probabilities are; an inversion near 1
    # would lose them.
    magnitudes = words & _ALL_BUT_SIGN
    tail = magnitudes.astype(np.float64)
    tail += 0.5
    tail *= 2.0**-64
    # Far out 64 bits would leave gaps between the values: there 64 bits more are drawn.
    far = np.flatnonzero(tail < _FAR)
    if len(far):
        more = np.float64(0.5) + _random_words(len(far))
        tail[far] = (magnitudes[far] + more * 2.0**-64) * 2.0**-64
    normal = ndtri(tail, out=tail)  # at most 0
    return np.copysign(normal, words.view(np.float64), out=normal)  # the first bit is the sign


def _random_words(n: int) -> NDArray[np.uint64]:
    return np.frombuffer(_random_bytes(8 * n), np.uint64)


def _random_bytes(n: int) -> bytes:
    # A key for each call: a stream that lived on would be the same in two forks of a process.
    # No key meets a block twice, so the counter may start at 0.
    cipher = Cipher(AES256(os.urandom(32)), CTR(bytes(16)))
    return cipher.encryptor().update(bytes(n))
