"""What a fitted regression says: coefficients with intervals and tests, in each number's own unit.

Formulas: McCullagh and Nelder 1989; Wald intervals and tests. Nothing here moves a state, so that
logarithms and quantiles may differ in their last bit from machine to machine.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from privacy.layout import Matrix, Vector
from sites.learners.normal_equations import Solved, solve
from sites.learners.regression.design import Input
from sites.learners.regression.equations import Equations, family_name
from sites.learners.regression.newton import curvature_of
from sites.learners.regression.state import ALIASED, EMPTY, FITTED, SEPARATED, State
from sites.schema.tables import Category, ClassLabel, Label, NumberLabel

LEVEL = 0.95
_ILLS = {FITTED: "fitted", ALIASED: "aliased", EMPTY: "empty", SEPARATED: "separated"}
# A coefficient that still moves so far a step moves without end: a Newton step towards infinity
# changes the linear predictor by about 1.
_STILL_MOVING = 0.05
# Exchanges after which a step that is still so large is no part of the way to an estimate.
_ENOUGH_EXCHANGES = 7


def results_of(equations: Equations, state: State) -> Mapping[str, Any]:
    """Return what a state says, as plain JSON values; `kind` is `glm`."""
    return _Fitted(equations, state).told


@dataclass(frozen=True)
class _Fitted:
    equations: Equations
    state: State

    @property
    def told(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        regression, figures, label = self.equations.regression, self.state.figures, self._label
        plan = regression.plan
        return {
            "kind": "glm",
            "family": family_name(regression.schema, plan),
            "label": label.column,
            "outcome": label.classes[1] if isinstance(label, ClassLabel) else "",
            "against": label.classes[0] if isinstance(label, ClassLabel) else "",
            "unit": label.unit if isinstance(label, NumberLabel) else "",
            "logarithmic": self.equations.family.scale.logarithmic,
            "site_effects": plan.site_effects,
            "missing_values": plan.missing_values,
            "ridge": plan.ridge,
            "level": LEVEL,
            "status": self.status,
            "separating": list(self.separating),
            "exchanges": int(figures.exchanges),
            "records": int(figures.records),
            "left_out": int(figures.left_out),
            "sites": int(figures.sites),
            "outcomes": self._outcomes,
            "parameters": self.parameters,
            **self._fit,
            "intercept": self._intercept,
            "coefficients": [self._told_of(place) for place in self._slopes],
            "heterogeneity": self._heterogeneity if self.is_told else None,
        }

    @property
    def status(self) -> str:
        """Return `fitted`, or why there are no numbers.

        It is `empty` without records, `one-outcome` if all labels are alike, or
        those of each site with its own intercept, `separated` if
        inputs other than single values separate the outcomes, `not-converged`, or `no-freedom` if
        there are as many coefficients as records.
        """
        figures = self.state.figures
        if not figures.records:
            return "empty"
        everybody = np.array([figures.records]), np.array([figures.labels])
        alike = self.equations.family.say_one_thing(*everybody).any()
        if alike or not figures.sites:
            return "one-outcome"
        if self._freedom <= 0:
            return "no-freedom"
        if self._running_away:
            return "separated"
        return "fitted" if figures.converged else "not-converged"

    @property
    def is_told(self) -> bool:
        """Whether there are numbers."""
        return self.status == "fitted"

    @cached_property
    def separating(self) -> tuple[str, ...]:
        """The inputs, and the reference values, that separate the outcomes."""
        found = tuple(self._names(self.state.ills == SEPARATED))
        if self.status != "separated":
            return found
        return (*found, *(tuple(self._separating_references) or self._running_away))

    @property
    def parameters(self) -> int:
        """Coefficients that are estimated, the intercept or intercepts included."""
        own = int(self.state.figures.sites) if self.equations.regression.by_site else 0
        return int(np.count_nonzero(self.state.kept)) + own

    @property
    def _running_away(self) -> tuple[str, ...]:
        """Return the inputs that move without end, or have moved to where no weight is left."""
        if self.state.figures.converged and (self._solved.kept == self.state.kept).all():
            return ()
        step = self.state.trial - self.state.accepted
        outwards = (step * self.state.accepted > 0) & (np.abs(step) > _STILL_MOVING)
        outwards &= self.state.figures.exchanges >= _ENOUGH_EXCHANGES
        without_weight = self.state.kept & ~self._solved.kept
        return tuple(self._names(np.asarray((outwards & self.state.kept) | without_weight)))

    @property
    def _separating_references(self) -> Iterator[str]:
        """Yield the first values of categories whose records all have the same outcome."""
        places: dict[str, list[int]] = {made.column: [] for made in self._inputs}
        for place, made in enumerate(self._inputs):
            if made.value:
                places[made.column].append(place)
        state, figures = self.state, self.state.figures
        for item in self.equations.regression.schema.features:
            if not isinstance(item, Category):
                continue
            others = places[item.name]
            records = np.array([figures.records - state.columns[others].sum()])
            labels = np.array([figures.labels - state.column_labels[others].sum()])
            if records[0] > 0 and self.equations.family.say_one_thing(records, labels).any():
                yield f"{item.name}={item.values[0]}"

    def _names(self, chosen: NDArray[np.bool_]) -> Iterator[str]:
        return (made.name for made, one in zip(self._inputs, chosen, strict=True) if one)

    @property
    def _inputs(self) -> tuple[Input, ...]:
        return self.equations.regression.design.inputs

    @property
    def _slopes(self) -> range:
        return range(int(self.equations.regression.design.intercept), len(self._inputs))

    @property
    def _label(self) -> Label:
        return self.equations.regression.schema.label

    @property
    def _outcomes(self) -> int | None:
        labels = self.state.figures.labels
        return round(labels) if isinstance(self._label, ClassLabel) else None

    @property
    def _freedom(self) -> int:
        return int(self.state.figures.records) - self.parameters

    @cached_property
    def _solved(self) -> Solved:
        state = self.state
        curvature = curvature_of(state.information, self._penalties, state.kept)
        return solve(curvature, np.zeros(len(curvature)))

    @property
    def _penalties(self) -> Vector:
        return self.equations.penalties(self.state.figures.records)

    @property
    def _dispersion(self) -> float:
        return self.state.figures.deviance / self._freedom if self._is_normal else 1.0

    @property
    def _is_normal(self) -> bool:
        return self.equations.family.estimates_dispersion

    @cached_property
    def _covariance(self) -> Matrix:
        """Return the covariance of the coefficients, on the scale of the label."""
        inverse, factor = self._solved.inverse, self.equations.family.scale.factor
        # With a ridge, the variance of the penalised estimate.
        spread = (
            inverse if not self._penalties.any() else inverse @ self.state.information @ inverse
        )
        return np.asarray(spread * (self._dispersion * factor**2), np.float64)

    @property
    def _fit(self) -> dict[str, Any]:
        """Return deviances and what follows from them, in the squared unit of the label."""
        figures, scale = self.state.figures, self.equations.family.scale.factor**2
        if not self.is_told:
            return dict.fromkeys(("deviance", "null_deviance", "freedom", "r_squared", "residual"))
        null = self._null_deviance
        return {
            "deviance": figures.deviance * scale,
            "null_deviance": null * scale,
            "freedom": self._freedom,
            "r_squared": 1 - figures.deviance / null if self._is_normal and null > 0 else None,
            "residual": math.sqrt(self._dispersion * scale) if self._is_normal else None,
        }

    @property
    def _null_deviance(self) -> float:
        """Return the deviance with intercepts alone.

        Sites with their own intercepts counted it; with one for all, it was counted at the pooled
        mean of all records, from which it is moved to that of the counted ones.
        """
        figures = self.state.figures
        if self.equations.regression.by_site:
            return figures.null_deviance
        return self.equations.family.null_deviance(
            figures.null_deviance, records=figures.records, labels=figures.labels
        )

    @property
    def _intercept(self) -> dict[str, Any] | None:
        """Return the intercept at the means of the numbers, and with all numbers 0."""
        design, scales = self.equations.regression.design, self.equations.scales
        if not (design.intercept and self.is_told):
            return None
        scale, at = self.equations.family.scale, self.state.trial * self._factor
        to_zero = -scales.per_unit * scales.center
        to_zero[0] = 1.0
        to_mean = np.where(np.arange(len(at)) == 0, 1.0, 0.0)
        return {
            name: self._interval(scale.offset + float((at * weights).sum()), weights)
            for name, weights in (("at_means", to_mean), ("own", to_zero))
        }

    @property
    def _factor(self) -> float:
        return self.equations.family.scale.factor

    def _told_of(self, place: int) -> dict[str, Any]:
        """Return what is said of one input."""
        made, state = self._inputs[place], self.state
        told = {
            "name": made.name,
            "column": made.column,
            "value": made.value,
            "reference": made.reference,
            "unit": made.unit,
            "logarithmic": made.logarithmic,
            "state": _ILLS[int(state.ills[place])],
        }
        if not (self.is_told and state.kept[place]):
            return {**told, "own": None, "deviation": None, "inflation": None}
        scales = self.equations.scales
        one = np.arange(len(self._inputs)) == place
        value = float(state.trial[place]) * self._factor
        per = (("own", scales.per_unit), ("deviation", scales.per_deviation))
        return {
            **told,
            **{
                name: self._interval(value * float(size[place]), one * size[place])
                for name, size in per
            },
            "inflation": float(state.inflation[place]),
        }

    def _interval(self, value: float, weights: Vector) -> dict[str, Any]:
        """Return a combination of coefficients with its error, interval, ratio and test."""
        error = math.sqrt(max(float(weights @ self._covariance @ weights), 0.0))
        told: dict[str, Any] = {"coefficient": value, "error": error, **self._ratios(value, None)}
        if self.equations.regression.plan.ridge:
            # A penalised estimate is drawn to 0: an interval around it would not cover.
            return {**told, "low": None, "high": None, "statistic": None, "p": None}
        half, freedom = error * self._quantile, self._freedom
        statistic = value / error if error else None
        p = None
        if statistic is not None:
            tail = (
                special.stdtr(freedom, -abs(statistic))
                if self._is_normal
                else special.ndtr(-abs(statistic))
            )
            p = float(2 * tail)
        return {
            **told,
            "low": value - half,
            "high": value + half,
            **self._ratios(value, half),
            "statistic": statistic,
            "p": p,
        }

    def _ratios(self, value: float, half: float | None) -> dict[str, Any]:
        """Return the exponential of a coefficient and of its interval, where it is a ratio."""
        if self._is_normal and not self.equations.family.scale.logarithmic:
            return {}
        ends = {"ratio": value}
        if half is not None:
            ends |= {"ratio_low": value - half, "ratio_high": value + half}
        return {name: math.exp(min(max(end, -700.0), 700.0)) for name, end in ends.items()}

    @property
    def _quantile(self) -> float:
        share = (1 + LEVEL) / 2
        if self._is_normal:
            return float(special.stdtrit(self._freedom, share))
        return float(special.ndtri(share))

    @property
    def _heterogeneity(self) -> dict[str, Any] | None:
        """Return the test of equal coefficients at all sites; None if there is none."""
        figures, estimated = self.state.figures, int(np.count_nonzero(self.state.kept))
        freedom = int(figures.ranks) - estimated
        if self.equations.regression.plan.ridge or freedom <= 0:
            return None
        if not self._is_normal:
            statistic = figures.heterogeneity
            p = float(special.chdtrc(freedom, statistic))
            return {"test": "score", "statistic": statistic, "freedom": freedom, "p": p}
        # The sites' own fits leave so much less: the test of Chow (1960, Econometrica 28:591).
        below = self._freedom - freedom
        left = figures.deviance - figures.heterogeneity
        if below <= 0 or left <= 0:
            return None
        statistic = (figures.heterogeneity / freedom) / (left / below)
        return {
            "test": "F",
            "statistic": statistic,
            "freedom": freedom,
            "freedom_below": below,
            "p": float(special.fdtrc(freedom, below, statistic)),
        }
