"""What a tracker is told, and what it must be able to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class RunName:
    """How a tracker tells a run from others.

    Args:
        consortium: The name in the charter.
        run: The name of the run's directory.
    """

    consortium: str
    run: str


@dataclass(frozen=True, kw_only=True)
class RoundFigures:
    """The released figures of a round: what its line in `metrics.jsonl` says of all sites.

    Guarantee: every figure is finite.

    Args:
        server_round: The round.
        course: How the round went: `sites`, `seconds`, `bytes_down` and `bytes_up`.
        metrics: The pooled metrics of the model that the round started with, by name; none if they
            are withheld.
    """

    server_round: int
    course: Mapping[str, float]
    metrics: Mapping[str, float]


class Tracker(Protocol):
    """Writes figures for one tracking program. It may raise anything: the run goes on."""

    def note_round(self, told: RoundFigures) -> None:
        """Write the figures of a round, so that they can be seen before the next one ends."""

    def close(self, *, finished: bool) -> None:
        """Finish what was written.

        Args:
            finished: Whether the run came to its end; else it failed, or waits for members.
        """
