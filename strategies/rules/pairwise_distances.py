"""Distances between updates in one pass: a Gram matrix of centred blocks, by BLAS."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix
from strategies.rules.inputs import Rows, blocks, checked_blocks, width_for

Reader: TypeAlias = Callable[[Rows, int], Iterator[tuple[slice, NDArray[Any]]]]

WELL_CONDITIONED = 1e-3  # a distance that kept a smaller share of its digits is measured again


@dataclass(frozen=True, eq=False)
class Geometry:
    """Distances and inner products of updates.

    Args:
        squared: Squared L2 distances between rows, shape (n_sites, n_sites).
        products: Inner products of the rows' differences from row `centre`, of the same shape.
        centre: Index of the row that is the origin.
    """

    squared: Matrix
    products: Matrix
    centre: int


def measure_distances(updates: Rows) -> Geometry:
    """Return the squared distances between all pairs of updates.

    Guarantee: the relative error is below 1e-10 for every pair, whatever the other updates are.
    Besides the input, memory is one block.

    |a - b|^2 = |a|^2 + |b|^2 - 2ab loses digits if a and b are much closer to each other than to
    the origin. So the origin is a central row, and pairs that are still much closer to each other
    are measured again, with one of them as the origin.

    Args:
        updates: Shape (n_sites, dim).

    Raises:
        NonFiniteUpdate: As `inputs.checked_blocks` says.
    """
    n_sites = updates.shape[0]
    centre = _central_row(updates)
    products = centred_products(updates, range(n_sites), centre, read=checked_blocks)
    squared, condition = _distances(products)
    doubtful = condition < WELL_CONDITIONED
    while doubtful.any():
        # The row in most doubtful pairs serves many of them at once. Each turn settles at least its
        # own pairs, so the loop ends.
        origin = int(doubtful.sum(axis=0).argmax())
        near = np.union1d(np.flatnonzero(doubtful[origin]), [origin])
        closer, better = _distances(centred_products(updates, near, origin))
        pairs = np.ix_(near, near)
        improved = better > condition[pairs]
        squared[pairs] = np.where(improved, closer, squared[pairs])
        condition[pairs] = np.maximum(better, condition[pairs])
        doubtful = condition < WELL_CONDITIONED
    return Geometry(squared, products, centre)


def centred_products(
    updates: Rows, rows: Sequence[int] | NDArray[np.intp], centre: int, *, read: Reader = blocks
) -> Matrix:
    """Return the inner products of some rows' differences from the centre, by BLAS.

    Args:
        updates: Shape (n_sites, dim).
        rows: Indices of the rows.
        centre: Index of the row to subtract.
        read: `blocks`, or `checked_blocks` in the first pass.
    """
    everyone = len(rows) == updates.shape[0]
    width = min(width_for(len(rows)), updates.shape[1])
    products = np.zeros((len(rows), len(rows)))
    buffer = np.empty((len(rows), width))
    for _, block in read(updates, width):
        centred = buffer[:, : block.shape[1]]
        chosen = block if everyone else block[rows]
        np.subtract(chosen, block[centre], out=centred, dtype=np.float64)
        products += centred @ centred.T
    return products


def _distances(products: Matrix) -> tuple[Matrix, Matrix]:
    """Return squared distances, and the condition of each: 1 means that no digit was lost."""
    squares = products.diagonal()
    scale = squares[:, np.newaxis] + squares
    squared = np.maximum(scale - 2 * products, 0.0)
    np.fill_diagonal(squared, 0.0)
    condition = np.ones_like(squared)
    np.divide(squared, scale, out=condition, where=scale > 0)
    np.fill_diagonal(condition, 1.0)
    return squared, condition


def _central_row(updates: Rows) -> int:
    """Return the index of the row nearest to the median, in a sample of coordinates."""
    # The choice affects only how many pairs are measured again, so a sample of the first block is
    # enough. A minority cannot move the median far.
    _, block = next(checked_blocks(updates, width_for(updates.shape[0])))
    sample = block[:, ::16].astype(np.float64)
    gaps = sample - np.median(sample, axis=0)
    return int(np.square(gaps).sum(axis=1).argmin())
