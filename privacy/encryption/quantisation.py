"""Quantisation: a site's update is rounded to integer levels before it is encrypted and added.

One level has the value `scale / parameters.levels`. All sites use the same scales, so the sum of
their levels is proportional to the sum of their updates.

Where nobody knows yet how large updates are, a value takes two planes: its level is a whole number
of `scale / parameters.levels**2`, sent as remainder and quotient of a division by
`parameters.levels`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.encryption.parameters import SealParameters
from privacy.errors import ConsortiumError
from privacy.layout import Vector
from privacy.protocol.grouping import WEIGHT_CLASSES

Levels: TypeAlias = NDArray[np.int32]
FloatVector: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

NEAREST_FROM_BITS = 16.0

_BLOCK = 1 << 13  # values at a time: the float64 intermediates stay in the cache


class UnfitNumbers(ConsortiumError, ValueError, code="unfit-numbers"):
    """Numbers, scales or a weight class cannot be quantised."""


@dataclass(frozen=True)
class Scales:
    """The largest value that a level can express, for each segment of the vector.

    Args:
        values: One scale per segment, shape (num_segments,), finite and > 0.
        lengths: Number of values in each segment, > 0.
        places: Of the values that are sent, sorted; None for all.

    Raises:
        UnfitNumbers: A scale or a length is not positive, or their numbers differ.
    """

    values: Vector
    lengths: tuple[int, ...]
    places: NDArray[np.intp] | None = None

    def __post_init__(self) -> None:
        fit = self.values.shape == (len(self.lengths),) and min(self.lengths, default=0) > 0
        if not fit or not np.isfinite(self.values).all() or not (self.values > 0).all():
            raise UnfitNumbers(
                f"{len(self.lengths)} segments need as many finite scales above 0, and lengths "
                f"above 0; got scales of shape {self.values.shape}"
            )

    @property
    def dim(self) -> int:
        """Number of values in the vector."""
        return sum(self.lengths)

    def spread(self, levels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return levels of the values that are sent, or sums of them, with zeros for the others.

        Raises:
            UnfitNumbers: There are more or fewer.
        """
        if self.places is None:
            return levels
        if levels.shape != self.places.shape:
            raise UnfitNumbers(f"{self.places.size} values are sent, got {levels.size}")
        spread = np.zeros(self.dim, np.int64)
        spread[self.places] = levels
        return spread

    def steps(self, levels: int) -> Iterator[tuple[slice, Vector]]:
        """Yield consecutive slices of the vector, each with the value of one level.

        That value has shape (1,) where the slice lies in one segment, else the slice's shape.

        Args:
            levels: Levels on each side of zero.
        """
        ends = np.cumsum(self.lengths)
        sizes = self.values / levels
        for start in range(0, self.dim, _BLOCK):
            stop = min(start + _BLOCK, self.dim)
            first = int(np.searchsorted(ends, start, side="right"))
            last = int(np.searchsorted(ends, stop, side="left")) + 1
            if last - first == 1:
                yield slice(start, stop), sizes[first:last]
            else:
                cuts = np.diff(np.minimum(ends[first:last], stop), prepend=start)
                yield slice(start, stop), np.repeat(sizes[first:last], cuts)


