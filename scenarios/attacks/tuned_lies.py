"""Attacks by liars who know the rule: they try how far they can go before they send.

Fixed attacks flatter a rule: one that is too strong is voted out, one that is too weak does no
harm. These liars see the updates of the honest sites and know how all are aggregated. Of the lies
in one direction they send the one after which the aggregate makes least progress. Between
institutions nobody can know as much: it is the worst case, not a forecast.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from privacy.layout import Matrix, Vector

Aggregate: TypeAlias = Callable[[Matrix], Vector]

# How far a lie goes, in units of its direction: coarse steps, then finer ones around the best.
_COARSE = np.geomspace(0.05, 50.0, 16)
_FINE = np.linspace(0.6, 1.6, 6)
_BISECTIONS = 40


@dataclass(frozen=True, eq=False, kw_only=True)
class Knowledge:
    """What a liar knows of a round before it answers.

    Args:
        honest: The updates of the honest sites, shape (n_honest, dim).
        num_liars: Liars, who all send the same.
        aggregate: Returns what the run makes of the updates of all sites, one row each, the honest
            ones first.
    """

    honest: Matrix
    num_liars: int
    aggregate: Aggregate

    def progress(self, lie: Vector) -> float:
        """Return the aggregate's inner product with the honest mean if the liars send this."""
        everyone = np.concatenate([self.honest, np.tile(lie, (self.num_liars, 1))])
        return float(self.aggregate(everyone) @ self.honest.mean(axis=0))


def little_but_harmful(known: Knowledge) -> Vector:
    """Return the honest mean, moved by honest deviations against its own sign, as far as is best.

    A-little-is-enough (Baruch et al. 2019, arXiv:1902.06156) moves all coordinates to the same
    side, so that half of them are helped on. This one moves each to the side that does harm.
    """
    mean = known.honest.mean(axis=0)
    return _worst_along(known, mean, -np.sign(mean) * known.honest.std(axis=0))


def best_inner_product(known: Knowledge) -> Vector:
    """Return the honest mean, shortened or reversed by the factor that is best.

    Xie et al. 2020, arXiv:1903.03936, with the factor by line search.
    """
    mean = known.honest.mean(axis=0)
    return _worst_along(known, mean, -mean)


def min_max(known: Knowledge) -> Vector:
    """Return the lie furthest from the honest mean that is no further from any than they are apart.

    Of the paper's three directions it takes the one that does most harm. Shejwalkar and
    Houmansadr 2021, "Manipulating the Byzantine", algorithm 1.
    """
    mean = known.honest.mean(axis=0)
    length = np.linalg.norm(mean)
    directions = [-known.honest.std(axis=0), -np.sign(mean)]
    if length > 0:
        directions.append(-mean / length)
    lies = [_furthest_hidden(known.honest, mean, direction) for direction in directions]
    return min(lies, key=known.progress)


def mimic(known: Knowledge) -> Vector:
    """Return the update of the honest site that stands out most, so that it counts many times.

    It stands out along the direction in which the honest differ most. No rule can tell a copy of an
    honest update from one. Karimireddy et al. 2022, arXiv:2006.09365, here for each round alone.
    """
    centred = known.honest - known.honest.mean(axis=0)
    # The left singular vector has each site's share in the direction of the largest variance.
    shares = np.linalg.svd(centred, full_matrices=False)[0][:, 0]
    copied: Vector = known.honest[int(np.abs(shares).argmax())]
    return copied


def _worst_along(known: Knowledge, start: Vector, direction: Vector) -> Vector:
    """Return the lie on a ray after which the aggregate makes least progress."""

    def progress(reach: float) -> float:
        return known.progress(start + reach * direction)

    coarse = min(map(float, _COARSE), key=progress)
    best = min((coarse * float(factor) for factor in _FINE), key=progress)
    lie: Vector = start + min((coarse, best), key=progress) * direction
    return lie


def _furthest_hidden(honest: Matrix, mean: Vector, direction: Vector) -> Vector:
    """Return the lie furthest along a direction that is not the furthest from any honest update."""
    apart = max(float(np.linalg.norm(honest - one, axis=1).max()) for one in honest)
    low, high = 0.0, 2 * apart / max(float(np.linalg.norm(direction)), np.finfo(float).tiny)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        distance = float(np.linalg.norm(honest - (mean + middle * direction), axis=1).max())
        low, high = (middle, high) if distance <= apart else (low, middle)
    return mean + low * direction
