"""Learning by gradients: sites train, and send what changed.

A module of its own, as every learner has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from privacy.contribution import UpdateVector
from privacy.layout import Tally, Vector
from sites.task import Task


@dataclass(frozen=True)
class Gradient:
    """Each site trains the model for some passes over its records; updates become one by a rule."""

    @property
    def name(self) -> str:
        """What people call it."""
        return "gradient"

    @property
    def contribution(self) -> UpdateVector:
        """The difference between the trained and the received parameters."""
        return UpdateVector()

    @property
    def move(self) -> None:
        """None: the rule and the server optimizer of the run move the model."""
        return None

    @property
    def predicts(self) -> bool:
        """True: what is trained is a model."""
        return True

    @property
    def noisy_instead(self) -> str:
        """Nothing: private training adds noise to updates."""
        return ""

    def results(self, vector: Vector, statistics: Tally) -> Mapping[str, Any]:
        """Return nothing: the state is a model."""
        return {}

    def at_site(self, task: Task[Any]) -> Task[Any]:
        """Return the task as it is: tasks train by gradients."""
        return task
