"""Which learner learns a use case: the same at both ends, found without a library of learning.

A module of its own so that a new learner is its module and one line here.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sites.learner import Learner
from sites.learners.gradient import Gradient
from sites.schema.texts import AnySchema

_OF_TASK: Mapping[str, Callable[[AnySchema], Learner]] = MappingProxyType({})


def learner_for(task: str, schema: AnySchema) -> Learner:
    """Return the learner of a use case; training by gradients where no other is named.

    Args:
        task: The use case of the charter.
        schema: What every column means.
    """
    made = _OF_TASK.get(task)
    return Gradient() if made is None else made(schema)
