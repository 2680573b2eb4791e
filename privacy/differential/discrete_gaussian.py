"""Whole numbers with the distribution of a discrete Gaussian, exactly.

Counts get noise that is a whole number, so that noisy counts add up exactly. The sampler is that of
Canonne, Kamath and Steinke 2020 (arXiv:2004.00010, algorithms 1 to 3): it computes with whole
numbers only. Floating point, whose last bits can betray what was hidden (Mironov 2012), has no part
in it.

On whole numbers of L2 sensitivity D, noise of parameter sigma^2 is (D^2 / (2 sigma^2))-zCDP
(theorems 4 and 14 there). Which Gaussian covers it at every epsilon and delta is in
`privacy.differential.noisy_counts`.
"""

import math
import secrets
from fractions import Fraction

import numpy as np

from privacy.errors import ConsortiumError
from privacy.layout import Tally

_MOST_BITS = 40  # of a deviation: a tally entry of one site is below 2^41


class BadDeviation(ConsortiumError, ValueError, code="bad-deviation"):
    """A standard deviation is not above 0, or too large for a count."""


def discrete_gaussian(size: int, sigma_squared: Fraction) -> Tally:
    """Return independent draws from the discrete Gaussian around 0, shape (size,).

    Guarantee: each whole number x comes with a probability in proportion to
    exp(-x^2 / (2 sigma^2)), exactly; the randomness is the operating system's.

    Args:
        size: Number of draws.
        sigma_squared: The parameter, which the variance is near to and never above.

    Raises:
        BadDeviation: It is not above 0, or so large that counts would overflow.
    """
    if not 0 < sigma_squared < 1 << (2 * _MOST_BITS):
        raise BadDeviation(
            f"the square of a deviation is above 0 and below 2^{2 * _MOST_BITS}, got "
            f"{float(sigma_squared):g}"
        )
    drawn = [_draw(sigma_squared.numerator, sigma_squared.denominator) for _ in range(size)]
    return np.array(drawn, np.int64)


def _draw(numerator: int, denominator: int) -> int:
    """Return one draw for sigma^2 = numerator / denominator (algorithm 3)."""
    # floor(sigma) + 1; the integer square root of the floor is the floor of the root.
    scale = math.isqrt(numerator // denominator) + 1
    divisor = 2 * numerator * denominator * scale * scale
    while True:
        candidate = _laplace(scale)
        distance = abs(candidate) * denominator * scale - numerator
        if _happens_exp(distance * distance, divisor):
            return candidate


def _laplace(scale: int) -> int:
    """Return a draw in proportion to exp(-|x| / scale) (algorithm 2 with s = 1)."""
    while True:
        rest = secrets.randbelow(scale)
        if not _happens_exp(rest, scale):
            continue
        whole = 0
        while _happens_exp(1, 1):
            whole += 1
        size = rest + scale * whole
        negative = secrets.randbits(1)
        if size or not negative:  # else zero would come twice as often
            return -size if negative else size


def _happens_exp(numerator: int, denominator: int) -> bool:
    """Return true with probability exp(-numerator / denominator) (algorithm 1)."""
    while numerator > denominator:
        if not _happens_exp_small(1, 1):
            return False
        numerator -= denominator
    return _happens_exp_small(numerator, denominator)


def _happens_exp_small(numerator: int, denominator: int) -> bool:
    """Return true with probability exp(-x) for x from 0 to 1."""
    times = 1
    while secrets.randbelow(denominator * times) < numerator:
        times += 1
    return times % 2 == 1