def quantise(
    update: FloatVector,
    *,
    weight_class: int,
    scales: Scales,
    parameters: SealParameters,
    planes: int = 1,
    rng: np.random.Generator | None = None,
) -> Levels:
    """Round `update * weight_class / 8` to levels, shape (planes * sent,), plane by plane.

    All values are sent unless the scales say which.

    Guarantee: within the scale, a value of 16 bits or more is rounded to the nearest level, so it
    is off by at most half a level. Below 16 bits it is rounded at random: it is off by less than
    one level, and by nothing in expectation. Beyond the scale it saturates, without an
    error: see `saturated_values`.

    Args:
        update: Values, shape (dim,), all finite.
        weight_class: The site's share in the average: 1, 2, 4 or 8.
        scales: Largest value of each segment, common to all sites.
        parameters: They give the number of levels.
        planes: Levels that one value takes: 1 or 2, the finer one first.
        rng: For random rounding below 16 bits. It protects nobody, so it may be seeded.

    Raises:
        UnfitNumbers: A shape or weight class is wrong, a value is not finite, or `rng` is
            missing where it is needed.
    """
    limit = parameters.levels**planes
    nearest = math.log2(2 * limit + 1) >= NEAREST_FROM_BITS
    if weight_class not in WEIGHT_CLASSES or update.shape != (scales.dim,):
        raise UnfitNumbers(
            f"an update of shape ({scales.dim},) and a weight class in {WEIGHT_CLASSES} are "
            f"needed, got {update.shape} and {weight_class}"
        )
    if rng is None and not nearest:
        raise UnfitNumbers(f"values of {parameters.bits:.1f} bits are rounded at random: pass rng")
    levels = np.empty((planes, scales.dim), dtype=np.int32)
    for where, step in scales.steps(limit):
        # Classes are eighths: the weight is at most 1, so a weighted value stays within the scale.
        exact = update[where] * (weight_class / 8 / step)
        if not np.isfinite(exact).all():
            raise UnfitNumbers("the update holds a value that is not finite")
        rounded = np.rint(exact) if nearest or rng is None else _round_at_random(exact, rng)
        _split(np.clip(rounded, -limit, limit), parameters, levels[:, where])
    return (levels if scales.places is None else levels[:, scales.places]).reshape(-1)


def saturated_values(
    update: FloatVector,
    *,
    weight_class: int,
    scales: Scales,
    parameters: SealParameters,
    planes: int = 1,
) -> int:
    """Return how many values of an update `quantise` cuts off, because they exceed the scale."""
    limit = parameters.levels**planes
    # A value that still rounds to the last level is not cut off.
    beyond = (
        np.abs(update[where]) * (weight_class / 8 / step) > limit + 0.5
        for where, step in scales.steps(limit)
    )
    return sum(int(np.count_nonzero(one)) for one in beyond)


def _split(whole: Vector, parameters: SealParameters, planes: Levels) -> None:
    """Write whole numbers to one plane, or as remainder and quotient to two."""
    if len(planes) == 1:
        planes[0] = whole
        return
    # Below 2^53, so that float64 holds them exactly. The remainder is balanced around zero.
    planes[1] = np.rint(whole / parameters.levels)
    planes[0] = whole - planes[1].astype(np.float64) * parameters.levels


def joined_levels(
    sums: Levels | NDArray[np.int64], parameters: SealParameters, planes: int
) -> NDArray[np.int64]:
    """Return sums of the whole numbers that `quantise` split, shape (dim,)."""
    whole = sums[-(sums.size // planes) :].astype(np.int64)
    if planes > 1:
        whole = whole * parameters.levels + sums[: sums.size // planes]
    return whole


def _round_at_random(exact: Vector, rng: np.random.Generator) -> Vector:
    # Rounds up with a probability equal to the fraction, so the expectation is exact.
    return np.floor(exact + rng.random(exact.shape))


def mean_from_levels(
    sums: NDArray[np.int32] | NDArray[np.int64],
    *,
    total_class: int,
    scales: Scales,
    parameters: SealParameters,
    planes: int = 1,
) -> Vector:
    """Return the weighted mean of the updates from the sum of their levels, shape (dim,).

    Guarantee: within the scales, the result differs from the exact weighted mean by at most half
    a level (one level below 16 bits) times `8 * sites / total_class`. It uses elementwise float64
    operations only, so every machine computes the same bits.

    Args:
        sums: Sum of the levels of all sites, joined if there are two planes, shape (dim,).
        total_class: Sum of their weight classes, > 0.
        scales: The scales that the sites used.
        parameters: The parameters that the sites used.
        planes: Levels that one value took.

    Raises:
        UnfitNumbers: A shape or the total of the classes is wrong.
    """
    if total_class < 1 or sums.shape != (scales.dim,):
        raise UnfitNumbers(
            f"sums of shape ({scales.dim},) and a positive total of classes are needed, got "
            f"{sums.shape} and {total_class}"
        )
    mean = np.empty(sums.shape, dtype=np.float64)
    for where, step in scales.steps(parameters.levels**planes):
        mean[where] = sums[where] * step / (total_class / 8)
    return mean
