"""What a run asks of a score card."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, cast

from pydantic import Field

from privacy.declarations import Since, require_declared
from sites.plans import BadPlan

Direction: TypeAlias = Literal["up", "down"]

_DIRECTIONS = r"[a-z][a-z0-9_.-]*:(up|down)"


@dataclass(frozen=True, kw_only=True)
class CardPlan:
    """How a score card is scaled, and which of its curves have a direction.

    Raises:
        BadPlan: A value is out of range.
    """

    pdo: Annotated[
        float,
        Field(
            gt=0, le=10_000, description="For `scorecard`: how many points more double the odds."
        ),
        Since("0.2.0"),
    ] = 20.0
    base_odds: Annotated[
        float,
        Field(
            gt=0,
            le=1e6,
            description="For `scorecard`: the odds of the first class against the second at "
            "`card.base-points`.",
        ),
        Since("0.2.0"),
    ] = 50.0
    base_points: Annotated[
        float,
        Field(
            ge=-1e6, le=1e6, description="For `scorecard`: the points that have `card.base-odds`."
        ),
        Since("0.2.0"),
    ] = 600.0
    monotone: Annotated[
        str,
        Field(
            pattern=f"^({_DIRECTIONS}(,{_DIRECTIONS})*)?$",
            description="For `scorecard`: numbers with which the share of the second class only "
            "rises or only falls, as in `age:down,months_late:up`.",
        ),
        Since("0.2.0"),
    ] = ""

    def __post_init__(self) -> None:
        require_declared(self, BadPlan)

    @property
    def directions(self) -> Mapping[str, Direction]:
        """The direction of each number that has one."""
        named = (one.split(":") for one in self.monotone.split(",") if one)
        return {name: cast(Direction, direction) for name, direction in named}
