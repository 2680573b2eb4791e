"""How the scales of an encrypted run follow its updates, so that no value is cut off.

Everything here must give the same bits on every machine: elementwise float64 and medians.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Vector

HEADROOM = 5.0
FLOOR_PER_RMS = 64.0
FASTEST_GROWTH = 16.0
FASTEST_FALL = 0.5
_LIMB = 23
_BLOCK = 1 << 14  # values whose squared limbs add up below 2^63


@dataclass(frozen=True, eq=False, kw_only=True)
class Sizes:
    """How large the bucket means of a round are.

    Args:
        squares: Sum of squares of each bucket mean in each array, shape (n_buckets, n_arrays).
        peaks: Largest absolute value, shape (n_buckets, n_arrays).
        sites: Sites in the smallest bucket.
        lengths: Numbers in each array.
    """

    squares: NDArray[np.float64]
    peaks: NDArray[np.float64]
    sites: int
    lengths: tuple[int, ...]


def following_scales(last: Vector | None, sizes: Sizes) -> Vector:
    """Return the scale that each array needs, shape (n_arrays,).

    Guarantee: from each array's largest value, with room for sites that differ: where the parts
    of *n* sites are independent, one of them is larger than their mean by the root of *n*. Values
    that cancel out in the mean leave room for an update of the whole vector's typical size. The
    median over buckets: one liar's huge value does not move the scale.

    Args:
        last: The scales of the round; None if they were laid out for updates of unknown size.
        sizes: What the bucket means of the round say.
    """
    room = HEADROOM * np.sqrt(float(sizes.sites))
    wanted = room * np.median(sizes.peaks, axis=0)
    # Added one by one: NumPy may group terms by the CPU, which changes the last bits.
    total = 0.0
    for square in np.median(sizes.squares, axis=0):
        total += float(square)
    # A level that is fine for the whole vector is fine for an array with less in it.
    wanted = np.maximum(wanted, FLOOR_PER_RMS * np.sqrt(total / sum(sizes.lengths)))
    if last is None:
        return np.asarray(wanted)
    # Fast up, because what is cut off is lost; slowly down, because that costs only fineness.
    return np.asarray(np.clip(wanted, FASTEST_FALL * last, FASTEST_GROWTH * last))


def sum_of_squares(levels: NDArray[np.int32] | NDArray[np.int64]) -> int:
    """Return the sum of squares of numbers below 2^46 as an exact integer, by 23-bit limbs."""
    total = 0
    # Squares of whole levels, summed over a large model, would outgrow int64; those of limbs,
    # summed over a block, do not.
    for start in range(0, levels.size, _BLOCK):
        wide = levels[start : start + _BLOCK].astype(np.int64)
        high, low = wide >> _LIMB, wide & ((1 << _LIMB) - 1)
        total += (int(high @ high) << (2 * _LIMB)) + (int(high @ low) << (_LIMB + 1))
        total += int(low @ low)
    return total
