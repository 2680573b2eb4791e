"""The weighted mean: of all updates at once, or streaming, in constant memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Vector
from strategies.rules.inputs import (
    WIDTH,
    Rows,
    TooFewSites,
    UpdatesRefused,
    admit,
    blocks,
    check_all_values,
    checked_blocks,
)
from strategies.rules.norms import clip_scales, row_norms

STREAM_WIDTH = 262_144  # of one row at a time, longer pieces fit into the cache


def mean(updates: Rows, weights: Vector) -> Vector:
    """Return the weighted mean, shape (dim,): sum of w_i u_i over sum of w_i.

    Guarantee: it adds elementwise in float64, in the order of the rows. So it has the same bits on
    every CPU, and the same bits as `StreamingMean`. It survives no liar: one site can move it
    anywhere. McMahan et al. 2017, arXiv:1602.05629.

    Args:
        updates: Shape (n_sites, dim).
        weights: Shape (n_sites,), each above 0.

    Raises:
        ConsortiumError: As `inputs.admit` and `inputs.checked_blocks` say.
    """
    _, dim = admit(updates, weights, weighted=True)
    total = np.zeros(dim)
    scratch = np.empty(min(WIDTH, dim))
    for columns, block in checked_blocks(updates, WIDTH):
        for row, weight in zip(block, weights, strict=True):
            _add_scaled(total[columns], row, scratch, float(weight))
    total /= _sum_in_order(weights)
    return total


class StreamingMean:
    """The weighted mean of updates that are added one by one and need not be stored.

    Guarantee: the result has the same bits as `mean` of the updates in the order in which they
    were added; with a clip norm, the same bits as `clipped_mean`. Memory is one float64 vector,
    whatever the number of sites. A refused update changes nothing.

    Args:
        dim: Numbers in each update.
        clip_norm: Largest L2 norm that counts in full, above 0; None means no clipping.
    """

    def __init__(self, dim: int, *, clip_norm: float | None = None) -> None:
        self._clip_norm = clip_norm
        self._total: Vector = np.zeros(dim)
        self._weight = 0.0
        self._scratch: Vector = np.empty(min(STREAM_WIDTH, dim))

    def add(self, update: NDArray[Any], weight: float) -> None:
        """Add one site's update, shape (dim,), of any real dtype, with its weight.

        Raises:
            UpdatesRefused: The update has another shape.
            NonFiniteUpdate: The update holds NaN, infinity or a value beyond float32's range.
            WeightsRefused: The weight is not finite and above 0.
        """
        if update.shape != self._total.shape:
            raise UpdatesRefused(f"an update needs shape {self._total.shape}, got {update.shape}")
        rows = update[np.newaxis]
        admit(rows, np.array([weight]), weighted=True)
        factors = [float(weight)]
        if self._clip_norm is None:
            check_all_values(rows)
        else:
            factors = [float(clip_scales(row_norms(rows), self._clip_norm)[0]), *factors]
        for columns, block in blocks(rows, STREAM_WIDTH):  # only now: all values were checked
            _add_scaled(self._total[columns], block[0], self._scratch, *factors)
        self._weight += float(weight)

    def result(self) -> Vector:
        """Return the weighted mean of the updates added so far, shape (dim,), and begin anew.

        Raises:
            TooFewSites: No update was added.
        """
        if not self._weight:
            raise TooFewSites("a mean needs at least 1 site, got 0", needed=1, got=0)
        # Divided in place: fresh memory for a large vector costs more than the division.
        self._total /= self._weight
        mean_, self._total, self._weight = self._total, np.zeros(self._total.size), 0.0
        return mean_


def _add_scaled(total: Vector, row: NDArray[Any], scratch: Vector, *factors: float) -> None:
    # Multiplied one after the other, never by the product of the factors: this fixes the rounding,
    # so streaming and stacked updates give the same bits.
    scaled = scratch[: total.size]
    np.copyto(scaled, row)
    for factor in factors:
        if factor != 1:
            scaled *= factor
    total += scaled


def _sum_in_order(weights: Vector) -> float:
    # `np.sum` adds in pairs, whose order depends on the build of NumPy.
    total = 0.0
    for weight in weights:
        total += float(weight)
    return total
