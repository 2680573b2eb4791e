"""Which learner learns a use case: the same at both ends, found without a library of learning.

A module of its own so that a new learner is its module and one line here.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

from sites.learner import Learner
from sites.learners.cards.learner import ScoreCard
from sites.learners.descriptions.learner import Description
from sites.learners.distillation.learner import Distillation
from sites.learners.gradient import Gradient
from sites.learners.plans import AUTOMATIC, LearnerPlans
from sites.learners.regression.learner import generalised_linear
from sites.learners.survival.cox import Cox
from sites.learners.trees.learner import boosted_trees
from sites.plans import BadPlan
from sites.schema.tables import EventTimeLabel
from sites.schema.texts import AnySchema

Made = Callable[[AnySchema, LearnerPlans], Learner]
_KEPT = 16  # runs of one process at a time: learners keep what they derive of pooled statistics


def _gradient(schema: AnySchema, plans: LearnerPlans) -> Learner:
    if isinstance(schema.label, EventTimeLabel):
        raise BadPlan(
            f"learner must be auto or cox, got gradient: {schema.label.time} is a time until an "
            "event, for which no model is trained"
        )
    return Gradient()


# By name; a learner refuses a schema that it cannot learn from.
_LEARNERS: Mapping[str, Made] = MappingProxyType(
    {
        "gradient": _gradient,
        "describe": lambda schema, plans: Description(
            schema, plans.noise, plans.shown_members, plans.cox.group
        ),
        "glm": generalised_linear,
        "trees": boosted_trees,
        "scorecard": lambda schema, plans: ScoreCard.of(schema, plans.card, plans.noise),
        "cox": Cox,
        "distil": lambda schema, plans: Distillation.of(schema, plans.distil),
    }
)
_OF_TASK: Mapping[str, Made] = MappingProxyType(
    {task: _LEARNERS[name] for task, name in AUTOMATIC.items()}
)


def learner_for(task: str, schema: AnySchema, plans: LearnerPlans) -> Learner:
    """Return the learner of a run; training by gradients where no other is named.

    Every message of a run asks for it, so the same one is returned again.

    Args:
        task: The use case of the charter.
        schema: What every column means.
        plans: Which learner the run names, and what it asks of it.

    Raises:
        BadPlan: It cannot learn from this schema.
    """
    name = plans.chosen.name
    if name != "auto":
        return _learner_made(_LEARNERS[name], schema, plans)
    return _learner_made(_OF_TASK.get(task, _LEARNERS["gradient"]), schema, plans)


@lru_cache(maxsize=_KEPT)
def _learner_made(maker: Made, schema: AnySchema, plans: LearnerPlans) -> Learner:
    return maker(schema, plans)
