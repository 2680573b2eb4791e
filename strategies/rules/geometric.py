"""The geometric median: the point with the least weighted distance to all updates."""

import numpy as np

from privacy.layout import Matrix, Vector
from strategies.rules.distances import centred_products, measure
from strategies.rules.krum import combine
from strategies.rules.rows import Rows, admit

MAX_STEPS = 10_000
SMOOTHING = 1e-8
PRECISION = 1e-14


def geometric_median(updates: Rows, weights: Vector, *, num_byzantine: int = 0) -> Vector:
    """Return the point z that minimises the sum of w_i |z - u_i|, shape (dim,).

    Guarantee: with honest weights H and lying weights B < H, z is no further from any point c
    than 2 H / (H - B) times the honest update that is furthest from c. RFA, Pillutla et al.
    2022, arXiv:1912.13445: smoothed Weiszfeld steps, here on the coefficients of z, so the
    updates are read twice, not once a step; distances below 1e-8 of the spread count as that.

    Args:
        updates: Shape (n_sites, dim).
        weights: Shape (n_sites,), each above 0.
        num_byzantine: Liars to survive, f; needs n >= 2f + 1.

    Raises:
        ConsortiumError: As `rows.admit` and `rows.checked` say.
    """
    n_sites, _ = admit(updates, weights, sites_needed=2 * num_byzantine + 1, weighted=True)
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    geometry = measure(updates)
    spread = np.sqrt(geometry.squared) @ shares
    medoid = int(spread.argmin())
    if spread[geometry.centre] <= 10 * spread[medoid]:
        products = geometry.products
    else:
        products = centred_products(updates, range(n_sites), medoid)
    if _is_optimal(medoid, geometry.squared, products, shares):
        return combine(updates, np.eye(n_sites)[medoid])
    return combine(updates, _weiszfeld(products, shares, SMOOTHING * spread[medoid]))


def _is_optimal(row: int, squared: Matrix, products: Matrix, shares: Vector) -> bool:
    """Return whether the others together pull less than the row itself holds (Kuhn 1973)."""
    distances = np.sqrt(squared[row])
    apart = distances > 0
    pulls = np.zeros_like(shares)
    np.divide(shares, distances, out=pulls, where=apart)
    pulls[row] -= pulls.sum()
    pull = np.sqrt(max(0.0, float(pulls @ products @ pulls)))
    return bool(pull <= shares[~apart].sum() * (1 - 1e-9))


def _weiszfeld(products: Matrix, shares: Vector, smoothing: float) -> Vector:
    """Return the coefficients of the geometric median, which are positive and sum to 1."""
    squares = products.diagonal()
    coefficients = shares
    for _ in range(MAX_STEPS):
        towards = products @ coefficients
        squared = squares - 2 * towards + coefficients @ towards
        pulls = shares / np.sqrt(np.maximum(squared, smoothing**2))
        last, coefficients = coefficients, pulls / pulls.sum()
        if np.abs(coefficients - last).sum() <= PRECISION:
            break
    return coefficients
