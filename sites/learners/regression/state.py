"""The state of a regression: all that its next step and its results need, as float32 pairs."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Field, Layout, Matrix, Vector
from sites.learners.exact_numbers import (
    as_float32_pairs,
    from_float32_pairs,
    require_finite,
    whole_numbers,
)
from sites.learners.normal_equations import matrix_of, triangle_of

# What is the matter with an input; whole numbers, as a state holds numbers only.
FITTED, ALIASED, EMPTY, SEPARATED = range(4)
_VECTORS = ("trial", "accepted", "ills", "inflation", "columns", "column_labels")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The single numbers of a state.

    Args:
        exchanges: How many there were; 0 before the first.
        converged: 1 if the estimate is the last one, else 0.
        deviance: At the accepted coefficients.
        null_deviance: With intercepts alone; at the pooled mean where all sites have one.
        records: That are counted.
        left_out: Records with missing values that are not.
        sites: That have something to say.
        labels: Sum of the labels, as the family reads them.
        intercept: Mean of the sites' own intercepts.
        heterogeneity: Sum of the sites' score statistics.
        ranks: Sum of the ranks of the sites' informations.
    """

    exchanges: float = 0.0
    converged: float = 0.0
    deviance: float = 0.0
    null_deviance: float = 0.0
    records: float = 0.0
    left_out: float = 0.0
    sites: float = 0.0
    labels: float = 0.0
    intercept: float = 0.0
    heterogeneity: float = 0.0
    ranks: float = 0.0


_FIGURES = tuple(item.name for item in fields(Figures))


@dataclass(frozen=True, kw_only=True)
class State:
    """A state in words; each vector has shape (k,).

    Args:
        trial: The coefficients at which sites count next, and by which they predict.
        accepted: Those of the lowest penalised deviance so far.
        ills: What is the matter with each input.
        inflation: Variance inflation factors; 0 where there is none.
        columns: Sum of each input over the counted records.
        column_labels: Sum of each input times the label.
        information: At the accepted coefficients, shape (k, k).
        figures: The single numbers.
    """

    trial: Vector
    accepted: Vector
    ills: Vector
    inflation: Vector
    columns: Vector
    column_labels: Vector
    information: Matrix
    figures: Figures

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which inputs are estimated, shape (k,)."""
        return np.asarray(self.ills == FITTED, np.bool_)

    @property
    def vector(self) -> Vector:
        """The state as it is sent, shape (layout.dim,)."""
        own = [getattr(self.figures, name) for name in _FIGURES]
        vectors = [getattr(self, name) for name in _VECTORS]
        return as_float32_pairs(np.concatenate([*vectors, triangle_of(self.information), own]))


def state_layout(k: int) -> Layout:
    """Return the layout of the state of a regression with so many inputs."""
    n = len(_VECTORS) * k + k * (k + 1) // 2 + len(_FIGURES)
    return Layout(fields=(Field("high", (n,)), Field("low", (n,))), start="regression/1")


def read_state(vector: Vector, k: int) -> State:
    """Return the state that a vector stands for; zeros stand for the one before the first round.

    Raises:
        ImpossibleState: No run has this state.
    """
    numbers = from_float32_pairs(require_finite(vector))
    vectors = dict(zip(_VECTORS, numbers[: len(_VECTORS) * k].reshape(-1, k), strict=True))
    whole_numbers("ills", vectors["ills"], low=FITTED, high=SEPARATED)
    triangle = numbers[len(_VECTORS) * k : -len(_FIGURES)]
    own = numbers[-len(_FIGURES) :].tolist()
    return State(
        **vectors,
        information=matrix_of(triangle, k),
        figures=Figures(**dict(zip(_FIGURES, own, strict=True))),
    )
