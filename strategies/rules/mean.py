"""The weighted mean: of all updates at once, or of one after the other in constant memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Vector
from strategies.rules.rows import (
    Rows,
    TooFewSites,
    UpdatesRefused,
    admit,
    blocks,
    check_values,
)

WIDTH = 16_384


def mean(updates: Rows, weights: Vector) -> Vector:
    """Return the weighted mean, shape (dim,): sum of w_i u_i over sum of w_i.

    Guarantee: elementwise float64 in the order of the rows, so the same bits on every CPU and
    the same bits as `StreamingMean`. It survives no liar: one site can move it anywhere.
    McMahan et al. 2017, arXiv:1602.05629.

    Args:
        updates: Shape (n_sites, dim).
        weights: Shape (n_sites,), each above 0.

    Raises:
        ConsortiumError: As `rows.admit` and `rows.blocks` say.
    """
    _, dim = admit(updates, weights, weighted=True)
    total = np.zeros(dim)
    scratch = np.empty(min(WIDTH, dim))
    for columns, block in blocks(updates, WIDTH):
        for row, weight in zip(block, weights, strict=True):
            _add_scaled(total[columns], row, float(weight), scratch)
    total /= _sum_in_order(weights)
    return total


class StreamingMean:
    """The weighted mean of updates that are added one by one and need not be kept.

    Guarantee: the same bits as `mean` of the updates in the order in which they were added;
    memory is one float64 vector, whatever the number of sites. A refused update changes
    nothing.

    Args:
        dim: Numbers in each update.
    """

    def __init__(self, dim: int) -> None:
        self._total: Vector = np.zeros(dim)
        self._weight = 0.0
        self._scratch: Vector = np.empty(min(WIDTH, dim))

    def add(self, update: NDArray[Any], weight: float) -> None:
        """Add one site's update, shape (dim,), of any real dtype, with its weight.

        Raises:
            UpdatesRefused: The update has another shape.
            NonFiniteUpdate: The update holds NaN, infinity or a value beyond float32's range.
            WeightsRefused: The weight is not finite and above 0.
        """
        if update.shape != self._total.shape:
            raise UpdatesRefused(f"an update needs shape {self._total.shape}, got {update.shape}")
        admit(update[np.newaxis], np.array([weight]), weighted=True)
        parts = [slice(start, start + WIDTH) for start in range(0, update.size, WIDTH)]
        for part in parts:  # all of it, before any of it is added
            check_values(update[part])
        for part in parts:
            _add_scaled(self._total[part], update[part], float(weight), self._scratch)
        self._weight += float(weight)

    def result(self) -> Vector:
        """Return the weighted mean of what was added so far, shape (dim,).

        Raises:
            TooFewSites: Nothing was added.
        """
        if not self._weight:
            raise TooFewSites("a mean needs at least 1 site, got 0", needed=1, got=0)
        return self._total / self._weight


def _add_scaled(total: Vector, row: NDArray[Any], weight: float, scratch: Vector) -> None:
    scaled = scratch[: total.size]
    np.copyto(scaled, row)
    scaled *= weight
    total += scaled


def _sum_in_order(weights: Vector) -> float:
    total = 0.0
    for weight in weights:
        total += float(weight)
    return total
