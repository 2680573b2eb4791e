"""The best split of each node, from exact sums by feature and bin (Chen and Guestrin 2016).

A module of its own: it is pure arithmetic, the same bits on every machine.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.fine_bins import TableBins
from sites.learners.trees.plan import TreesPlan
from sites.schema.tables import Category

# A gain below this share of what a node scores already is the rounding of float64.
_NO_GAIN = 1e-9


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
    def can_cut(self) -> NDArray[np.bool_]:
        """Whether a cell can be a cut: it can hold a value, shape (cells,)."""
        used = np.array([one.used for one in self.bins.features])
        of_cell: NDArray[np.bool_] = np.arange(len(self.starts)) - self.starts < used[self.features]
        return of_cell


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """The best split of each node.

    Args:
        feature: Counted from 1; 0 where no split is worth it. Shape (nodes,).
        cut: Bin of the feature. Same shape.
        missing_first: Whether missing values go to the first child. Same shape.
        gain: By how much it lowers the loss, to second order; 0 for no split. Same shape.
        first: Persons, gradients and second derivatives in the first child, shape (nodes, 3).
    """

    feature: NDArray[np.int64]
    cut: NDArray[np.int64]
    missing_first: NDArray[np.bool_]
    gain: Vector
    first: Tally


def best_splits(sums: Tally, cells: Cells, plan: TreesPlan, units: Vector) -> Splits:
    """Return the best split of each node; of equal ones that of the lowest feature, then bin.

    Guarantee: the same bits on every machine: sums of integers and elementwise float64 only.

    Args:
        sums: Persons, gradients and second derivatives by cell, shape (nodes, 3, cells).
        cells: What each cell stands for.
        plan: How small a leaf may be, and how its value is penalised.
        units: Of the three sums, shape (3,).
    """
    rows = np.arange(len(sums))
    totals = node_totals(sums, cells)
    firsts = _first_children(sums, cells)  # (nodes, 3, cells, 2)
    gains, floors = _gains(firsts, totals, plan, units)
    gains = np.where(cells.can_cut[:, None], gains, -np.inf).reshape(len(sums), -1)
    best = gains.argmax(axis=1)
    gain = gains[rows, best]
    split = gain > floors
    place, missing = best // 2, best % 2
    found = firsts[rows, :, place, missing]
    return Splits(
        feature=np.where(split, cells.features[place] + 1, 0),
        cut=np.where(split, place - cells.starts[place], 0),
        missing_first=split & (missing == 1),
        gain=np.where(split, gain, 0.0),
        first=np.where(split[:, None], found, totals),
    )


def node_totals(sums: Tally, cells: Cells) -> Tally:
    """Return persons, gradients and second derivatives of each node, shape (nodes, 3)."""
    return np.asarray(sums[:, :, : cells.bins.starts[1]].sum(axis=2), np.int64)


def leaf_values(totals: Tally, plan: TreesPlan, units: Vector) -> Vector:
    """Return the value of leaves, shape (n,): a step of Newton times the learning rate.

    Args:
        totals: Persons, gradients and second derivatives of each, shape (n, 3).
        plan: The learning rate and the penalty.
        units: Of the three sums, shape (3,).
    """
    real = totals * units
    weights = real[:, 2] + plan.l2
    held = weights > 0
    steps = np.divide(real[:, 1], weights, out=np.zeros(len(real)), where=held)
    return np.asarray(0.0 - plan.learning_rate * steps, np.float64)


def _first_children(sums: Tally, cells: Cells) -> Tally:
    """Return the sums of the first child of every split, missing values in the second or first.

    Shape (nodes, 3, cells, 2).
    """
    through = np.cumsum(sums, axis=2)
    before = np.where(cells.starts > 0, through[:, :, cells.starts - 1], 0)
    present = np.where(cells.of_category, sums, through - before)
    return np.stack([present, present + sums[:, :, cells.missing]], axis=3)


def _gains(
    firsts: Tally, totals: Tally, plan: TreesPlan, units: Vector
) -> tuple[NDArray[np.float64], Vector]:
    """Return the gain of every split, -inf where a leaf is too small, and what is no gain.

    Shapes (nodes, cells, 2) and (nodes,).
    """
    whole = totals[:, :, None, None]
    seconds = whole - firsts
    enough = np.ones(firsts[:, 0].shape, bool)
    scores = []
    for child in (firsts, seconds):
        weights = child[:, 2] * units[2]
        enough &= (child[:, 0] >= plan.min_records) & (weights >= plan.min_child_weight)
        enough &= weights + plan.l2 > 0
        scores.append(_score(child[:, 1] * units[1], weights + plan.l2))
    before = _score(totals[:, 1] * units[1], totals[:, 2] * units[2] + plan.l2)
    gains = scores[0] + scores[1] - before[:, None, None]
    return np.where(enough, gains, -np.inf), before * _NO_GAIN


def _score(gradients: Vector, weights: Vector) -> Vector:
    squares = gradients * gradients
    return np.divide(squares, weights, out=np.zeros(squares.shape), where=weights > 0)
