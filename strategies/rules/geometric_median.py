"""The geometric median: the point with the least weighted distance to all updates."""

import numpy as np

from privacy.layout import Matrix, Vector
from strategies.rules.inputs import Rows, admit, honest_majority
from strategies.rules.krum import combine
from strategies.rules.pairwise_distances import centred_products, measure_distances

MAX_STEPS = 2_000
PATIENCE = 20  # steps between two checks whether an update is itself the median
SMOOTHING = 1e-8  # least distance in a step, as a share of the central radius
PRECISION = 1e-13  # a shorter step, as a share of the mean distance, ends the iteration
NEAR = 10.0  # the origin is moved if its radius is larger than the least one by this factor
TIE = 1e-9  # relative difference below which two numbers count as equal


def geometric_median(updates: Rows, weights: Vector, *, num_byzantine: int = 0) -> Vector:
    """Return the point z that minimises the sum of w_i |z - u_i|, shape (dim,).

    Guarantee: with honest weight H and Byzantine weight B < H, the distance of z from any point c
    is at most 2 H / (H - B) times the distance of the furthest honest update from c. An update
    that is itself the median is returned exactly.

    This is RFA (Pillutla et al. 2022, arXiv:1912.13445): smoothed Weiszfeld steps. Here they act
    on the coefficients of z, so the updates are read twice, not once per step. Distances below
    1e-8 of the radius that holds half the weight are taken as that.

    Args:
        updates: Shape (n_sites, dim).
        weights: Shape (n_sites,), each above 0.
        num_byzantine: Byzantine sites to survive, f; needs n >= 2f + 1.

    Raises:
        ConsortiumError: As `inputs.admit` and `inputs.checked_blocks` say.
    """
    n_sites, _ = admit(
        updates, weights, num_byzantine=num_byzantine, needs=honest_majority, weighted=True
    )
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    geometry = measure_distances(updates)
    distances = np.sqrt(geometry.squared)
    radii = _radii(distances, shares)
    central = int(radii.argmin())
    if radii[central] == 0:  # more than half the weight lies on one point: it is the median
        return combine(updates, np.eye(n_sites)[central])
    products = geometry.products
    # Inner products lose digits if their origin lies far from most of the weight, as a liar can
    # arrange; then they are computed again from the central row.
    if radii[geometry.centre] > NEAR * radii[central]:
        products = centred_products(updates, range(n_sites), central)
    # Start from one Weiszfeld step, taken from the rows that are most central.
    among = distances[radii <= radii[central] * (1 + TIE)]
    pulls = (shares / np.maximum(among, radii[central])).sum(axis=0)
    coefficients = pulls / pulls.sum()
    for _ in range(MAX_STEPS // PATIENCE):
        nearest = int(_squared_distances(products, coefficients).argmin())
        if _is_optimal(nearest, distances[nearest], products, shares):
            return combine(updates, np.eye(n_sites)[nearest])
        coefficients, arrived = _approach(
            products, shares, coefficients, SMOOTHING * radii[central]
        )
        if arrived:
            break
    return combine(updates, coefficients)


def _radii(distances: Matrix, shares: Vector) -> Vector:
    """Return the radius around each row within which more than half the weight lies.

    Guarantee: a minority of the weight cannot make the least radius large, and cannot give the
    least radius to a row of its own that is far from the others.
    """
    order = distances.argsort(axis=1)
    place = (shares[order].cumsum(axis=1) <= 1 / 2).sum(axis=1, keepdims=True)
    nearest = np.take_along_axis(order, place, axis=1)
    return np.take_along_axis(distances, nearest, axis=1)[:, 0]


def _approach(
    products: Matrix, shares: Vector, coefficients: Vector, smoothing: float
) -> tuple[Vector, bool]:
    """Return the coefficients after some Weiszfeld steps, and whether they have converged."""
    for _ in range(PATIENCE):
        squared = _squared_distances(products, coefficients)
        pulls = shares / np.sqrt(np.maximum(squared, smoothing**2))
        step = pulls / pulls.sum() - coefficients
        coefficients = coefficients + step
        # The scale is the harmonic mean of the distances, which a far liar cannot make large.
        if step @ products @ step <= (PRECISION / pulls.sum()) ** 2:
            return coefficients, True
    return coefficients, False


def _squared_distances(products: Matrix, coefficients: Vector) -> Vector:
    """Return the squared distance of each row from the combination of rows, shape (n_sites,)."""
    # |u_i - z|^2 = <u_i, u_i> - 2 <u_i, z> + <z, z>, all from the Gram matrix.
    towards = products @ coefficients
    squared: Vector = products.diagonal() - 2 * towards + coefficients @ towards
    return squared


def _is_optimal(row: int, distances: Vector, products: Matrix, shares: Vector) -> bool:
    """Return whether a row is the median (Kuhn 1973).

    It is if the weighted unit vectors towards all other rows add up to a vector that is no longer
    than its own weight.
    """
    apart = distances > 0
    pulls = np.zeros_like(shares)
    np.divide(shares, distances, out=pulls, where=apart)
    pulls[row] -= pulls.sum()
    pull = np.sqrt(max(0.0, float(pulls @ products @ pulls)))
    return bool(pull <= shares[~apart].sum() * (1 - TIE))
