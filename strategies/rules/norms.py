"""L2 norms and scaled rows, with the same bits on every CPU.

`np.linalg.norm` uses BLAS, whose order of summation depends on the CPU.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Vector
from strategies.rules.inputs import Rows, checked_blocks, require_positive

LANES = 8_192  # number of partial sums; changing it changes the bits of every norm


def row_norms(updates: Rows, centre: Vector | None = None) -> Vector:
    """Return the L2 norm of each update's difference from the centre, shape (n_sites,).

    Guarantee: the order of the sum depends on dim alone. So a norm has the same bits on every CPU,
    however many rows are given at once.

    Args:
        updates: Shape (n_sites, dim).
        centre: Shape (dim,), or None for zero.

    Raises:
        NonFiniteUpdate: As `inputs.checked_blocks` says.
    """
    n_sites, dim = updates.shape
    lanes = np.zeros((n_sites, min(LANES, dim)))
    scratch = np.empty_like(lanes)
    for columns, block in checked_blocks(updates, LANES):
        part = scratch[:, : block.shape[1]]
        np.subtract(block, 0.0 if centre is None else centre[columns], out=part, dtype=np.float64)
        part *= part
        lanes[:, : block.shape[1]] += part
    return np.sqrt(_fold_lanes(lanes))


def _fold_lanes(lanes: Matrix) -> Vector:
    # A fixed binary tree of elementwise additions: no reduction of NumPy's, whose order may differ.
    width = lanes.shape[1]
    while width > 1:
        half = (width + 1) // 2
        lanes[:, : width - half] += lanes[:, half:width]
        width = half
    return lanes[:, 0]


def clip_scales(norms: Vector, clip_norm: float) -> Vector:
    """Return the factor of each update that brings its norm to at most `clip_norm`.

    If the norm is within the limit, zero included, the factor is exactly 1.

    Raises:
        OptionRefused: `clip_norm` is not a finite number above 0.
    """
    require_positive(clip_norm=clip_norm)
    scales = np.ones_like(norms)
    np.divide(clip_norm, norms, out=scales, where=norms > clip_norm)
    return scales


@dataclass(frozen=True, eq=False)
class Scaled:
    """Rows that are each multiplied by a number when they are read: a pre-step's result.

    Args:
        source: Shape (n_sites, dim).
        scales: Shape (n_sites,).
    """

    source: Rows
    scales: Vector

    @property
    def shape(self) -> tuple[int, int]:
        """Number of sites, and dim."""
        n_sites, dim = self.source.shape
        return n_sites, dim

    @property
    def dtype(self) -> np.dtype[Any]:
        """Float64, whatever the type of the source."""
        return np.dtype(np.float64)

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[Any]:
        scales = self.scales[key[0], np.newaxis]
        scaled: Matrix = np.multiply(self.source[key], scales, dtype=np.float64)
        return scaled
