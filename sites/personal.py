"""How each site makes the shared model its own, after a run and for itself alone."""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from privacy.declarations import Since, require_declared
from sites.plans import BadPlan, MovedPart, TrainingPlan

Personalisation: TypeAlias = Literal["none", "fine-tune", "ditto", "own-head", "own-norms"]

_MOVED: MappingProxyType[Personalisation, MovedPart] = MappingProxyType(
    {"own-head": "head", "own-norms": "norms"}
)


@dataclass(frozen=True, kw_only=True)
class PersonalPlan:
    """How a site trains the released model further on its own training records.

    Guarantee: it begins when the last round is over, so that nothing that it computes is in what
    leaves the site.

    `ditto` minimises the site's loss plus 0.5 * pull * ||v - w||^2, where w is the shared model:
    the objective of Ditto (Li et al. 2021, arXiv:2012.04221, equation 1), solved after the run and
    not beside it. `own-head` keeps the shared representation and trains a head for it, as the last
    step of FedRep does (Collins et al. 2021, arXiv:2102.07078). `own-norms` trains the
    normalisation layers alone, which are what FedBN keeps local (Li et al. 2021, arXiv:2102.07623).

    Raises:
        BadPlan: A value is out of range.
    """

    method: Annotated[
        Personalisation,
        Field(
            alias="personalise",
            description="What each site does with the shared model after the run, for itself "
            "alone: train all of it further (`fine-tune`), the same but held near the shared model "
            "(`ditto`), or train only the head (`own-head`) or the normalisation layers of an "
            "encoder (`own-norms`). Nothing of it leaves the site.",
        ),
        Since("0.2.0"),
    ] = "none"
    epochs: Annotated[
        int,
        Field(
            alias="personal-epochs",
            ge=1,
            le=1_000,
            description="For `personalise`: passes over the site's training records.",
        ),
        Since("0.2.0"),
    ] = 5
    pull: Annotated[
        float,
        Field(
            alias="personal-pull",
            gt=0,
            le=1e6,
            description="For `ditto`: weight of the distance to the shared model.",
        ),
        Since("0.2.0"),
    ] = 0.1

    def __post_init__(self) -> None:
        require_declared(self, BadPlan)

    @property
    def trains(self) -> bool:
        """Whether a site makes a model of its own at all."""
        return self.method != "none"

    def plan(self, training: TrainingPlan) -> TrainingPlan:
        """Return how a site trains, by how the run trains.

        Without noise, where the run has some: what is trained stays with those whose records
        these are.
        """
        return replace(
            training,
            local_epochs=self.epochs,
            min_local_steps=0,
            proximal_mu=self.pull if self.method == "ditto" else 0.0,
            privacy=None,
            moved=_MOVED.get(self.method, "all"),
        )
