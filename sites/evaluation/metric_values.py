"""Figures by name, and why a figure is missing; the ones that every classifier shares."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from privacy.layout import Tally, Vector
from sites.statistics.tally import UNIT, ImpossibleTally, Metric, TallyLayout

_Z = 1.959964  # of a 95 % interval

SMALLEST_PROBABILITY = 1e-7
LARGEST_LOG_LOSS = -float(np.log(SMALLEST_PROBABILITY))


@dataclass(frozen=True)
class Undefined:
    """A figure that these records do not define, and why."""

    reason: str


Figures: TypeAlias = Mapping[str, Metric | Undefined]


def defined(figures: Figures) -> dict[str, Metric]:
    """Return the figures that are defined."""
    return {name: item for name, item in figures.items() if isinstance(item, Metric)}


def reasons(figures: Figures) -> dict[str, str]:
    """Return why each of the other figures is not."""
    return {name: item.reason for name, item in figures.items() if isinstance(item, Undefined)}


def ratio(part: float, whole: float, otherwise: str) -> Metric | Undefined:
    """Return an exact share of counts, or why there is none if `whole` is 0."""
    return Metric(float(part / whole)) if whole else Undefined(otherwise)


def log_losses(probability_of_label: Vector) -> Vector:
    """Return -ln of the probability given to what came true, taken as at least 1e-7.

    A float32 model cannot tell a probability from 1 more finely than that.
    """
    return -np.log(np.maximum(probability_of_label, SMALLEST_PROBABILITY))


def check_means(
    layout: TallyLayout, tally: Tally, *, examples: int, largest: Mapping[str, float]
) -> None:
    """Refuse sums that no `examples` records have, given the largest value of one record.

    Raises:
        ImpossibleTally: A sum is more than `examples` such values.
    """
    for name, most in largest.items():
        if layout.real(name, tally) > examples * (most + UNIT):
            raise ImpossibleTally(f"{examples} records cannot have so large a sum of {name}")


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return the 95 % interval of a share of n records (Wilson 1927)."""
    wide = 1 + _Z**2 / n
    middle = (share + _Z**2 / (2 * n)) / wide
    reach = _Z / wide * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
