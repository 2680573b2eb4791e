"""Quantisation: a site's update is rounded to integer levels before it is encrypted and added.

One level has the value `scale / parameters.levels`. All sites use the same scales, so the sum of
their levels is proportional to the sum of their updates.
"""

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

    Raises:
        UnfitNumbers: A scale or a length is not positive, or their numbers differ.
    """

    values: Vector
    lengths: tuple[int, ...]

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

    def steps(self, parameters: SealParameters) -> Iterator[tuple[slice, Vector]]:
        """Yield consecutive slices of the vector, each with the value of one level.

        That value has shape (1,) where the slice lies in one segment, else the slice's shape.
        """
        ends = np.cumsum(self.lengths)
        sizes = self.values / parameters.levels
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
    rng: np.random.Generator | None = None,
) -> Levels:
    """Round `update * weight_class / 8` to levels, shape (dim,).

    Guarantee: within the scale, a value of 16 bits or more is rounded to the nearest level, so it
    is off by at most half a level. Below 16 bits it is rounded at random: it is off by less than
    one level, and by nothing in expectation. Beyond the scale it saturates. No error is raised
    and nothing is counted then, because the count would be a release.

    Args:
        update: Values, shape (dim,), all finite.
        weight_class: The site's share in the average: 1, 2, 4 or 8.
        scales: Largest value of each segment, common to all sites.
        parameters: They give the number of levels.
        rng: For random rounding below 16 bits. It protects nobody, so it may be seeded.

    Raises:
        UnfitNumbers: A shape or weight class is wrong, a value is not finite, or `rng` is
            missing where it is needed.
    """
    nearest = parameters.bits >= NEAREST_FROM_BITS
    if weight_class not in WEIGHT_CLASSES or update.shape != (scales.dim,):
        raise UnfitNumbers(
            f"an update of shape ({scales.dim},) and a weight class in {WEIGHT_CLASSES} are "
            f"needed, got {update.shape} and {weight_class}"
        )
    if rng is None and not nearest:
        raise UnfitNumbers(f"values of {parameters.bits:.1f} bits are rounded at random: pass rng")
    limit = parameters.levels
    levels = np.empty(update.shape, dtype=np.int32)
    for where, step in scales.steps(parameters):
        # Classes are eighths: the weight is at most 1, so a weighted value stays within the scale.
        exact = update[where] * (weight_class / 8 / step)
        if not np.isfinite(exact).all():
            raise UnfitNumbers("the update holds a value that is not finite")
        rounded = np.rint(exact) if nearest or rng is None else _round_at_random(exact, rng)
        levels[where] = np.clip(rounded, -limit, limit)
    return levels


def _round_at_random(exact: Vector, rng: np.random.Generator) -> Vector:
    # Rounds up with a probability equal to the fraction, so the expectation is exact.
    return np.floor(exact + rng.random(exact.shape))


def mean_from_levels(
    sums: Levels, *, total_class: int, scales: Scales, parameters: SealParameters
) -> Vector:
    """Return the weighted mean of the updates from the sum of their levels, shape (dim,).

    Guarantee: within the scales, the result differs from the exact weighted mean by at most half
    a level (one level below 16 bits) times `8 * sites / total_class`. It uses elementwise float64
    operations only, so every machine computes the same bits.

    Args:
        sums: Sum of the levels of all sites, shape (dim,).
        total_class: Sum of their weight classes, > 0.
        scales: The scales that the sites used.
        parameters: The parameters that the sites used.

    Raises:
        UnfitNumbers: A shape or the total of the classes is wrong.
    """
    if total_class < 1 or sums.shape != (scales.dim,):
        raise UnfitNumbers(
            f"sums of shape ({scales.dim},) and a positive total of classes are needed, got "
            f"{sums.shape} and {total_class}"
        )
    mean = np.empty(sums.shape, dtype=np.float64)
    for where, step in scales.steps(parameters):
        mean[where] = sums[where] * step / (total_class / 8)
    return mean
