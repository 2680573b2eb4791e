"""Randomness that protects people: from the operating system, never from a seed.

Noise is drawn on a grid, as whole numbers, and independently of what it is added to. Added to
whole numbers it leaves no trace in the low bits of a float (Mironov 2012; Holohan and Braghin
2021, arXiv:2107.10138): every result that one data set can give, another can give too.
"""

import os

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from privacy.errors import ConsortiumError
from privacy.layout import Vector

_WORDS_A_CHUNK = 2**20
_LARGEST_DEVIATION = 2.0**48  # so that what ten deviations reach is still exact in float64


class BadNoise(ConsortiumError, ValueError):
    """Noise was asked for with a deviation that cannot be drawn exactly."""

    code = "bad-noise"


def poisson_sample(n: int, *, rate: float) -> NDArray[np.intp]:
    """Return which of n are drawn, each by itself with probability `rate`: in rising order.

    Guarantee: nobody who does not read this process's memory can tell who was drawn; the
    probability is `rate` to within 2**-53.

    Args:
        n: How many there are.
        rate: In [0, 1].
    """
    if rate >= 1.0:
        return np.arange(n)
    return np.flatnonzero(_random_words(n) < np.uint64(rate * 2.0**64))


def grid_gaussian(n: int, *, deviation: float) -> Vector:
    """Return n whole numbers, each a Gaussian's value rounded to the nearest, shape (n,).

    Guarantee: drawn by inversion from 64 bits of the operating system each, out to nine
    deviations. Rounding is done to the noise alone, so adding it to whole numbers is a
    Gaussian mechanism on them followed by rounding. What remains of float64 is a relative error
    of at most `deviation * 2**-50` in the probability of a whole number within six deviations.

    Args:
        n: How many.
        deviation: Standard deviation in steps of the grid, above 0, at most 2**48.

    Raises:
        BadNoise: The deviation is out of range.
    """
    if not 0.0 < deviation <= _LARGEST_DEVIATION:
        raise BadNoise(f"noise needs a deviation above 0, at most 2**48 steps, got {deviation}")
    drawn = np.empty(n)
    for start in range(0, n, _WORDS_A_CHUNK):
        part = drawn[start : start + _WORDS_A_CHUNK]
        words = _random_words(len(part))
        tail = ndtri((np.float64(0.5) + (words >> np.uint64(1))) * 2.0**-64)  # at most 0
        signed = np.where(words & np.uint64(1), tail, -tail)
        np.rint(signed * deviation, out=part)
    return drawn


def _random_words(n: int) -> NDArray[np.uint64]:
    return np.frombuffer(os.urandom(8 * n), np.uint64)
