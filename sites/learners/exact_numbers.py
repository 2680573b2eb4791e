"""Numbers of a state to 48 bits: a state holds float32 numbers, of which two make one.

A module of its own because every learner that counts keeps its state so. In a run in the clear the
state comes from a coordinator, which may send any numbers: a learner reads them by the functions
here, and refuses what no run of it holds.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Vector

LARGEST_WHOLE = 2.0**48

Bound: TypeAlias = float | NDArray[np.int64]


class ImpossibleState(ConsortiumError, ValueError, code="impossible-state"):
    """A state has numbers that no run of its learner holds."""


def require_finite(vector: Vector) -> Vector:
    """Return a state's numbers, shape (dim,).

    Raises:
        ImpossibleState: One is infinite or no number.
    """
    if not np.isfinite(vector).all():
        raise ImpossibleState("a state holds finite numbers, and this one others")
    return vector


def whole_numbers(
    name: str, values: NDArray[np.floating], *, low: Bound = 0, high: Bound
) -> NDArray[np.int64]:
    """Return a part of a state as integers, of the same shape.

    Args:
        name: Of the part.
        values: Finite numbers.
        low: The smallest that there can be, of a shape that fits.
        high: The largest that there can be, at most `LARGEST_WHOLE`, of a shape that fits.

    Raises:
        ImpossibleState: One is not whole, or out of range.
    """
    if ((values < low) | (values > high) | (values != np.rint(values))).any():
        raise ImpossibleState(f"the {name} of a state must be whole numbers in a fixed range")
    return values.astype(np.int64)


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
