"""The equations of one regression: what its sites count, by pooled statistics, and how it is read.

A module of its own because a site that counts and the step that follows must agree on all of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from privacy.layout import Tally, Vector
from sites.learners.plans import GlmPlan
from sites.learners.regression.design import Design, Scales
from sites.learners.regression.families import Family, Logistic, Normal, Poisson
from sites.learners.regression.record_sums import RecordSums
from sites.plans import BadPlan
from sites.schema.tables import ClassLabel, EventTimeLabel, NumberLabel, Schema
from sites.schema.texts import AnySchema
from sites.statistics.normalisation import Constants
from sites.statistics.tables import TableStatistics
from sites.statistics.tally import TallyLayout

MOST_INPUTS = 400
_SMALLEST_MEAN = 2.0**-33


@dataclass(frozen=True)
class Regression:
    """Which regression is fitted to the records of a table.

    Args:
        schema: The meaning of every column.
        plan: What the run asks for.

    Raises:
        BadPlan: The regression cannot be fitted to such records.
    """

    schema: Schema
    plan: GlmPlan

    def __post_init__(self) -> None:
        _family_maker(self.schema, self.plan)
        if self.design.size > MOST_INPUTS:
            raise BadPlan(
                f"{self.schema.name} has {self.design.size} coefficients, which need as many exact "
                f"sums as their square: at most {MOST_INPUTS}. Leave out columns, or values of a "
                "category, in a revision of the charter"
            )

    @property
    def by_site(self) -> bool:
        """Whether each site has an intercept of its own, which it eliminates."""
        return self.plan.site_effects == "fixed"

    @cached_property
    def design(self) -> Design:
        """The inputs; without an intercept where each site has its own."""
        return Design(
            schema=self.schema, missing=self.plan.missing_values, intercept=not self.by_site
        )

    @cached_property
    def tally(self) -> TallyLayout:
        """What a site sends: counts, and sums of two entries each."""
        k = self.design.size
        return TallyLayout(
            {
                "records": 1,
                "left_out": 1,
                "sites": 1,
                "labels": 2,
                "deviance": 2,
                "score": 2 * k,
                "information": k * (k + 1),
                "columns": 2 * k,
                "column_labels": 2 * k,
                "intercepts": 2,
                "heterogeneity": 2,
                "rank": 1,
            }
        )

    def at(self, statistics: Tally) -> "Equations":
        """Return the equations by pooled statistics, derived once a run."""
        key = statistics.tobytes()
        found = self._made.get(key)
        if found is None:
            found = self._equations(statistics)
            self._made.clear()
            self._made[key] = found
        return found

    def _equations(self, statistics: Tally) -> "Equations":
        pooled = TableStatistics(self.schema)
        constants = pooled.constants(statistics)
        return Equations(
            regression=self,
            constants=constants,
            family=_family_maker(self.schema, self.plan)(constants),
            sums=RecordSums(pooled.layout.count("records", statistics)),
            scales=self.design.scales(constants),
        )

    @cached_property
    def _made(self) -> dict[bytes, "Equations"]:
        return {}


@dataclass(frozen=True, kw_only=True)
class Equations:
    """A regression with the constants that pooled statistics give it.

    Args:
        regression: Which.
        constants: By which numbers are scaled.
        family: The distribution of the label.
        sums: How sums are rounded.
        scales: How inputs are scaled.
    """

    regression: Regression
    constants: Constants
    family: Family
    sums: RecordSums
    scales: Scales

    @property
    def reach(self) -> float:
        """How far an input can be from its mean at a site, or from 0 where none is taken off."""
        return 2.0 if self.regression.by_site else 1.0

    def penalties(self, records: float) -> Vector:
        """Return what the ridge adds to the information's diagonal, shape (k,)."""
        added = self.regression.plan.ridge * records * self.scales.per_deviation**2
        if self.regression.design.intercept:
            added[0] = 0.0
        return np.asarray(added, np.float64)


def regression_of(schema: AnySchema, plan: GlmPlan) -> Regression:
    """Return the regression that a run asks for.

    Raises:
        BadPlan: The records are no table, or it cannot be fitted to them.
    """
    if not isinstance(schema, Schema):
        raise BadPlan(
            f"a regression needs a table, and {schema.name} is texts: set learner to auto"
        )
    return Regression(schema, plan)


_Made = Callable[[Constants], Family]


def _logistic(constants: Constants) -> Family:
    negatives, positives = constants.class_counts
    # Where nothing was counted, or one class only, even odds: any will do, it is a start.
    return Logistic(positives / negatives if negatives > 0 and positives > 0 else 1.0)


def _poisson(label: NumberLabel, constants: Constants) -> Family:
    mean = label.low + constants.label.mean * (label.high - label.low)
    return Poisson(label.high, max(mean, label.high * _SMALLEST_MEAN))


def _normal(label: NumberLabel, constants: Constants) -> Family:
    return Normal(label, constants.label)


def family_name(schema: Schema, plan: GlmPlan) -> str:
    """Return which family a run fits, where it names none by the label."""
    named = "logistic" if isinstance(schema.label, ClassLabel) else "linear"
    return named if plan.family == "auto" else plan.family


def _family_maker(schema: Schema, plan: GlmPlan) -> _Made:
    name, label = family_name(schema, plan), schema.label
    column = label.column
    if isinstance(label, EventTimeLabel):
        raise BadPlan(
            f"regression needs a class or a number, and {label.time} is a time until an event: set "
            "learner to cox"
        )
    if name == "logistic":
        if not isinstance(label, ClassLabel) or not label.binary:
            kind = f"{len(label.classes)} classes" if isinstance(label, ClassLabel) else "a number"
            raise BadPlan(
                f"logistic regression needs a label of two classes, and {column} is {kind}: set "
                "family to linear or poisson for a number, or learner to gradient"
            )
        return _logistic
    if isinstance(label, ClassLabel):
        raise BadPlan(
            f"{name} regression needs a number, and {column} is {len(label.classes)} classes: set "
            "family to logistic for two classes, or learner to gradient"
        )
    if name == "poisson" and (label.low < 0 or label.scale != "linear"):
        raise BadPlan(
            f"poisson regression needs counts from 0 on a linear scale, and {column} is from "
            f"{label.low:g}, scale {label.scale}: set family to linear"
        )
    return partial(_poisson if name == "poisson" else _normal, label)
