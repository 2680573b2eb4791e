"""Numbers of a state to 48 bits: a state holds float32 numbers, of which two make one.

A module of its own because every learner that counts keeps its state so.
"""

import numpy as np

from privacy.layout import Vector


def as_float32_pairs(values: Vector) -> Vector:
    """Return numbers as pairs of float32 numbers, first all high parts, then all low parts.

    Guarantee: `from_float32_pairs` gives each number back to within 2^-48 of its size, and whole
    numbers below 2^48 exactly; the same bits on every machine.

    Args:
        values: Finite numbers below 2^127 in size, shape (n,).

    Returns:
        Shape (2 n,).
    """
    high = values.astype(np.float32).astype(np.float64)
    low = (values - high).astype(np.float32).astype(np.float64)
    return np.concatenate([high, low])


def from_float32_pairs(pairs: Vector) -> Vector:
    """Return the numbers of which `as_float32_pairs` made pairs, shape (n,) of (2 n,)."""
    high, low = np.split(np.asarray(pairs, np.float64), 2)
    return np.asarray(high + low, np.float64)
