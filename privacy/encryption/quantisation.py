"""Numbers to levels and back: what a site's update is rounded to before it is added.

One level is `scale / levels` of the parameters. Scales are common to all sites, so that the sum
of levels is a multiple of the sum of the updates.
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

_BLOCK = 1 << 13


class UnfitNumbers(ConsortiumError, ValueError):
    """Numbers, scales or a weight class cannot be rounded to levels."""

    code = "unfit-numbers"


@dataclass(frozen=True)
class Scales:
    """The largest value, by segment of the vector, that a level can express.

    Args:
        values: One scale per segment, shape (num_segments,), finite and > 0.
        lengths: Values of the vector in each segment, > 0.

    Raises:
        UnfitNumbers: A scale or a length is not positive, or there are not as many of both.
    """

    values: Vector
    lengths: tuple[int, ...]

    def __post_init__(self) -> None:
        fit = self.values.shape == (len(self.lengths),) and min(self.lengths, default=0) > 0
        if not fit or not np.isfinite(self.values).all() or not (self.values > 0).all():
            raise UnfitNumbers(
                f"{len(self.lengths)} segments need as many finite scales above 0 and lengths "
                f"above 0, got scales of shape {self.values.shape}"
            )

    @property
    def dim(self) -> int:
        """Values of the vector."""
        return sum(self.lengths)

    def steps(self, parameters: SealParameters) -> Iterator[tuple[slice, Vector]]:
        """Yield consecutive slices of the vector, each with the value of one level in it.

        The value of a level has shape (1,) within one segment, else the shape of the slice.
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

    Guarantee: within the scale, the result is off by at most half a level where a value has 16
    bits or more (rounded to nearest), and by less than one level and by nothing in expectation
    below (rounded at random). Beyond the scale it saturates, silently: a count of saturated
    values would be a release.

    Args:
        update: Values, shape (dim,), all finite.
        weight_class: The site's share in the average: 1, 2, 4 or 8.
        scales: Largest value of each segment, common to all sites.
        parameters: How many levels there are.
        rng: Rounds at random below 16 bits; protects nobody, so it may be seeded.

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
        raise UnfitNumbers(f"{parameters.bits:.1f} bits are rounded at random: pass rng")
    limit = parameters.levels
    levels = np.empty(update.shape, dtype=np.int32)
    for where, step in scales.steps(parameters):
        exact = update[where] * (weight_class / 8 / step)
        if not np.isfinite(exact).all():
            raise UnfitNumbers("the update holds a value that is not finite")
        rounded = np.rint(exact) if nearest or rng is None else _round_at_random(exact, rng)
        levels[where] = np.clip(rounded, -limit, limit)
    return levels


def _round_at_random(exact: Vector, rng: np.random.Generator) -> Vector:
    return np.floor(exact + rng.random(exact.shape))


def mean_from_levels(
    sums: Levels, *, total_class: int, scales: Scales, parameters: SealParameters
) -> Vector:
    """Return the weighted mean of updates from the sum of their levels, shape (dim,).

    Guarantee: within the scales, it differs from the exact weighted mean by at most half a
    level (a whole one below 16 bits) times `8 * sites / total_class`. Elementwise float64 only,
    so every machine computes the same bits.

    Args:
        sums: Sum of the levels of all sites, shape (dim,).
        total_class: Sum of their weight classes, > 0.
        scales: What the sites quantised with.
        parameters: What the sites quantised with.

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
