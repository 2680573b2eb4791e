"""What noise does to the sums of a level: how much is in each, and how it is made less.

Whatever is computed from noisy sums reveals nothing more, so all of this is free of charge.

A module of its own because the best split needs it, whether there is noise or none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.trees.growth.cells import Cells

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


def total_spread(cells: Cells, tried: NDArray[np.bool_]) -> float:
    """Return the variance of a node's total as `agreed_sums` finds it, that of a cell being 1."""
    return 1.0 / float(np.cumsum(_weights(cells, tried))[-1])


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


def agreed_sums(sums: Tally, cells: Cells, tried: NDArray[np.bool_]) -> Tally:
    """Return sums of which every feature has the same total in a node, as it has without noise.

    Each feature's cells add up to the total with noise of its own. Their mean, weighted by how
    little noise each has, has less than any of them; and what the cells of a feature lack is added
    to all of them alike. That is the least-squares fit.

    Guarantee: the same bits on every machine: sums of integers and elementwise float64 only.

    Args:
        sums: By cell, shape (nodes, 3, cells); 0 in cells that hold no record.
        cells: What each cell stands for.
        tried: Whether the sums of the feature of each cell were counted, shape (cells,).
    """
    starts = cells.bins.starts
    held = np.add.reduceat(sums, starts[:-1], axis=2)
    weights = _weights(cells, tried)
    weighted = np.cumsum(held * weights, axis=2)[:, :, -1]
    totals = np.rint(weighted / np.cumsum(weights)[-1]).astype(np.int64)
    lacking = (totals[:, :, None] - held)[:, :, cells.features]
    n = np.maximum(cells.widths, 1)
    share = lacking // n + (cells.rank < lacking % n)
    return np.asarray(np.where(cells.live, sums + share, 0), np.int64)


def _weights(cells: Cells, tried: NDArray[np.bool_]) -> Vector:
    """Return how little noise the total of each feature has, 0 where none was counted."""
    firsts = cells.bins.starts[:-1]
    return np.where(tried[firsts], 1.0 / np.maximum(cells.widths[firsts], 1), 0.0)
