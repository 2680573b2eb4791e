"""Which learner a run has, and what it asks of one: each value is declared here, once.

A module of its own because the run config holds these plans, and needs no learner for that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from privacy.declarations import Since, require_declared
from sites.learners.cards.plan import CardPlan
from sites.learners.count_noise import CountNoise
from sites.learners.distillation.plan import DistilPlan
from sites.learners.trees.plan import TreesPlan
from sites.plans import BadPlan

LearnerName: TypeAlias = Literal[
    "auto", "gradient", "describe", "glm", "cox", "scorecard", "trees", "distil"
]


@dataclass(frozen=True, kw_only=True)
class LearnerPlan:
    """Which learner a run has.

    Raises:
        BadPlan: A value is out of range.
    """

    name: Annotated[
        LearnerName,
        Field(
            alias="learner",
            description="What the sites do in a round: train by `gradient` and send updates, or "
            "count, and send exact sums: `describe` (a Table 1), `glm` (regression with "
            "intervals), `cox` (survival), `scorecard` or `trees`; `distil` averages what the "
            "sites' models say of agreed texts. `auto` is `cox` for "
            "survival, and `gradient` for every other use case.",
        ),
        Since("0.2.0"),
    ] = "auto"

    def __post_init__(self) -> None:
        require_declared(self, BadPlan)

    @property
    def lets_encoders_differ(self) -> bool:
        """Whether each site may have an encoder of its own: no parameter leaves."""
        return self.name == "distil"

    @property
    def trains(self) -> bool:
        """Whether what is named may train by gradients; all others count."""
        return may_train(self.name)


@dataclass(frozen=True, kw_only=True)
class DescribePlan:
    """What a Table 1 shows.

    Raises:
        BadPlan: A value is out of range.
    """

    by_site: Annotated[
        bool,
        Field(
            description="For `describe`: whether each site whose policy releases figures of its "
            "own has a column, too. Takes three exchanges."
        ),
        Since("0.2.0"),
    ] = False

    def __post_init__(self) -> None:
        require_declared(self, BadPlan)

    @property
    def exchanges(self) -> int:
        """Rounds that the table takes."""
        return 3 if self.by_site else 1


@dataclass(frozen=True, kw_only=True)
class GlmPlan:
    """Which regression is fitted.

    Raises:
        BadPlan: A value is out of range.
    """

    family: Annotated[
        Literal["auto", "logistic", "linear", "poisson"],
        Field(
            description="For `glm`: the distribution of the label. `auto` is `logistic` for two "
            "classes and `linear` for a number."
        ),
        Since("0.2.0"),
    ] = "auto"
    site_effects: Annotated[
        Literal["common", "fixed"],
        Field(
            description="For `glm`: one intercept for all sites, or one for each site, which the "
            "site itself eliminates."
        ),
        Since("0.2.0"),
    ] = "common"
    ridge: Annotated[
        float,
        Field(
            ge=0,
            le=1e6,
            description="For `glm`: L2 penalty on the coefficients of standardised inputs, as a "
            "share of the records.",
        ),
        Since("0.2.0"),
    ] = 0.0
    missing_values: Annotated[
        Literal["complete", "indicator"],
        Field(
            description="For `glm` and `cox`: leave out records with a missing value, or give a "
            "missing value an indicator of its own."
        ),
        Since("0.2.0"),
    ] = "complete"

    def __post_init__(self) -> None:
        require_declared(self, BadPlan)


@dataclass(frozen=True, kw_only=True)
class CoxPlan:
    """What survival analysis is asked.

    Raises:
        BadPlan: A value is out of range.
    """

    ties: Annotated[
        Literal["efron", "breslow"],
        Field(description="For `cox`: how events at the same time are treated, within a site."),
        Since("0.2.0"),
    ] = "efron"
    baseline: Annotated[
        Literal["by-site", "pooled"],
        Field(
            description="For `cox`: whether each site has a baseline hazard of its own (a Cox "
            "model that is stratified by site, exactly), or all have one (on the declared times)."
        ),
        Since("0.2.0"),
    ] = "by-site"
    floor: Annotated[
        int,
        Field(
            ge=1,
            le=10_000,
            description="For `cox`: fewest events in a step of time of which sums are taken; "
            "smaller steps are merged.",
        ),
        Since("0.2.0"),
    ] = 10
    group: Annotated[
        str,
        Field(
            pattern=r"^([a-z][a-z0-9_.-]{0,63})?$",
            description="For `cox`: a column of categories by which curves are drawn and compared; "
            "empty for none.",
        ),
        Since("0.2.0"),
    ] = ""

    def __post_init__(self) -> None:
        require_declared(self, BadPlan)


@dataclass(frozen=True)
class LearnerPlans:
    """All that a run asks of its learner, whichever it is.

    Args:
        chosen: Which learner.
        describe: What a Table 1 shows.
        glm: What a regression is asked.
        trees: What boosted trees are asked.
        card: What a score card is asked.
        cox: What survival analysis is asked.
        distil: Which texts the sites' models are asked about.
        noise: What every site adds to its counts; None for nothing.
        members: Of the charter, in its order; none where nobody is asked yet.
    """

    chosen: LearnerPlan = field(default_factory=LearnerPlan)
    describe: DescribePlan = field(default_factory=DescribePlan)
    glm: GlmPlan = field(default_factory=GlmPlan)
    trees: TreesPlan = field(default_factory=TreesPlan)
    card: CardPlan = field(default_factory=CardPlan)
    cox: CoxPlan = field(default_factory=CoxPlan)
    distil: DistilPlan = field(default_factory=DistilPlan)
    noise: CountNoise | None = None
    members: tuple[str, ...] = ()

    @property
    def shown_members(self) -> tuple[str, ...]:
        """Whose columns a Table 1 has beside that of all."""
        return self.members if self.describe.by_site else ()

    def exchanges(self, task: str) -> int | None:
        """Return the rounds that the learner needs by itself; None if it is a matter of taste.

        Args:
            task: The use case, which tells what `auto` is; empty if it is not known.
        """
        name = self.chosen.name
        own = {"trees": self.trees.exchanges, "describe": self.describe.exchanges}
        return {**_EXCHANGES, **own}.get(AUTOMATIC.get(task, name) if name == "auto" else name)


# What `auto` is for a use case, where it is not training by gradients.
AUTOMATIC: Mapping[str, LearnerName] = MappingProxyType({"survival": "cox"})
_TRAINING: tuple[LearnerName, ...] = ("auto", "gradient")
# In which Newton's method finds the estimates of a regression: the last step is of rounding only.
NEWTON_EXCHANGES = 8
_EXCHANGES: Mapping[str, int] = MappingProxyType(
    {"distil": 1, "glm": NEWTON_EXCHANGES, "cox": NEWTON_EXCHANGES, "scorecard": 16}
)


def may_train(learner: str) -> bool:
    """Return whether a learner of this name may train by gradients; all others count."""
    return learner in _TRAINING
