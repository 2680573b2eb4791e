"""What noise does to the sums of a level: how much is in each, and how it is made less.

Whatever is computed from noisy sums reveals nothing more, so all of this is free of charge.

A module of its own because the best split needs it, whether there is noise or none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.bin_cells import Cells, total_spread

CLEAR = 2.0  # deviations of its noise above which a count or a weight says that somebody is there


@dataclass(frozen=True, eq=False)
class SumsNoise:
    """The noise of the sums of a level, over all sites.

    Args:
        variances: Of a cell, by kind of sum, in real units, shape (3,); zero for no noise.
    """

    variances: Vector

    def deviations(self, kind: int, spreads: Vector) -> Vector:
        """Return the deviation of sums whose noise has the variance of so many cells."""
        return np.asarray(np.sqrt(self.variances[kind] * spreads), np.float64)


NO_NOISE = SumsNoise(np.zeros(3))


def child_spreads(cells: Cells, in_first: Tally, tried: NDArray[np.bool_]) -> tuple[Vector, Vector]:
    """Return the variance of the sums of both children, that of a cell being 1.

    A feature's n cells agree with a total of variance t: each got an n-th of what they lacked. So a
    child with m of them has m (1 - m / n) + (m / n)^2 t.

    Args:
        cells: What each cell stands for.
        in_first: How many cells the first child has, by cut, shape (cells, 2).
        tried: Whether a tree may split on the feature of each cell, shape (cells,).
    """
    of_total, n = total_spread(cells, tried), np.maximum(cells.widths, 1)[:, None]
    held = np.minimum(in_first, n)  # a cut that no record can make counts a cell twice
    first, second = held / n, (n - held) / n
    within = held * second
    return within + first * first * of_total, within + second * second * of_total
