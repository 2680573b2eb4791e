"""Regression as a learner: exact sums at the sites, Newton steps, coefficients with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from privacy.contribution import LARGEST_ENTRY, ExactTally
from privacy.layout import Layout, Tally, Vector
from sites.learners.counted_tables import Columns, CountedTable, TableSides
from sites.learners.plans import NEWTON_EXCHANGES, LearnerPlans
from sites.learners.regression.equations import Regression, regression_of
from sites.learners.regression.families import linear_predictors
from sites.learners.regression.newton import advance
from sites.learners.regression.site_sums import count_records
from sites.learners.regression.state import State, read_state, state_layout
from sites.plans import Predictions
from sites.schema.texts import AnySchema
from sites.task import Task


@dataclass(frozen=True)
class GeneralisedLinear:
    """A regression with inference: each round is a Newton step on sums over all sites' records.

    Args:
        regression: Which.
    """

    regression: Regression

    @property
    def name(self) -> str:
        """What people call it."""
        return "glm"

    @property
    def contribution(self) -> ExactTally:
        """Deviance, score, information and counts, as exact integers of either sign."""
        largest = LARGEST_ENTRY - 1
        return ExactTally(size=self.regression.tally.size, bounds=(-largest, largest))

    @property
    def predicts(self) -> bool:
        """True: a regression predicts."""
        return True

    @property
    def exchanges_per_step(self) -> int:
        """Those in which a fit ends: what is before it is no estimate."""
        return NEWTON_EXCHANGES

    @property
    def noisy_instead(self) -> str:
        """What has noise: its own are sums of products of single persons' values."""
        return (
            "learner=gradient, which trains with noise, or learner=describe, trees or scorecard, "
            "which count with it"
        )

    def move(self, vector: Vector, statistics: Tally, pooled: Tally) -> Vector:
        """Return the state after one more Newton step, or half the last one if it went too far."""
        return advance(self.regression.at(statistics), vector, pooled)

    def results(self, vector: Vector, statistics: Tally) -> Mapping[str, Any]:
        """Return coefficients, standard errors, intervals and tests."""
        # Quantiles need scipy, which no answer of a site does.
        from sites.learners.regression.results import results_of

        equations = self.regression.at(statistics)
        return results_of(equations, read_state(vector, self.regression.design.size))

    def at_site(self, task: Task[Any]) -> "RegressionTask":
        """Return the use case, counted."""
        return RegressionTask(task, self.regression)


def generalised_linear(schema: AnySchema, plans: LearnerPlans) -> GeneralisedLinear:
    """Return the regression that a run asks for.

    Raises:
        BadPlan: It cannot be fitted to such records.
    """
    return GeneralisedLinear(regression_of(schema, plans.glm))


@dataclass(frozen=True)
class RegressionTask(CountedTable):
    """A regression at a site.

    Args:
        base: The task whose records these are.
        regression: Which.
    """

    regression: Regression

    @cached_property
    def layout(self) -> Layout:
        """Layout of the state."""
        return state_layout(self.regression.design.size)

    def count(self, data: TableSides, pooled: Tally, vector: Vector) -> Tally:
        """Return the sums over the training records at the coefficients of the state.

        A state that has converged moves no more, so that nothing further is counted: zeros.
        """
        state = self._state(vector)
        if state.figures.converged:
            return np.zeros(self.regression.tally.size, np.int64)
        return count_records(self.regression.at(pooled), data.training, state.trial)

    def predict_columns(self, columns: Columns, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for records by column.

        A missing number counts as the pooled mean, a missing category as its first value, unless
        missing values have inputs. Where each site has its own intercept, their mean is taken.
        """
        equations, state = self.regression.at(pooled), self._state(vector)
        rows = self.regression.design.rows(columns, equations.constants)
        sums = linear_predictors(rows, state.trial)
        return equations.family.means(sums + state.figures.intercept)

    def _state(self, vector: Vector) -> State:
        return read_state(vector, self.regression.design.size)
