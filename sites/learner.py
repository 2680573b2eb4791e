"""The contract of a learner: what sites send, how the opened sum moves the state, what is judged.

Nothing here loads a library of learning: the coordinator holds learners too, and a site whose
learner counts never needs one.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from privacy.contribution import Contribution
from privacy.layout import Tally, Vector
from sites.task import Task


class Move(Protocol):
    """How the opened sum of a round moves the state."""

    def __call__(self, vector: Vector, statistics: Tally, pooled: Tally) -> Vector:
        """Return the next state, shape (dim,); it is rounded to float32, as every state is.

        Guarantee: pure, and the same bits on every machine: elementwise float64 and sums of
        integers, nothing from BLAS.

        Args:
            vector: The state that the sites received, shape (dim,); zero before the first round.
            statistics: The pooled statistics, shape (statistics.layout.size,).
            pooled: The tallies of the sites added up, shape (contribution.tally_size,).

        Raises:
            ConsortiumError: No records have this sum.
        """


class Learner(Protocol):
    """One way to learn from the records of a use case.

    Guarantee: it holds nothing but the schema it was made for, so that both ends hold the same.

    To add a learner that counts: write its class in a module of `sites.learners`, with the
    `Task` that a site carries out, in numpy; name it in `sites.learners.registry`, and in
    `privacy.policy.document`, so that a site can agree to it. A step that changes nothing ends the
    learning: a run has the rounds that were agreed.
    """

    @property
    def name(self) -> str:
        """What people call it, in kebab case."""

    @property
    def contribution(self) -> Contribution:
        """What a site sends in a round."""

    @property
    def move(self) -> Move | None:
        """How a sum of exact tallies moves the state; None if updates are sent.

        Updates are moved by the rule and the server optimizer of the run.
        """

    @property
    def predicts(self) -> bool:
        """Whether its state is a model, so that there is something to judge."""

    @property
    def noisy_instead(self) -> str:
        """What to choose where privacy is demanded, if no noise can be added to its own sums.

        Empty if noise can be added. Otherwise, as its sums are of single persons' values, such a
        learner is refused where a site's policy demands privacy.
        """

    def results(self, vector: Vector, statistics: Tally) -> Mapping[str, Any]:
        """Return what a state says, as plain JSON values; empty if it is a model and nothing else.

        Guarantee: it follows from state and statistics alone. `kind` names the form, by which the
        report finds its pages.

        Args:
            vector: The state, shape (dim,).
            statistics: The pooled statistics, shape (statistics.layout.size,).

        Raises:
            ConsortiumError: No run has this state.
        """

    def at_site(self, task: Task[Any]) -> Task[Any]:
        """Return the use case as this learner carries it out, at a site.

        Its `layout` is that of the learner's state, its `train` gives the contribution, its
        `evaluate` judges the state: zeros where nothing is left to judge. What the records are,
        how they are read and what is counted before the first round stays the task's.
        """


@runtime_checkable
class WritesFiles(Protocol):
    """A learner whose state other programs can use: it writes the files that they load."""

    def files(self, vector: Vector, statistics: Tally) -> Mapping[str, bytes]:
        """Return what each file holds, by its name in the folder of the model.

        Guarantee: it follows from state and statistics alone.

        Args:
            vector: The state, shape (dim,).
            statistics: The pooled statistics, shape (statistics.layout.size,).

        Raises:
            ConsortiumError: No run has this state.
        """


@runtime_checkable
class MovesInSteps(Protocol):
    """A learner whose model changes only after several exchanges: what is between is no model."""

    @property
    def exchanges_per_step(self) -> int:
        """Exchanges from one model to the next, at least 1; the first model is at the start."""


@runtime_checkable
class BoundsEachRecord(Protocol):
    """A learner whose tallies can have noise: what one record moves in them is bounded.

    Its task counts with noise where the training plan has privacy: `BoundedTable`.
    """

    @property
    def noise_scales(self) -> Vector:
        """The scale of each entry, shape (contribution.tally_size,); 0 where no record moves it.

        Guarantee: one record moves the tally, each entry divided by its scale, by at most 1 in L2,
        so that k records of one person move it by at most k.
        """
