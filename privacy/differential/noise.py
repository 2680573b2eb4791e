"""Noise and sampling that protect people: randomness from the operating system, never a seed.

Noise is drawn on a grid, as whole numbers, independently of the value it is added to. Added to
whole numbers, it leaves no trace of the value in the low bits of a float (Mironov 2012; Holohan
and Braghin 2021, arXiv:2107.10138): any result that one data set can give, another can give too.
"""

import os

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from privacy.errors import ConsortiumError
from privacy.layout import Vector

_WORDS_A_CHUNK = 2**20
_LARGEST_DEVIATION = 2.0**48  # so that what ten deviations reach is still exact in float64


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
    # A rate of 1 times 2**64 does not fit into 64 bits.
    if rate >= 1.0:
        return np.arange(n)
    return np.flatnonzero(_random_words(n) < np.uint64(rate * 2.0**64))


def grid_gaussian(n: int, *, deviation: float) -> Vector:
    """Return n Gaussian values rounded to whole numbers, shape (n,).

    Guarantee: each value is drawn by inversion from 64 random bits of the operating system, out
    to nine standard deviations. Only the noise is rounded, so adding it to whole numbers equals a
    Gaussian mechanism followed by rounding. The remaining error of float64 is a relative error of
    at most `deviation * 2**-50` in the probability of a whole number within six deviations.

    Args:
        n: Number of values.
        deviation: Standard deviation in steps of the grid, above 0, at most 2**48.

    Raises:
        BadNoise: The deviation is out of range.
    """
    if not 0.0 < deviation <= _LARGEST_DEVIATION:
        raise BadNoise(f"noise needs a deviation above 0 and at most 2**48 steps, got {deviation}")
    drawn = np.empty(n)
    for start in range(0, n, _WORDS_A_CHUNK):
        part = drawn[start : start + _WORDS_A_CHUNK]
        words = _random_words(len(part))
        # 63 bits choose the magnitude and one bit the sign. Inverting only the lower half keeps
        # the resolution of float64 near 0, where the tail probabilities are; an inversion near 1
        # would lose them.
        tail = ndtri((np.float64(0.5) + (words >> np.uint64(1))) * 2.0**-64)  # at most 0
        signed = np.where(words & np.uint64(1), tail, -tail)
        np.rint(signed * deviation, out=part)
    return drawn


def _random_words(n: int) -> NDArray[np.uint64]:
    return np.frombuffer(os.urandom(8 * n), np.uint64)
