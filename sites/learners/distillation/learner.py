"""Learning from what the sites' models say of agreed texts: encoders may differ by site.

Each site trains its own model on its own records and answers the agreed texts with it. Only sums
of answers leave; everybody's encoder learns from their average. This is ensemble distillation
(FedDF, Lin et al. 2020, arXiv:2006.07242) with probabilities averaged in place of logits, and at
the sites in place of the server, which learns nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from privacy.contribution import ExactTally
from privacy.layout import Field, Layout, Tally, Vector
from sites.learners.distillation.answers import LEVELS, average
from sites.learners.distillation.plan import DistilPlan
from sites.schema.tables import ClassLabel
from sites.schema.texts import AnySchema, NotesSchema
from sites.task import Task, UnfitSchema


class AnswersTexts(Protocol):
    """A use case whose models can be asked about agreed texts."""

    def answering(self, layout: Layout, plan: DistilPlan) -> Task[Any]:
        """Return the same use case, carried out by asking a site's model about agreed texts.

        Args:
            layout: Of the state, an average of answers.
            plan: Which texts, and how an encoder learns from the answers.
        """


@dataclass(frozen=True)
class Distillation:
    """Averages the answers of the sites' models to agreed texts.

    Its state is the average: for each text the probability of each class; zero before the first
    exchange. A model is an encoder, any, that has learned from it.

    Args:
        label: What is predicted, one class a text.
        plan: Which texts, and how an encoder learns from the answers.

    Raises:
        BadPlan: The run does not say which texts are agreed.
    """

    label: ClassLabel
    plan: DistilPlan

    @classmethod
    def of(cls, schema: AnySchema, plan: DistilPlan) -> "Distillation":
        """Return the learner for a schema of any kind, if it fits.

        Raises:
            UnfitSchema: It is not of whole texts with one class each.
            BadPlan: As the class says.
        """
        if not isinstance(schema, NotesSchema) or not isinstance(schema.label, ClassLabel):
            raise UnfitSchema(
                f"learner=distil needs whole texts with one class each, which {schema.name} does "
                "not declare"
            )
        return cls(schema.label, plan)

    def __post_init__(self) -> None:
        self.plan.require_texts()

    @property
    def name(self) -> str:
        """What people call it."""
        return "distil"

    @property
    def contribution(self) -> ExactTally:
        """For each text the probability of each class, in levels."""
        return ExactTally(size=self.layout.dim, bounds=(0, LEVELS))

    @property
    def layout(self) -> Layout:
        """Layout of the state; which encoder a site has is no part of it."""
        shape = (self.plan.texts, len(self.label.classes))
        return Layout(fields=(Field("answers", shape),), start=f"distil/1 {self.plan.digest}")

    @property
    def predicts(self) -> bool:
        """True: an encoder that learned from the state is a model."""
        return True

    @property
    def noisy_instead(self) -> str:
        """Answers are those of a model without noise, which keeps what it read of a person."""
        return "learner=gradient"

    def move(self, vector: Vector, statistics: Tally, pooled: Tally) -> Vector:
        """Return the average of the answers.

        Raises:
            ImpossibleTally: The answers are of no whole number of sites.
        """
        return average(pooled, n_classes=len(self.label.classes))

    def results(self, vector: Vector, statistics: Tally) -> Mapping[str, Any]:
        """Return nothing: the state is a model, once an encoder has learned from it."""
        return {}

    def at_site(self, task: Task[Any]) -> Task[Any]:
        """Return the use case, carried out by asking about the agreed texts."""
        return cast(AnswersTexts, task).answering(self.layout, self.plan)
