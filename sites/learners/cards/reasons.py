"""Why a record has few points: the features that took most from it.

A module of its own because it is what a lender tells an applicant. A feature takes the difference
between the most points that it gives anybody and those that it gave (Siddiqi 2006, Credit Risk
Scorecards). More than four reasons are not likely to help an applicant (Regulation B, 12 CFR 1002,
supplement I, comment 9(b)(2)-1); which method finds them is left to the lender (comment 9(b)(2)-5).
"""

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.learners.cards.points import Card
from sites.learners.counted_tables import Columns

MOST_REASONS = 4


def points_lost(card: Card, columns: Columns) -> Tally:
    """Return by how many points each feature is below its most, shape (n_features, n)."""
    lost = np.zeros((len(card.features), len(next(iter(columns.values())))), np.int64)
    for row, one in zip(lost, card.features, strict=True):
        row[:] = one.points.max() - one.points[one.bins.codes(columns[one.bins.feature.name])]
    return lost


def reasons(card: Card, columns: Columns) -> NDArray[np.str_]:
    """Return the names of the features that took most points from each record.

    Guarantee: a feature that took nothing is no reason. Of features that took the same, the one
    that comes first in the schema stands first.

    Returns:
        The largest first, empty where there are fewer, shape (n, MOST_REASONS).
    """
    lost = points_lost(card, columns)
    names = np.array([*(one.bins.feature.name for one in card.features), ""])
    lost = np.pad(lost, ((0, MOST_REASONS), (0, 0)))  # there may be fewer features than reasons
    largest = np.argsort(-lost, axis=0, kind="stable")[:MOST_REASONS]  # (MOST_REASONS, n)
    took = np.take_along_axis(lost, largest, axis=0) > 0
    return np.asarray(names[np.where(took, largest, -1)].T)
