"""What a run asks of boosted trees: each value is declared here, once.

A module of its own because the run config holds this plan, and needs no tree for that.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from privacy.declarations import Since, require_declared
from sites.plans import BadPlan


@dataclass(frozen=True, kw_only=True)
class TreesPlan:
    """Which trees are grown.

    Raises:
        BadPlan: A value is out of range.
    """

    count: Annotated[
        int,
        Field(
            ge=1,
            le=1_000,
            description="For `trees`: trees in the model. Each takes as many exchanges as "
            "trees.depth says.",
        ),
        Since("0.2.0"),
    ] = 100
    depth: Annotated[
        int,
        Field(ge=1, le=6, description="For `trees`: splits between the root and a leaf."),
        Since("0.2.0"),
    ] = 4
    learning_rate: Annotated[
        float,
        Field(
            ge=1e-3,
            le=1,
            description="For `trees`: share of its best value that a leaf gets.",
        ),
        Since("0.2.0"),
    ] = 0.1
    l2: Annotated[
        float,
        Field(
            ge=0,
            le=1e6,
            description="For `trees`: L2 penalty on the values of the leaves, as XGBoost's lambda.",
        ),
        Since("0.2.0"),
    ] = 1.0
    min_child_weight: Annotated[
        float,
        Field(
            ge=0,
            le=1e6,
            description="For `trees`: smallest sum of second derivatives of the loss in a leaf.",
        ),
        Since("0.2.0"),
    ] = 1.0
    min_records: Annotated[
        int,
        Field(
            ge=10,
            le=1_000_000,
            description="For `trees`: fewest records of different persons in a leaf, over all "
            "sites.",
        ),
        Since("0.2.0"),
    ] = 20
    bins: Annotated[
        int,
        Field(
            ge=32,
            le=255,
            description="For `trees`: most bins of a number. A split lies between two bins.",
        ),
        Since("0.2.0"),
    ] = 32

    features: Annotated[
        int,
        Field(
            ge=0,
            le=10_000,
            description="For `trees`: features that one tree may split on, which have their turn "
            "in the order of the schema; 0 for all. With noise, fewer of them get less of it.",
        ),
        Since("0.2.0"),
    ] = 0

    def __post_init__(self) -> None:
        require_declared(self, BadPlan)

    @property
    def exchanges(self) -> int:
        """Rounds that all trees take: one for each level of a tree."""
        return self.count * self.depth
