"""Distances between updates in one pass: a Gram matrix by BLAS, of centred blocks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix
from strategies.rules.inputs import Rows, blocks, checked_blocks, width_for

Reader: TypeAlias = Callable[[Rows, int], Iterator[tuple[slice, NDArray[Any]]]]

WELL_CONDITIONED = 1e-3


@dataclass(frozen=True, eq=False)
class Geometry:
    """How updates lie to each other.

    Args:
        squared: Squared L2 distances between rows, shape (n_sites, n_sites).
        products: Inner products of the rows' differences from row `centre`, likewise.
        centre: A row.
    """

    squared: Matrix
    products: Matrix
    centre: int


def measure_distances(updates: Rows) -> Geometry:
    """Return the squared distances between all pairs of updates.

    Guarantee: relative error below 1e-10 for every pair, whatever the others are; beyond the
    input one block is held. |a - b|^2 = |a|^2 + |b|^2 - 2ab loses digits where a and b are
    closer to each other than to the origin; so the origin is put in their midst, and pairs
    that are much closer still are measured again from one of them.

    Args:
        updates: Shape (n_sites, dim).

    Raises:
        NonFiniteUpdate: As `rows.checked` says.
    """
    n_sites = updates.shape[0]
    centre = _central_row(updates)
    products = centred_products(updates, range(n_sites), centre, read=checked_blocks)
    squared, condition = _distances(products)
    doubtful = condition < WELL_CONDITIONED
    while doubtful.any():
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
        rows: Which rows.
        centre: The row to subtract.
        read: `blocks`, or `checked_blocks` at the first reading.
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
    """Return squared distances, and how much of the digits each has kept: 1 is all."""
    squares = products.diagonal()
    scale = squares[:, np.newaxis] + squares
    squared = np.maximum(scale - 2 * products, 0.0)
    np.fill_diagonal(squared, 0.0)
    condition = np.ones_like(squared)
    np.divide(squared, scale, out=condition, where=scale > 0)
    np.fill_diagonal(condition, 1.0)
    return squared, condition


def _central_row(updates: Rows) -> int:
    """Return the row nearest to the median, by a sample of coordinates."""
    _, block = next(checked_blocks(updates, width_for(updates.shape[0])))
    sample = block[:, ::16].astype(np.float64)
    gaps = sample - np.median(sample, axis=0)
    return int(np.square(gaps).sum(axis=1).argmin())
