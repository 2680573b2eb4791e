"""The points of a card: the curves of its features, on a scale that people chose.

Points are linear in the log-odds of the first class, and rounded to whole numbers. Predictions are
made from the rounded points, so that whoever adds up a printed card gets what the model says.
Weights of evidence and information values, as in Siddiqi (2006), Credit Risk Scorecards, say what
a feature's bins tell by themselves.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.cards.merging import MOST_BINS
from sites.learners.cards.plan import CardPlan
from sites.learners.cards.state import CardBins, CardState
from sites.learners.counted_tables import Columns

_DIGITS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class CardFeature:
    """One feature of a card.

    Args:
        bins: Its bins.
        points: Of each bin, shape (n_bins,): above 0 for records that are safer than the average.
    """

    bins: CardBins
    points: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Card:
    """A card that can be printed.

    Args:
        start: Points that everybody has.
        features: In the order of the schema.
        plan: How it is scaled.
    """

    start: int
    features: tuple[CardFeature, ...]
    plan: CardPlan

    @classmethod
    def of(cls, state: CardState, plan: CardPlan) -> "Card":
        """Return the card that a state stands for; before the first exchange it has no features."""
        factor, log_odds = plan.pdo / math.log(2), float(state.anchor[0])
        heights = state.anchor[1:].reshape(-1, MOST_BINS)
        features = []
        for bins, row in zip(state.bins, heights, strict=False):
            curve, records = row[: bins.n_bins], bins.counts.sum(axis=0)
            # What the average record has of a feature goes to the start.
            average = float((curve * records).sum()) / max(int(records.sum()), 1)
            log_odds += average
            points = np.rint(factor * (curve - average)).astype(np.int64)
            features.append(CardFeature(bins=bins, points=points))
        return cls(
            start=round(plan.base_points + factor * (log_odds - math.log(plan.base_odds))),
            features=tuple(features),
            plan=plan,
        )

    @property
    def range(self) -> tuple[int, int]:
        """Fewest and most points that anybody can have."""
        ends = [(int(one.points.min()), int(one.points.max())) for one in self.features]
        return self.start + sum(low for low, _ in ends), self.start + sum(high for _, high in ends)

    def totals(self, columns: Columns) -> NDArray[np.int64]:
        """Return the points of every record, shape (n,)."""
        total = np.full(len(next(iter(columns.values()))), self.start, np.int64)
        for one in self.features:
            total += one.points[one.bins.codes(columns[one.bins.feature.name])]
        return total

    def probabilities(self, points: NDArray[np.int64]) -> Vector:
        """Return the probability of the second class for so many points, shape (n,)."""
        doublings = (points - self.plan.base_points) / self.plan.pdo
        log_odds = np.clip(doublings * math.log(2) + math.log(self.plan.base_odds), -700, 700)
        return np.asarray(1.0 / (1.0 + np.exp(log_odds)), np.float64)


def weights_of_evidence(counts: Tally) -> Vector:
    """Return the weight of evidence of each bin, shape (n_bins,): above 0 is safer than average.

    Guarantee: finite; the same bits on every machine, but for a value that lies within the
    rounding of a logarithm from the middle of two numbers with four digits.

    Args:
        counts: Records of the first and of the second class by bin, shape (2, n_bins); none is 0
            if there are two bins or more.
    """
    if counts.shape[1] == 1:
        return np.zeros(1)
    first, second = counts.astype(np.float64)
    ratios = (first * second.sum()) / (second * first.sum())
    return np.asarray(np.round(np.log(ratios), _DIGITS), np.float64)


def information_value(counts: Tally) -> float:
    """Return how well a feature's bins tell the classes apart: 0 if they do not."""
    if counts.shape[1] == 1:
        return 0.0
    first, second = (row / row.sum() for row in counts)
    return float(((first - second) * np.log(first / second)).sum())
