"""Newton's method on exact sums, with a step that is halved where it went too far."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Tally, Vector
from sites.learners.normal_equations import Solved, solve, total
from sites.learners.regression.equations import Equations
from sites.learners.regression.families import LARGEST_INTERCEPT, STEEPEST, TrueSums
from sites.learners.regression.site_sums import LARGEST_HETEROGENEITY, true_sums
from sites.learners.regression.state import (
    ALIASED,
    EMPTY,
    FITTED,
    SEPARATED,
    Figures,
    State,
    read_state,
)

# Beyond these a last step is smaller than a millionth of a standard error, and the error that is
# left is of the size of its square.
_CLOSE = 1e-12
# A mean deviance of a record counts as at least this, or nothing would be close to a perfect fit.
_SMALLEST_DEVIANCE = 1e-6
# Rounding may lift a deviance by so much of itself; a step that does is not one that went too far.
_SLACK = 1e-10


def advance(equations: Equations, vector: Vector, pooled: Tally) -> Vector:
    """Return the state after one more round, shape (layout.dim,).

    Guarantee: the same bits on every machine. A state that has converged stays. Where other
    records were counted than in the rounds before, as when a site stays away from a run in the
    clear, all begins anew: no estimate mixes two sets of records.

    Args:
        equations: The regression, by pooled statistics.
        vector: The state at which the sites counted.
        pooled: Their tallies, added up.
    """
    state = read_state(vector, equations.regression.design.size)
    if state.figures.converged:
        return vector
    round_ = _Round(equations, state, pooled)
    if not state.figures.exchanges:
        return round_.accepted(round_.examined()).vector
    if round_.counted != (state.figures.records, state.figures.left_out):
        return np.zeros(len(vector))
    before, now = state.figures, round_.penalised(state.trial, round_.sums.deviance)
    best = round_.penalised(state.accepted, before.deviance)
    if now > best + _SLACK * (1.0 + abs(best)):
        return round_.halved().vector
    return round_.accepted(state).vector


@dataclass(frozen=True)
class _Round:
    """The sums of one round, and the state at which they were counted."""

    equations: Equations
    state: State
    pooled: Tally

    @property
    def entries(self) -> dict[str, Tally]:
        layout = self.equations.regression.tally
        return {name: layout.part(name, self.pooled) for name in layout.sizes}

    @property
    def sums(self) -> TrueSums:
        return true_sums(self.equations, self.entries, self.state.trial)

    @property
    def penalties(self) -> Vector:
        return self.equations.penalties(float(self.entries["records"][0]))

    @property
    def counted(self) -> tuple[float, float]:
        """Return how many records were counted, and how many were left out."""
        return float(self.entries["records"][0]), float(self.entries["left_out"][0])

    def penalised(self, coefficients: Vector, deviance: float) -> float:
        """Return a deviance with the ridge's part."""
        return deviance + total(self.penalties * coefficients**2)

    def examined(self) -> State:
        """Return the first state: which inputs can be estimated, and how they are correlated."""
        entries, real = self.entries, self.equations.sums.real
        bound = self.equations.family.bounds.label
        first = replace(
            self.state,
            columns=real(entries["columns"]),
            column_labels=real(entries["column_labels"]) * bound,
        )
        information = self.sums.information
        # Coefficients of 0 weigh all records alike, so these are the correlations of the inputs.
        found = solve(information, np.zeros(len(information)))
        ills = _ills(self.equations, first, found)
        separated = np.where(ills == SEPARATED, _beyond(first), 0.0)
        factors = _inflation(self.equations, information, found.inverse)
        return replace(first, trial=separated, ills=ills, inflation=factors)

    def accepted(self, state: State) -> State:
        """Return the state with this round's coefficients, and a further step from them."""
        sums, penalties = self.sums, self.penalties
        at = self.state.trial
        score = (sums.score - penalties * at) * state.kept
        found = solve(curvature_of(sums.information, penalties, state.kept), score)
        gain, records = total(found.solution * score), float(self.entries["records"][0])
        each = sums.deviance / records if records else 0.0
        close = _CLOSE * min(1.0, max(each, _SMALLEST_DEVIANCE))
        figures = self._figures(sums.deviance, converged=gain <= close)
        return replace(
            state,
            trial=state.trial + found.solution,
            # an input that is left out has its last coefficient from the start
            accepted=np.where(state.kept, at, state.trial),
            information=sums.information,
            figures=figures,
        )

    def halved(self) -> State:
        """Return the state with half the step, which went too far."""
        state = self.state
        figures = replace(state.figures, exchanges=state.figures.exchanges + 1)
        between = state.accepted + (state.trial - state.accepted) / 2
        return replace(state, trial=between, figures=figures)

    def _figures(self, deviance: float, *, converged: bool) -> Figures:
        entries, real, before = self.entries, self.equations.sums.real, self.state.figures
        records = float(entries["records"][0])
        intercepts = float(real(entries["intercepts"])[0]) * LARGEST_INTERCEPT
        sites = float(entries["sites"][0])
        return Figures(
            exchanges=before.exchanges + 1,
            converged=float(converged),
            deviance=deviance,
            null_deviance=before.null_deviance if before.exchanges else deviance,
            records=records,
            left_out=float(entries["left_out"][0]),
            sites=sites,
            labels=float(real(entries["labels"])[0]) * self.equations.family.bounds.label,
            intercept=intercepts / sites if sites else 0.0,
            heterogeneity=float(real(entries["heterogeneity"])[0]) * LARGEST_HETEROGENEITY,
            ranks=float(entries["rank"][0]),
        )


def _ills(equations: Equations, state: State, found: Solved) -> Vector:
    """Return what is the matter with each input.

    A value whose records all have the same outcome separates: its coefficient has no finite
    estimate (Albert and Anderson 1984, Biometrika 71:1).
    """
    present = equations.regression.design.says_presence
    empty = present & (state.columns < 0.5)
    ills = np.where(found.kept, FITTED, np.where(empty, EMPTY, ALIASED))
    if not equations.regression.plan.ridge:
        alike = equations.family.say_one_thing(state.columns, state.column_labels)
        ills = np.where(found.kept & present & alike, SEPARATED, ills)
    return ills.astype(np.float64)


def curvature_of(information: Matrix, penalties: Vector, kept: NDArray[np.bool_]) -> Matrix:
    """Return the information with the ridge's part, 0 where an input is left out."""
    return (information + np.diag(penalties)) * kept * kept[:, None]


def _inflation(equations: Equations, information: Matrix, inverse: Matrix) -> Vector:
    """Return the variance inflation factor of each input (Marquardt 1970, Technometrics 12:591).

    Args:
        equations: The regression.
        information: With equal weights, shape (k, k).
        inverse: Its inverse over the inputs that can be estimated.
    """
    spread = np.diag(information).copy()
    if equations.regression.design.intercept and information[0, 0] > 0:
        spread -= information[0] ** 2 / information[0, 0]
    return np.asarray(spread * np.diag(inverse), np.float64)


def _beyond(state: State) -> Vector:
    """Return coefficients as good as infinite: they leave nothing of the records they are of."""
    return np.where(state.column_labels > 0, 2 * STEEPEST, -2 * STEEPEST)
