"""The rules by their formulas, in NumPy, without a thought for time or memory."""

from collections.abc import Callable, Mapping

import numpy as np

from privacy.layout import Matrix, Vector

CLIP_NORM = 100.0


def pairwise(updates: Matrix) -> Matrix:
    """Return squared distances by the formula."""
    n_sites = len(updates)
    squared = np.zeros((n_sites, n_sites))
    for i in range(n_sites):
        for j in range(i):
            squared[i, j] = squared[j, i] = np.sum((updates[i] - updates[j]) ** 2)
    return squared


def krum_order(updates: Matrix, liars: int) -> list[int]:
    """Return the rows from the least Krum score to the largest."""
    near = np.sort(pairwise(updates), axis=1)[:, 1 : len(updates) - liars - 1]
    return [int(row) for row in near.sum(axis=1).argsort()]


def geometric_median(updates: Matrix, _liars: int) -> Vector:
    """Return the point of smoothed Weiszfeld steps, once they are below one millionth."""
    point: Vector = updates.mean(axis=0)
    for _ in range(100):
        distances = np.maximum(np.linalg.norm(updates - point, axis=1), 1e-6)
        last, point = point, np.average(updates, axis=0, weights=1 / distances)
        if np.linalg.norm(point - last) <= 1e-6 * distances.min():
            break
    return point


def clipped_mean(updates: Matrix, _liars: int) -> Vector:
    """Return the mean of the updates, each scaled down to the norm; their centre is zero."""
    norms = np.linalg.norm(updates, axis=1, keepdims=True)
    return np.asarray((updates * np.minimum(1, CLIP_NORM / norms)).mean(axis=0))


def bulyan(updates: Matrix, liars: int) -> Vector:
    """Return Bulyan with one round of scores, as Flower has it."""
    chosen = updates[krum_order(updates, liars)[: len(updates) - 2 * liars]]
    gaps = np.abs(chosen - np.median(chosen, axis=0))
    near = np.argsort(gaps, axis=0)[: len(chosen) - 2 * liars]
    return np.asarray(np.take_along_axis(chosen, near, axis=0).mean(axis=0))


def median_of_mixtures(updates: Matrix, liars: int) -> Vector:
    """Return the median of the means of nearest neighbours."""
    near = pairwise(updates).argsort(axis=1)[:, : len(updates) - liars]
    return np.asarray(np.median([updates[rows].mean(axis=0) for rows in near], axis=0))


FORMULAS: Mapping[str, Callable[[Matrix, int], Vector]] = {
    "mean": lambda updates, _liars: np.asarray(updates.mean(axis=0)),
    "clipped-mean": clipped_mean,
    "coordinate-median": lambda updates, _liars: np.asarray(np.median(updates, axis=0)),
    "trimmed-mean": lambda updates, liars: np.asarray(
        np.sort(updates, axis=0)[liars : len(updates) - liars].mean(axis=0)
    ),
    "geometric-median": geometric_median,
    "krum": lambda updates, liars: updates[krum_order(updates, liars)[0]],
    "multi-krum": lambda updates, liars: np.asarray(
        updates[krum_order(updates, liars)[: len(updates) - liars - 2]].mean(axis=0)
    ),
    "bulyan": bulyan,
    "centered-clipping": clipped_mean,
    "nearest-neighbour-mixing": median_of_mixtures,
}
