"""Counts with noise: each entry of a tally has a scale, and noise in proportion to it.

The event of such a release is `mechanisms.Gaussian`, on the entries divided by their scales. That
the noise is discrete costs nothing, by this theorem.

Let `x` be whole numbers, `tau_i > 0`, and `sigma_i^2 = tau_i^2 + 4`. Then `x + N_Z(0, sigma^2)`,
with independent discrete Gaussians, is as private as a Gaussian mechanism that releases
`y = x + N(0, tau^2)`, but for a factor of `exp(1e-27)` in each probability if there are at most a
million entries.

Proof. From `y` alone draw each `z_i` from the discrete Gaussian of variance parameter 4 around
`y_i`: that costs nothing more. Its normalising sum `sum_k exp(-(k - y_i)^2 / 8)` is, by Poisson
summation, `2 sqrt(2 pi) (1 + r)` with `|r| < 2.1 exp(-8 pi^2) < 2e-34`, whatever `y_i` is. A
Gaussian of variance `tau_i^2` and one of variance 4 add up to one of variance `sigma_i^2`, so that
`z_i` takes each whole number `k` with the density of `N(x_i, sigma_i^2)` at `k`, but for a factor
within `1 - 4e-34` and `1 + 4e-34`. The discrete Gaussian around the whole number `x_i` has that
density at `k`, divided by its own sum over `k`, which is 1 within `2e-34` likewise. So both differ
by a factor within `exp(1e-33)` for an entry. QED. The accountants' floats are far coarser.

(Without the 4, a discrete Gaussian has the Renyi divergences of a Gaussian of its deviation or
less: Canonne, Kamath and Steinke 2020, arXiv:2004.00010, theorem 14. But below a deviation of
about 1 its deltas are larger: at epsilon 0 and deviation 0.5 it has 0.79, the Gaussian 0.68.)
"""

from fractions import Fraction

import numpy as np

from privacy.contribution import LARGEST_ENTRY
from privacy.differential.discrete_gaussian import BadDeviation, discrete_gaussian
from privacy.layout import Tally, Vector

LARGEST_DEVIATION = 2.0**39  # of an entry: more would fill all of a tally's bits
SMOOTHING = 4  # of the theorem: variance in every entry that has noise


def noisy_tally(tally: Tally, scales: Vector, *, deviation: float) -> Tally:
    """Return a tally with noise in every entry that has a scale, shape (n,).

    Guarantee: the mechanism that `Gaussian(noise_multiplier=deviation / s, sensitivity=s)`
    describes, where `s` is the most by which one unit moves the entries divided by their scales,
    in L2. Every entry is below 2^41 in size: what noise carries beyond is cut off afterwards,
    which reveals nothing.

    Args:
        tally: Exact integers below 2^41 in size.
        scales: One for each entry; 0 for an entry that no record moves, which gets no noise.
        deviation: Standard deviation of the noise of an entry of scale 1, above 0.

    Raises:
        BadDeviation: The noise of an entry would fill all its bits, or is none.
    """
    require_deviation(scales, deviation=deviation)
    noisy = tally.copy()
    for scale in np.unique(scales[scales > 0]).tolist():
        places = np.flatnonzero(scales == scale)
        squared = Fraction(deviation * scale) ** 2 + SMOOTHING
        noisy[places] += discrete_gaussian(len(places), squared)
    return np.clip(noisy, 1 - LARGEST_ENTRY, LARGEST_ENTRY - 1)


def require_deviation(scales: Vector, *, deviation: float) -> None:
    """Check that the noise of every entry leaves room for a count.

    Raises:
        BadDeviation: It does not, or is none.
    """
    largest = deviation * float(scales.max(initial=0.0))
    if not (deviation > 0 and largest <= LARGEST_DEVIATION):
        raise BadDeviation(
            f"noise needs a standard deviation above 0, and at most 2^39 in every entry of a "
            f"tally; got {deviation:g}, which makes {largest:g} in one: choose more epsilon, less "
            "noise, or fewer records of a person"
        )
