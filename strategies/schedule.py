"""When the model moves: how a run waits for its sites, and what an update that comes late counts.

It is part of the run config, so both ends read it; how it is carried out is the coordinator's.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from privacy.declarations import Since, require_declared
from privacy.errors import ConsortiumError

ScheduleName: TypeAlias = Literal["synchronous", "buffered", "triggered"]
NOTHING_NEW = "nothing-new"  # the code with which a site says so


class BadSchedulePlan(ConsortiumError, ValueError, code="bad-schedule-plan"):
    """A schedule has a value out of range."""


@dataclass(frozen=True, kw_only=True)
class SchedulePlan:
    """When the model moves.

    `buffered` is FedBuff (Nguyen et al. 2022, arXiv:2106.06581, algorithm 1). `triggered` lets a
    site say that it has nothing new, by a rule of its own that needs no training.

    Raises:
        BadSchedulePlan: A value is out of range.
    """

    name: Annotated[
        ScheduleName,
        Field(
            alias="schedule",
            description="When the model moves: once all sites that were asked have answered "
            "(`synchronous`); once `buffer-size` updates have come, whoever sent them "
            "(`buffered`); or as `synchronous`, where a site may say that it has nothing new "
            "(`triggered`). The last two run in the clear.",
        ),
        Since("0.2.0"),
    ] = "synchronous"
    buffer_size: Annotated[
        int,
        Field(
            alias="buffer-size",
            ge=0,
            le=1_000_000,
            description="For `buffered`: the updates that move the model, each of another site; 0 "
            "for as many as the quorum.",
        ),
        Since("0.2.0"),
    ] = 0
    trigger_threshold: Annotated[
        float,
        Field(
            alias="trigger-threshold",
            ge=0,
            le=1,
            description="For `triggered`: a site has nothing new while its loss on the model that "
            "it receives differs from that at its last update by less than this share of it.",
        ),
        Since("0.2.0"),
    ] = 0.001

    def __post_init__(self) -> None:
        require_declared(self, BadSchedulePlan)

    def contradiction(self, *, quorum: int, fraction: float, noise: bool) -> str:
        """Return what in a run config contradicts the schedule, and what to do; "" if nothing.

        Args:
            quorum: Fewest answers that make a round.
            fraction: Share of the sites that is asked.
            noise: Whether the updates carry noise of differential privacy.
        """
        if self.name == "buffered" and 0 < self.buffer_size < quorum:
            return (
                f"a buffer of {self.buffer_size} would move the model with fewer updates than the "
                f"quorum of {quorum}: raise buffer-size, or lower quorum"
            )
        if self.name == "buffered" and fraction < 1:
            return "a buffered run asks every site that is free: set fraction to 1"
        if self.name == "triggered" and noise:
            return (
                "whether a site has something new depends on its records and has no noise, so "
                "differential privacy could promise nothing: set schedule to synchronous or "
                "buffered, or train without dp"
            )
        return ""

    def buffer(self, quorum: int) -> int:
        """Return how many updates move the model of a buffered run.

        Args:
            quorum: Fewest answers that make a round.
        """
        return self.buffer_size or quorum


def staleness_discount(staleness: int) -> float:
    """Return the factor of an update that comes so many rounds late: 1 / sqrt(1 + staleness).

    Guarantee: 1 for an update that is not late, and smaller the later it is. It is the polynomial
    discount of Xie et al. 2019 (arXiv:1903.03934, section 5.2) with exponent 1/2, as Nguyen et al.
    2022 (arXiv:2106.06581, section 5) use it.

    Args:
        staleness: Rounds between the model that an update was computed from and its use, 0 or more.
    """
    return 1.0 / math.sqrt(1 + staleness)


def discounted(update: NDArray[np.floating], staleness: int) -> NDArray[np.float32]:
    """Return an update as it counts so many rounds late, shape (dim,); unchanged if not late.

    Args:
        update: Shape (dim,).
        staleness: Rounds, 0 or more.
    """
    single = np.asarray(update, np.float32)
    if not staleness:
        return single
    scaled: NDArray[np.float32] = single * np.float32(staleness_discount(staleness))
    return scaled
