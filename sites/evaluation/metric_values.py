"""Metrics by name, or the reason why a metric is undefined; and those shared by evaluations."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from privacy.layout import Tally, Vector
from sites.statistics.tally import UNIT, ImpossibleTally, Metric, TallyLayout

_Z = 1.959964  # quantile of the normal distribution for a 95 % interval
_NORMAL_95 = 1.959963984540054  # the same to the last bit

SMALLEST_PROBABILITY = 1e-7
LARGEST_LOG_LOSS = -float(np.log(SMALLEST_PROBABILITY))


@dataclass(frozen=True)
class Undefined:
    """A metric that these records do not define.

    Args:
        reason: Why not, for people.
    """

    reason: str


Figures: TypeAlias = Mapping[str, Metric | Undefined]


def defined_metrics(figures: Figures) -> dict[str, Metric]:
    """Return the metrics that are defined, by name."""
    return {name: item for name, item in figures.items() if isinstance(item, Metric)}


def undefined_reasons(figures: Figures) -> dict[str, str]:
    """Return the reason for each metric that is undefined, by name."""
    return {name: item.reason for name, item in figures.items() if isinstance(item, Undefined)}


def ratio(part: float, whole: float, otherwise: str) -> Metric | Undefined:
    """Return part / whole of exact counts; if `whole` is 0, undefined with reason `otherwise`."""
    return Metric(float(part / whole)) if whole else Undefined(otherwise)


def log_losses(probability_of_label: Vector) -> Vector:
    """Return the log loss of each record, shape (n,): -ln of the probability of its true class.

    Probabilities count as at least 1e-7, the resolution of float32 near 1. Without a limit, one
    confident mistake would make the mean infinite.
    """
    return -np.log(np.maximum(probability_of_label, SMALLEST_PROBABILITY))


def check_means(
    layout: TallyLayout, tally: Tally, *, examples: int, largest: Mapping[str, float]
) -> None:
    """Check that sums are not larger than so many records can have.

    Args:
        layout: Layout of the tally.
        tally: Of one site, or pooled.
        examples: Records counted in it.
        largest: Largest value of one record, by the name of the sum.

    Raises:
        ImpossibleTally: A sum is larger than `examples` such values.
    """
    for name, most in largest.items():
        if layout.real_sum(name, tally) > examples * (most + UNIT):
            raise ImpossibleTally(f"{examples} records cannot have so large a sum of {name}")


def auc_reach(value: float, counts: tuple[int, int]) -> float:
    """Return how far the 95 % interval of an AUC reaches (Hanley and McNeil 1982).

    Args:
        value: The AUC.
        counts: Negatives and positives, at least one of each.
    """
    negatives, positives = counts
    both_positive, both_negative = value / (2 - value), 2 * value * value / (1 + value)
    variance = (
        value * (1 - value)
        + (positives - 1) * (both_positive - value * value)
        + (negatives - 1) * (both_negative - value * value)
    ) / (negatives * positives)
    return _NORMAL_95 * math.sqrt(max(variance, 0.0))


def wilson_interval(share: float, n: float) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share of n records (Wilson 1927)."""
    # Unlike the normal approximation, it stays within [0, 1] and holds for small n.
    wide = 1 + _Z**2 / n
    middle = (share + _Z**2 / (2 * n)) / wide
    reach = _Z / wide * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
