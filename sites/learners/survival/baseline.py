"""The pooled baseline hazard on merged steps of time, and the risks that follow from it.

The hazard of a step is its events over the weighted time that all sites' records were watched in it
(the piecewise exponential model: Friedman 1982, Annals of Statistics 10:101-113). No step has fewer
events than the floor, if there are as many at all.
"""

import numpy as np

from privacy.layout import Matrix, Vector
from sites.learners.survival.form import Form, merged_ends
from sites.statistics.life_tables import LifeTable

State = dict[str, Vector]


def hazard_by_step(form: Form, state: State, top: float) -> tuple[Vector, Vector, Vector]:
    """Return ends of the merged steps, their events, and their hazards per unit of time.

    Args:
        form: Of the model.
        state: Its numbers.
        top: Largest linear predictor at the coefficients that the sums are of.
    """
    ends = merged_ends(state["events"], form.plan.floor)
    starts = [0, *(end + 1 for end in ends[:-1])]
    events = np.array([state["events"][a : b + 1].sum() for a, b in zip(starts, ends, strict=True)])
    watched = state["exposure"][ends] * form.label.high
    hazards = np.divide(events, watched, out=np.zeros(len(ends)), where=watched > 0)
    return np.array([form.label.grid[end] for end in ends]), events, hazards * np.exp(-top)


def cumulative_hazard(form: Form, state: State, top: float) -> float:
    """Return the baseline hazard added up to the horizon; by the curve of all before there is one.

    The baseline is that of a record with mean numbers and first values.
    """
    horizon = form.label.judged_at
    if not (state["exposure"] > 0).any():
        steps = sum(time <= horizon for time in form.label.grid)
        return float(-np.log(max(curve_of_all(form, state).survival[steps - 1], 1e-9)))
    ends, _, hazards = hazard_by_step(form, state, top)
    starts = np.concatenate([[0.0], ends[:-1]])
    return float((hazards * np.clip(horizon - starts, 0.0, ends - starts)).sum())


def curve_of_all(form: Form, state: State) -> LifeTable:
    """Return the life table of all groups together."""
    events = state["group_events"].reshape(len(form.groups.names), -1).sum(axis=0)
    withdrawn = state["group_withdrawn"].reshape(len(form.groups.names), -1).sum(axis=0)
    return LifeTable(events.astype(np.int64), withdrawn.astype(np.int64))


def risks(form: Form, state: State, x: Matrix, top: float) -> Vector:
    """Return the risk of the event by the horizon of records with covariates x, shape (n, p)."""
    predictor = np.clip(x @ state["next"], -300.0, 300.0)
    hazard = cumulative_hazard(form, state, top) * np.exp(predictor)
    return np.asarray(-np.expm1(-hazard), np.float64)
