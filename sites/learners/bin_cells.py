"""The bins of all features of a table in one row, and sums in them that have noise.

A module of its own because trees and score cards count the same cells.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.fine_bins import TableBins
from sites.schema.tables import Category


@dataclass(frozen=True, eq=False)
class Cells:
    """The bins of all features in one row: what each stands for."""

    bins: TableBins

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first cell of the feature of each cell, shape (cells,)."""
        return np.repeat(self.bins.starts[:-1], np.diff(self.bins.starts))

    @cached_property
    def missing(self) -> NDArray[np.int64]:
        """The cell of missing values of the feature of each cell, shape (cells,)."""
        return np.repeat(self.bins.starts[1:] - 1, np.diff(self.bins.starts))

    @cached_property
    def features(self) -> NDArray[np.int64]:
        """The feature of each cell, shape (cells,)."""
        return np.repeat(np.arange(len(self.bins.features)), np.diff(self.bins.starts))

    @cached_property
    def of_category(self) -> NDArray[np.bool_]:
        """Whether a cell is a value of a category, shape (cells,)."""
        of_feature = [isinstance(one.feature, Category) for one in self.bins.features]
        return np.array(of_feature)[self.features]

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """Whether a cell can hold a record, shape (cells,)."""
        missing = np.array([one.feature.missing for one in self.bins.features])[self.features]
        at_end: NDArray[np.bool_] = np.arange(len(self.starts)) == self.missing
        return np.where(at_end, missing, self.can_cut)

    @cached_property
    def rank(self) -> NDArray[np.int64]:
        """How many cells before it in its feature can hold a record, shape (cells,)."""
        before: NDArray[np.int64] = np.cumsum(self.live) - self.live
        return np.asarray(before - before[self.starts], np.int64)

    @cached_property
    def widths(self) -> NDArray[np.int64]:
        """How many cells of the feature of each cell can hold a record, shape (cells,)."""
        return np.bincount(self.features, self.live).astype(np.int64)[self.features]

    def tried(self, tree: int, n_features: int) -> NDArray[np.bool_]:
        """Return whether a tree may split on the feature of each cell, shape (cells,).

        Features have their turn in the order of the schema.

        Args:
            tree: Which tree, from 0.
            n_features: Features that one tree may split on; 0 for all.
        """
        every = len(self.bins.features)
        taken = min(n_features or every, every)
        turn = (np.arange(taken) + tree * taken) % every
        return np.isin(self.features, turn)

    @cached_property
    def can_cut(self) -> NDArray[np.bool_]:
        """Whether a cell can be a cut: it can hold a value, shape (cells,)."""
        used = np.array([one.used for one in self.bins.features])
        of_cell: NDArray[np.bool_] = np.arange(len(self.starts)) - self.starts < used[self.features]
        return of_cell


def total_spread(cells: Cells, tried: NDArray[np.bool_]) -> float:
    """Return the variance of a node's total as `agreed_sums` finds it, that of a cell being 1."""
    return 1.0 / float(np.cumsum(_weights(cells, tried))[-1])


def agreed_sums(sums: Tally, cells: Cells, tried: NDArray[np.bool_]) -> Tally:
    """Return sums of which every feature has the same total, as it has without noise.

    Each feature's cells add up to the total with noise of its own. Their mean, weighted by how
    little noise each has, has less than any of them; and what the cells of a feature lack is added
    to all of them alike. That is the least-squares fit.

    Guarantee: the same bits on every machine: sums of integers and elementwise float64 only.

    Args:
        sums: By cell, shape (n, kinds, cells); 0 in cells that hold no record.
        cells: What each cell stands for.
        tried: Whether the sums of the feature of each cell were counted, shape (cells,).
    """
    starts = cells.bins.starts
    held = np.add.reduceat(sums, starts[:-1], axis=2)
    weights = _weights(cells, tried)
    weighted = np.cumsum(held * weights, axis=2)[:, :, -1]
    totals = np.rint(weighted / np.cumsum(weights)[-1]).astype(np.int64)
    lacking = (totals[:, :, None] - held)[:, :, cells.features]
    n = np.maximum(cells.widths, 1)
    share = lacking // n + (cells.rank < lacking % n)
    return np.asarray(np.where(cells.live, sums + share, 0), np.int64)


def _weights(cells: Cells, tried: NDArray[np.bool_]) -> Vector:
    """Return how little noise the total of each feature has, 0 where none was counted."""
    firsts = cells.bins.starts[:-1]
    return np.where(tried[firsts], 1.0 / np.maximum(cells.widths[firsts], 1), 0.0)
