"""What a state of a Cox model says, as plain JSON values for `results.json` and the report."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from privacy.layout import Tally, Vector
from sites.evaluation.pairs import PairCounts
from sites.learners.normal_equations import Solved, matrix_of, solve
from sites.learners.survival.baseline import (
    State,
    cumulative_hazard,
    curve_of_all,
    hazard_by_step,
)
from sites.learners.survival.design import Covariate
from sites.learners.survival.form import LARGEST_LIKELIHOOD, LARGEST_OWN, Form
from sites.schema.tables import Number
from sites.statistics.life_tables import Z95, LifeTable, curve_values, log_rank
from sites.statistics.normalisation import Constants
from sites.statistics.tables import compress_values

_FEWEST_SITES = 2  # of a meta-analysis
_SETTLED = 1e-6  # of the last step of a coefficient, per standard deviation


def results_of(form: Form, vector: Vector, statistics: Tally) -> Mapping[str, Any]:
    """Return what a state says; nothing before the first exchange."""
    state = form.read(vector)
    if not state["exchanges"][0]:
        return {}
    constants = form.constants(statistics)
    used, left_out, events = (int(one) for one in state["records"])
    solved = solve(matrix_of(state["information"], len(form.design)), state["score"])
    return {
        "kind": "survival",
        "unit": form.label.unit,
        "time": form.label.time,
        "horizon": form.label.judged_at,
        "ties": form.plan.ties,
        "baseline": form.plan.baseline,
        "floor": form.plan.floor,
        "exchanges": int(state["exchanges"][0]),
        "records": {"used": used, "left_out": left_out, "events": events},
        "sites": int(state["own_fits"][-1]),
        "sites_with_own_fit": int(state["own_fits"][-2]),
        "coefficients": list(_coefficients(form, state, solved, constants)),
        **_fit(form, state, solved),
        "curves": [_curve(form, name, table) for name, table in _tables(form, state)],
        "log_rank": _log_rank(form, state),
        "hazard": _hazard(form, state, constants),
    }


def _coefficients(
    form: Form, state: State, solved: Solved, constants: Constants
) -> Iterator[dict[str, Any]]:
    deviations = form.design.deviations(constants)
    steps = np.abs(state["next"] - state["at"]) * deviations
    errors = np.sqrt(np.maximum(np.diag(solved.inverse), 0.0))
    for place, one in enumerate(form.design.covariates):
        width = _width(one)
        told = {"name": one.name, "unit": _unit(one.number)}
        if not solved.kept[place]:
            yield {**told, "left_out": True}
            continue
        value, error = float(state["next"][place]) / width, float(errors[place]) / width
        yield {
            **told,
            "left_out": False,
            "settled": bool(steps[place] < _SETTLED),
            **_with_interval(value, error),
            "deviation": float(deviations[place]) * width if one.number else None,
            "own": _own(state, place, float(deviations[place]), width),
        }


def _with_interval(value: float, error: float) -> dict[str, Any]:
    z = abs(value) / error if error > 0 else math.inf
    return {
        "coefficient": value,
        "standard_error": error,
        "hazard_ratio": _ratio(value),
        "low": _ratio(value - Z95 * error),
        "high": _ratio(value + Z95 * error),
        "p": math.erfc(z / math.sqrt(2)),
    }


def _ratio(value: float) -> float | None:
    return math.exp(value) if value < 300 else None


def _width(one: Covariate) -> float:
    """Return how much of a number's own scale is one unit of its covariate."""
    if one.number is None:
        return 1.0
    low, high = compress_values(one.number, np.array([one.number.low, one.number.high]))
    return float(high - low)


def _unit(number: Number | None) -> str:
    if number is None:
        return ""
    return f"ln(1 + {number.unit or 'value'})" if number.scale == "log" else number.unit


def _own(state: State, place: int, deviation: float, width: float) -> dict[str, Any] | None:
    """Return the meta-analysis of what sites would fit alone: inverse-variance weights.

    With Cochran's Q, the weighted squares of the sites' distances from the mean. One site's
    estimate is no analysis of several, and would show that site alone: nothing is said of it.
    """
    sites, weight = int(state["own_fits"][place]), state["own_weight"][place]
    if sites < _FEWEST_SITES or weight <= 0:
        return None
    scale = LARGEST_OWN / deviation
    first = state["own_first"][place] * scale
    mean = first / weight
    q = max(float(state["own_second"][place] * scale**2 - first * mean), 0.0)
    found = {**_with_interval(float(mean) / width, 1 / math.sqrt(weight) / width), "sites": sites}
    found |= {"q": q, "q_p": _chi_square_tail(q, sites - 1)}
    return found | {"i_squared": max(0.0, 1 - (sites - 1) / q) if q > 0 else 0.0}


def _fit(form: Form, state: State, solved: Solved) -> dict[str, Any]:
    pairs = PairCounts.from_entries(state["pairs"].astype(np.int64))
    share = (2 * pairs.concordant + pairs.undecided) / (2 * pairs.total) if pairs.total else None
    found: dict[str, Any] = {
        "concordance": share,
        "pairs": {
            "concordant": pairs.concordant,
            "undecided": pairs.undecided,
            "total": pairs.total,
        },
    }
    if form.pools_baseline:
        return found
    likelihood, null = (
        float(state[name][0]) * LARGEST_LIKELIHOOD
        for name in ("log_likelihood", "null_log_likelihood")
    )
    ratio, degrees = max(2 * (likelihood - null), 0.0), int(solved.kept.sum())
    tested = {"chi_square": ratio, "degrees": degrees, "p": _chi_square_tail(ratio, degrees)}
    return {
        **found,
        "log_likelihood": likelihood,
        "null_log_likelihood": null,
        "likelihood_ratio": tested,
    }


def _chi_square_tail(statistic: float, degrees: int) -> float | None:
    # Imported here: only who reads results needs it.
    from scipy.special import chdtrc

    return float(chdtrc(degrees, statistic)) if degrees > 0 else None


def _tables(form: Form, state: State) -> list[tuple[str, LifeTable]]:
    events = state["group_events"].reshape(len(form.groups.names), -1).astype(np.int64)
    withdrawn = state["group_withdrawn"].reshape(len(form.groups.names), -1).astype(np.int64)
    each = [LifeTable(*one) for one in zip(events, withdrawn, strict=True)]
    found = [("", curve_of_all(form, state))]
    return found if len(each) == 1 else [*found, *zip(form.groups.names, each, strict=True)]


def _curve(form: Form, name: str, table: LifeTable) -> Mapping[str, Any]:
    grid, horizon = form.label.grid, form.label.judged_at
    return curve_values(name, table, grid, horizon=horizon, at_risk=table.at_risk)


def _log_rank(form: Form, state: State) -> dict[str, Any] | None:
    if form.groups.by is None:
        return None
    _, *each = _tables(form, state)
    found = log_rank([table for _, table in each])
    return {
        "by": form.groups.by.name,
        "groups": [name for name, _ in each],
        "observed": list(found.observed),
        "expected": list(found.expected),
        "chi_square": found.chi_square,
        "degrees": found.degrees,
        "p": _chi_square_tail(found.chi_square, found.degrees),
    }


def _hazard(form: Form, state: State, constants: Constants) -> dict[str, Any]:
    top = form.design.largest_predictor(state["at"], constants)
    ends, events, hazards = hazard_by_step(form, state, top)
    return {
        "until": ends.tolist(),
        "events": events.astype(np.int64).tolist(),
        "hazard": hazards.tolist(),
        "risk_by_horizon": -math.expm1(-cumulative_hazard(form, state, top)),
    }
