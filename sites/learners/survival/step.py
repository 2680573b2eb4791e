"""A Newton step on the sums of all sites, with the same bits on every machine."""

from dataclasses import dataclass

import numpy as np

from privacy.layout import Matrix, Tally, Vector
from sites.learners.normal_equations import matrix_of, solve, triangle_of
from sites.learners.survival.form import Form, merged_ends
from sites.statistics.tally import ImpossibleTally

_LONGEST_STEP = 3.0  # of a coefficient per standard deviation
_OVERSHOT = 0.9  # of the slope at the start of a step, downwards at its end
_FIRST_ONLY = ("group_events", "group_withdrawn", "own_weight", "own_first", "own_second")
_NEVER_NEGATIVE = (
    *("records", "events", "pairs", "group_events", "group_withdrawn", "exposure"),
    *("own_weight", "own_second", "own_fits"),
)


@dataclass(frozen=True)
class NewtonStep:
    """Moves a state by the sums of an exchange (`sites.learner.Move`).

    A log-likelihood is concave along a step. Where it falls steeply at the end of the last step,
    that step was too long, and half of it is tried.

    Args:
        form: Of the model.
    """

    form: Form

    def __call__(self, vector: Vector, statistics: Tally, pooled: Tally) -> Vector:
        """Return the next state.

        Guarantee: pure, and the same bits on every machine.

        Raises:
            ImpossibleTally: No records have these sums.
        """
        state, form = self.form.read(vector), self.form
        sums = self._sums(statistics, pooled, state)
        if any(sums[name].min(initial=0.0) < 0 for name in _NEVER_NEGATIVE):
            raise ImpossibleTally(
                "a count or a weight is below 0: a site sent what no records have"
            )
        first = state["exchanges"][0] == 0
        after = dict(state) | {"exchanges": state["exchanges"] + 1}
        if first:
            after |= {name: sums[name] for name in (*_FIRST_ONLY, "own_fits")}
            after |= {"null_log_likelihood": sums["log_likelihood"]}
        if self._overshot(state, sums):
            return form.write(after | {"next": state["at"] + (state["next"] - state["at"]) / 2})
        kept = ("score", "information", "log_likelihood", "records", "events", "pairs", "exposure")
        after |= {name: sums[name] for name in kept} | {"at": state["next"]}
        return form.write(after | {"next": state["next"] + self._step(sums, statistics)})

    def _sums(
        self, statistics: Tally, pooled: Tally, state: dict[str, Vector]
    ) -> dict[str, Vector]:
        """Return the sums of an exchange as numbers, by name."""
        wide, exchange = self.form.wide(statistics), self.form.exchange
        whole = ("records", "events", "pairs", "group_events", "group_withdrawn", "own_fits")
        found: dict[str, Vector] = {
            name: exchange.part(name, pooled).astype(np.float64)
            if name in whole
            else wide.read(exchange.part(name, pooled))
            for name in exchange.sizes
        }
        if self.form.pools_baseline and state["exchanges"][0] > 0:
            found |= self._of_one_baseline(found, state["events"])
        return found

    def _of_one_baseline(self, sums: dict[str, Vector], events: Vector) -> dict[str, Vector]:
        """Return score and information where all sites have one baseline hazard in each step.

        Without the hazards, which their best values replace, the log-likelihood of a piecewise
        exponential model is the sum over events of the predictor, less the logarithm of the
        weighted time under observation in the step.
        """
        p, steps = len(self.form.design), self.form.n_steps
        first, second = sums["first"].reshape(steps, p), sums["second"].reshape(steps, -1)
        score, information = sums["score"], np.zeros(self.form.n_triangle)
        start = 0
        for end in merged_ends(events, self.form.plan.floor):
            died, watched = 0.0, sums["exposure"][end]
            for one in events[start : end + 1].tolist():
                died += one
            start = end + 1
            if watched > 0:
                mean = first[end] / watched
                products = triangle_of(mean[:, None] * mean)
                score = score - died * mean
                information = information + died * (second[end] / watched - products)
        return {"score": score, "information": information}

    def _overshot(self, state: dict[str, Vector], sums: dict[str, Vector]) -> bool:
        # With one baseline the second exchange is the first whose sums are of it.
        if state["exchanges"][0] < (2 if self.form.pools_baseline else 1):
            return False
        step = state["next"] - state["at"]
        before, now = (_product(one["score"], step) for one in (state, sums))
        return before > 0 and now < -_OVERSHOT * before

    def _step(self, sums: dict[str, Vector], statistics: Tally) -> Vector:
        information: Matrix = matrix_of(sums["information"], len(self.form.design))
        step = solve(information, sums["score"]).solution
        deviations = self.form.design.deviations(self.form.constants(statistics))
        longest = float(np.max(np.abs(step) * deviations))
        return step * (_LONGEST_STEP / longest) if longest > _LONGEST_STEP else step


def _product(one: Vector, other: Vector) -> float:
    total = 0.0
    # Added one by one: NumPy may group terms by the CPU, which changes the last bits.
    for each in (one * other).tolist():
        total += each
    return total
