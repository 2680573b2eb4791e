"""Bounds of the distances between updates, from products in float32: half the time, and proven."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix
from strategies.rules.inputs import Rows, column_slices, width_for
from strategies.rules.pairwise_distances import central_rows
from strategies.rules.separate_rows import row_pieces

UNDERFLOW = 2.0**-100  # more than a value loses where its square is too small for float32


def bound_distances(updates: Rows) -> tuple[Matrix, Matrix] | None:
    """Return a lower and an upper bound of the squared distance of each pair, (n_sites, n_sites).

    Guarantee: the bounds hold in whatever order BLAS adds. None means that nothing is known: a
    value is not finite, or a square is too large for float32.

    Proof. Let u = 2^-24, let z be a row's exact difference from the origin and y that difference
    rounded, and let t be the sum of the two lengths |y| of a pair. Rounding moves each z by at most
    u |y| (1 + 2u), so the distance |z - z'| by at most u t (1 + 2u), and its square by
    2 u t^2 (1 + 3u). A sum of k products in float32, in any order, is off by at most k u times the
    sum of their sizes (Jeannerod and Rump 2013, doi:10.1137/120894488). So |y|^2 + |y'|^2 - 2 y y'
    is off by k u t^2. Together that is (k + 2) u t^2. Another 6 u t^2 are for what is of second
    order and for the sums of chunks in float64, which are off by less than 1e-9 t^2. Where numbers
    below float32's normal range are lost or taken as zero, each value loses at most 3 * 2^-126 and
    each product 2^-125: `UNDERFLOW` a value, added to each square, is more than enough.

    Args:
        updates: Shape (n_sites, dim), of a type that float32 holds exactly.
    """
    n_sites, dim = updates.shape
    # Fewer products to a sum make the bounds narrower. Among few sites that costs little more.
    chunk = 64 if n_sites <= 16 else 128
    products = _float32_products(updates, chunk)
    if not np.isfinite(products).all():
        return None
    squares = products.diagonal()
    rough = squares[:, np.newaxis] + squares - 2 * products
    lengths = np.sqrt(squares + dim * UNDERFLOW)
    error = (chunk + 8) * 2.0**-24 * np.square(lengths[:, np.newaxis] + lengths)
    low, high = np.maximum(rough - error, 0.0), rough + error
    np.fill_diagonal(low, 0.0)
    np.fill_diagonal(high, 0.0)
    return low, high


def _float32_products(updates: Rows, chunk: int) -> Matrix:
    """Return the inner products of the rows' differences from a central point.

    `chunk` products at a time are added in float32; these sums are added in float64.
    """
    n_sites, dim = updates.shape
    # The origin is the mean of three: the nearer it is to all rows, the narrower the bounds.
    central = central_rows(updates, 3)
    width = chunk * min(2 * width_for(n_sites) // chunk, -(-dim // chunk))
    buffer = np.empty((n_sites, width), np.float32)
    products = np.zeros((n_sites, n_sites))
    for columns in column_slices(dim, width):
        pieces, size = row_pieces(updates, columns), columns.stop - columns.start
        buffer[:, size:] = 0.0  # the last chunk may not be full
        with np.errstate(over="ignore", invalid="ignore"):  # both show in the products
            origin = _mean_of([pieces[row] for row in central])
            for target, piece in zip(buffer[:, :size], pieces, strict=True):
                np.subtract(piece, origin, out=target)
            chunks = buffer.reshape(n_sites, -1, chunk).swapaxes(0, 1)
            products += (chunks @ chunks.swapaxes(1, 2)).sum(axis=0, dtype=np.float64)
    return products


def _mean_of(pieces: list[NDArray[Any]]) -> NDArray[np.float32]:
    # Added one by one, which takes a third of the time of `mean`.
    total = pieces[0].astype(np.float32)
    for piece in pieces[1:]:
        total += piece
    total *= np.float32(1 / len(pieces))
    return total
