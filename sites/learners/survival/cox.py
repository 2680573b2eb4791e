"""The learner of survival: a Cox model, and curves from life tables, all from sums of sites."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from privacy.contribution import ExactTally
from privacy.layout import Tally, Vector
from sites.learners.curve_groups import CurveGroups
from sites.learners.plans import NEWTON_EXCHANGES, LearnerPlans
from sites.learners.survival.design import Design
from sites.learners.survival.form import Form
from sites.learners.survival.results import results_of
from sites.learners.survival.step import NewtonStep
from sites.learners.survival.task import CoxTask
from sites.plans import BadPlan
from sites.schema.tables import EventTimeLabel, Schema
from sites.schema.texts import AnySchema
from sites.task import Task


@dataclass(frozen=True)
class Cox:
    """Each site sends derivatives of its partial likelihood; Newton steps on their sums.

    The model is that of Cox (1972) with a baseline hazard for each site (stratified by site), equal
    to the same model of pooled records; or with one on declared steps of time.

    Args:
        schema: Of the records.
        plans: What the run asks.

    Raises:
        BadPlan: The label is no time until an event, or the group no category of the schema.
    """

    schema: AnySchema
    plans: LearnerPlans

    def __post_init__(self) -> None:
        if not isinstance(self.schema, Schema) or not isinstance(self.schema.label, EventTimeLabel):
            raise BadPlan(
                "learner cox needs a time until an event as its label, of kind event-time; "
                f"{self.schema.label.column} is none"
            )
        CurveGroups.named(self.schema, self.plans.cox.group)

    @property
    def name(self) -> str:
        """What people call it."""
        return "cox"

    @property
    def contribution(self) -> ExactTally:
        """Sums of derivatives, and in the first exchange life tables."""
        return self._form.contribution

    @property
    def move(self) -> NewtonStep:
        """A Newton step."""
        return NewtonStep(self._form)

    @property
    def predicts(self) -> bool:
        """True: it ranks persons by their risk."""
        return True

    @property
    def exchanges_per_step(self) -> int:
        """Those in which a fit ends: what is before it is no estimate."""
        return NEWTON_EXCHANGES

    @property
    def noisy_instead(self) -> str:
        """What has noise: derivatives are sums of single persons' values."""
        return "learner=describe, which counts a survival curve with noise"

    def results(self, vector: Vector, statistics: Tally) -> Mapping[str, Any]:
        """Return coefficients with their errors, curves, tests and the baseline hazard."""
        return results_of(self._form, vector, statistics)

    def at_site(self, task: Task[Any]) -> CoxTask:
        """Return the use case as a Cox model's."""
        return CoxTask(task, self._form)

    @cached_property
    def _form(self) -> Form:
        assert isinstance(self.schema, Schema)  # noqa: S101 -- as __post_init__ requires
        assert isinstance(self.schema.label, EventTimeLabel)  # noqa: S101
        return Form(
            label=self.schema.label,
            design=Design(self.schema, indicators=self.plans.glm.missing_values == "indicator"),
            plan=self.plans.cox,
            groups=CurveGroups.named(self.schema, self.plans.cox.group),
        )
