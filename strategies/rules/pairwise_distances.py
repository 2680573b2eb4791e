"""Distances between updates in one pass: a Gram matrix of centred blocks, by BLAS."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix
from strategies.rules.inputs import (
    Rows,
    blocks,
    check_all_values,
    checked_blocks,
    column_slices,
    fits_float32,
    width_for,
)
from strategies.rules.separate_rows import row_pieces

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
    centre = int(central_rows(updates, 1)[0])
    products = _checked_products(updates, centre)
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


def distances_from(updates: Rows, rows: Sequence[int] | NDArray[np.intp]) -> Matrix:
    """Return the squared distances of some checked rows from all, shape (len(rows), n_sites).

    Guarantee: the relative error is below 1e-10 for every pair. It takes one subtraction for each
    of the rows; for many of them `measure_distances` is faster.

    Args:
        updates: Shape (n_sites, dim).
        rows: Indices of the rows.
    """
    n_sites, dim = updates.shape
    width = min(width_for(n_sites), dim)
    buffer, differences = np.empty((n_sites, width)), np.empty((n_sites, width))
    squared = np.zeros((len(rows), n_sites))
    for columns in column_slices(dim, width):
        block = buffer[:, : columns.stop - columns.start]
        apart = differences[:, : columns.stop - columns.start]
        for target, piece in zip(block, row_pieces(updates, columns), strict=True):
            target[:] = piece
        for sums, row in zip(squared, rows, strict=True):
            np.subtract(block, block[row], out=apart)
            sums += np.vecdot(apart, apart)
    return squared


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


def _checked_products(updates: Rows, centre: int) -> Matrix:
    """Return the products of all rows' differences from the centre; refuse what is no number."""
    everyone = range(updates.shape[0])
    if not fits_float32(updates):
        return centred_products(updates, everyone, centre, read=checked_blocks)
    # The squares of float32 values and their sums are finite in float64, unless a value is not: so
    # the diagonal tells, and no pass is spent on looking.
    with np.errstate(invalid="ignore"):
        products = centred_products(updates, everyone, centre)
    if not np.isfinite(products.diagonal()).all():
        check_all_values(updates)
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


def central_rows(updates: Rows, count: int) -> NDArray[np.intp]:
    """Return the indices of the rows nearest to the median, in a sample of coordinates.

    A minority of liars cannot move the median far. But they may hide outside of the sample: so a
    caller's result must not depend on these rows, only its time or its bounds may.

    Raises:
        NonFiniteUpdate: As `inputs.checked_blocks` says, for the first block.
    """
    _, block = next(checked_blocks(updates, width_for(updates.shape[0])))
    sample = block[:, ::16].astype(np.float64)
    gaps = sample - np.median(sample, axis=0)
    order: NDArray[np.intp] = np.square(gaps).sum(axis=1).argsort(kind="stable")
    return order[:count]
