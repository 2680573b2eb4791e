"""The bins of all features of a table in one row, as trees count them.

A module of its own because splits, noise and records all go by these cells.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

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
