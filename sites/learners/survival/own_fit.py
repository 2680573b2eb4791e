"""A Cox model that a site fits by itself: what a meta-analysis would take from it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Vector
from sites.learners.normal_equations import solve
from sites.learners.survival.form import LARGEST_OWN
from sites.learners.survival.partial_likelihood import Ends, Ties, partial_likelihood

_MOST_STEPS = 30
_SETTLED = 1e-8


@dataclass(frozen=True, eq=False)
class OwnFit:
    """Coefficients of one site's records alone.

    Args:
        coefficients: Shape (p,); 0 where it has none.
        weights: One over their variances, shape (p,); 0 where it has none.
        fitted: Which coefficients have a finite estimate, shape (p,).
    """

    coefficients: Vector
    weights: Vector
    fitted: NDArray[np.bool_]


def fit_alone(x: Matrix, ends: Ends, deviations: Vector, ties: Ties) -> OwnFit:
    """Return the fit of one site's records; without an estimate where they allow none.

    Args:
        x: Covariates, shape (n, p).
        ends: Of the same records.
        deviations: Standard deviation of each covariate, over all sites, shape (p,).
        ties: How tied events are treated.
    """
    at = np.zeros(x.shape[1])
    none = OwnFit(at, at, np.zeros(len(at), np.bool_))
    for _ in range(_MOST_STEPS):
        found = partial_likelihood(x, ends, at, ties)
        solved = solve(found.information, found.score)
        at = at + solved.solution
        if not (np.abs(at) * deviations < LARGEST_OWN).all():
            return none
        if (np.abs(solved.solution) * deviations < _SETTLED).all():
            variances = np.where(solved.kept, np.diag(solved.inverse), 1.0)
            return OwnFit(
                np.where(solved.kept, at, 0.0),
                np.where(solved.kept, 1 / variances, 0.0),
                solved.kept,
            )
    return none
