"""How the scales of an encrypted run follow its updates, so that no value is cut off.

Everything here must give the same bits on every machine: elementwise float64 and medians.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Vector
from privacy.protocol.grouping import WEIGHT_CLASSES

HEADROOM = 5.0
FLOOR_PER_RMS = 64.0
COARSEST = 7.0  # what rounding may cost a mean, where sites of equal weight pay HEADROOM
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
        classes: Weight classes of the sites in each bucket.
        lengths: Numbers in each array.
    """

    squares: NDArray[np.float64]
    peaks: NDArray[np.float64]
    classes: tuple[tuple[int, ...], ...]
    lengths: tuple[int, ...]


def following_scales(last: Vector | None, sizes: Sizes) -> Vector:
    """Return the scale that each array needs, shape (n_arrays,).

    Guarantee: a scale is for what a site sends, its update times its share. It comes from each
    array's largest value, with room for sites that differ. Values that cancel out in the mean
    leave room for an update of the whole vector's typical size. The median over buckets: one
    liar's huge value does not move the scale.

    Args:
        last: The scales of the round; None if they were laid out for updates of unknown size.
        sizes: What the bucket means of the round say.
    """
    by_bucket = []
    for peaks, squares, classes in zip(sizes.peaks, sizes.squares, sizes.classes, strict=True):
        # Added one by one: NumPy may group terms by the CPU, which changes the last bits.
        total = 0.0
        for square in squares:
            total += float(square)
        typical = math.sqrt(total / sum(sizes.lengths))
        # A level that is fine for the whole vector is fine for an array with less in it.
        by_bucket.append(np.maximum(_peak_room(classes) * peaks, _floor_room(classes) * typical))
    wanted = np.median(by_bucket, axis=0)
    if last is None:
        return np.asarray(wanted)
    # Fast up, because what is cut off is lost; slowly down, because that costs only fineness.
    return np.asarray(np.clip(wanted, FASTEST_FALL * last, FASTEST_GROWTH * last))


def _peak_room(classes: Sequence[int]) -> float:
    """Return how large a scale is for each unit of the largest value of a bucket's mean."""
    total = sum(classes) / WEIGHT_CLASSES[-1]
    # Where the parts of sites are independent, their sum is the root of the sum of their squares,
    # and the site of the largest class has the largest part of it.
    independent = total * max(classes) / math.sqrt(sum(one * one for one in classes))
    return min(HEADROOM * independent, _coarsest_room(classes))


def _floor_room(classes: Sequence[int]) -> float:
    """Return how large a scale is at least, for each unit of the typical value of a mean."""
    share = max(classes) / WEIGHT_CLASSES[-1]
    return FLOOR_PER_RMS * min(share, _coarsest_room(classes) / len(classes))


def _coarsest_room(classes: Sequence[int]) -> float:
    """Return the room beyond which one heavy site would make all levels too coarse for the mean."""
    # The roundings of n sites add up to the root of n levels, of which a mean has its total share.
    return COARSEST * sum(classes) / WEIGHT_CLASSES[-1] / math.sqrt(len(classes))


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
