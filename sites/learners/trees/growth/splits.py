"""The best split of each node, from exact sums by feature and bin (Chen and Guestrin 2016).

A module of its own: it is pure arithmetic, the same bits on every machine.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Tally, Vector
from sites.learners.bin_cells import Cells, total_spread
from sites.learners.trees.growth.noisy_sums import (
    CLEAR,
    NO_NOISE,
    SumsNoise,
    child_spreads,
)
from sites.learners.trees.plan import TreesPlan

# A gain below this share of what a node scores already is the rounding of float64.
_NO_GAIN = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """The best split of each node.

    Args:
        feature: Counted from 1; 0 where no split is worth it. Shape (nodes,).
        cut: Bin of the feature. Same shape.
        missing_first: Whether missing values go to the first child. Same shape.
        gain: By how much it lowers the loss, to second order; 0 for no split. Same shape.
        first: Persons, gradients and second derivatives in the first child, shape (nodes, 3).
        spreads: The variance of the noise of the sums of both children, that of a cell being 1,
            shape (nodes, 2).
    """

    feature: NDArray[np.int64]
    cut: NDArray[np.int64]
    missing_first: NDArray[np.bool_]
    gain: Vector
    first: Tally
    spreads: Matrix


@dataclass(frozen=True, eq=False)
class _NoiseTerms:
    """The noise of a node and of its children.

    Args:
        sums: Of a cell.
        whole: The variance of a node's total, that of a cell being 1.
        children: Of the sums of both children by cut, shape (2, cells, 2).
    """

    sums: SumsNoise
    whole: float
    children: NDArray[np.float64]


def best_splits(
    sums: Tally,
    cells: Cells,
    plan: TreesPlan,
    units: Vector,
    *,
    tree: int = 0,
    noise: SumsNoise = NO_NOISE,
) -> Splits:
    """Return the best split of each node; of equal ones that of the lowest feature, then bin.

    Noise makes squares larger, by its variance on average. That is taken off the gain of a split;
    and a child must stand out of the noise of its own records and second derivatives.

    Guarantee: the same bits on every machine: sums of integers and elementwise float64 only.

    Args:
        sums: Persons, gradients and second derivatives by cell, shape (nodes, 3, cells).
        cells: What each cell stands for.
        plan: How small a leaf may be, and how its value is penalised.
        units: Of the three sums, shape (3,).
        tree: Of which these are nodes.
        noise: Of the sums.
    """
    rows, tried = np.arange(len(sums)), cells.tried(tree, plan.features)
    totals = node_totals(sums, cells)
    firsts = _first_children(sums, cells)  # (nodes, 3, cells, 2)
    whole, of_children = total_spread(cells, tried), _child_spreads(cells, tried)
    terms = _NoiseTerms(noise, whole, of_children)
    gains, floors = _gains(firsts, totals, plan, units, terms)
    gains = np.where((cells.can_cut & tried)[:, None], gains, -np.inf).reshape(len(sums), -1)
    best = gains.argmax(axis=1)
    gain = gains[rows, best]
    split = gain > floors
    place, missing = best // 2, best % 2
    found, spreads = firsts[rows, :, place, missing], of_children[:, place, missing].T
    return Splits(
        feature=np.where(split, cells.features[place] + 1, 0),
        cut=np.where(split, place - cells.starts[place], 0),
        missing_first=split & (missing == 1),
        gain=np.where(split, gain, 0.0),
        first=np.where(split[:, None], found, totals),
        spreads=np.where(split[:, None], spreads, [whole, 0.0]),
    )


def node_totals(sums: Tally, cells: Cells) -> Tally:
    """Return persons, gradients and second derivatives of each node, shape (nodes, 3)."""
    return np.asarray(sums[:, :, : cells.bins.starts[1]].sum(axis=2), np.int64)


def leaf_values(
    totals: Tally, plan: TreesPlan, units: Vector, variances: Vector | float = 0.0
) -> Vector:
    """Return the value of leaves, shape (n,): a step of Newton times the learning rate.

    With noise the step is shorter, by the share of its square that is noise on average.

    Args:
        totals: Persons, gradients and second derivatives of each, shape (n, 3).
        plan: The learning rate and the penalty.
        units: Of the three sums, shape (3,).
        variances: Of the noise of the gradients, in real units, shape (n,).
    """
    real = totals * units
    weights = real[:, 2] + plan.l2
    squares = real[:, 1] * real[:, 1]
    told = squares > variances
    told &= weights > 0
    steps = np.divide(real[:, 1], weights, out=np.zeros(len(real)), where=told)
    noise = np.divide(variances, squares, out=np.zeros(len(real)), where=told)
    return np.asarray(0.0 - plan.learning_rate * steps * (1.0 - noise), np.float64)


def _first_children(sums: Tally, cells: Cells) -> Tally:
    """Return the sums of the first child of every split, missing values in the second or first.

    Shape (nodes, 3, cells, 2).
    """
    through = np.cumsum(sums, axis=2)
    before = np.where(cells.starts > 0, through[:, :, cells.starts - 1], 0)
    present = np.where(cells.of_category, sums, through - before)
    return np.stack([present, present + sums[:, :, cells.missing]], axis=3)


def _child_spreads(cells: Cells, tried: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the variance of the noise of both children by cut, that of a cell being 1.

    Shape (2, cells, 2).
    """
    in_first = _first_children(cells.live.astype(np.int64)[None, None], cells)[0, 0]
    return np.stack(child_spreads(cells, in_first, tried))


def _gains(
    firsts: Tally, totals: Tally, plan: TreesPlan, units: Vector, noise: "_NoiseTerms"
) -> tuple[NDArray[np.float64], Vector]:
    """Return the gain of every split, -inf where a leaf is too small, and what is no gain.

    Shapes (nodes, cells, 2) and (nodes,).
    """
    whole = totals[:, :, None, None]
    enough = np.ones(firsts[:, 0].shape, bool)
    scores = []
    for child, spread in zip((firsts, whole - firsts), noise.children, strict=True):
        weights = child[:, 2] * units[2]
        records, weight = (CLEAR * noise.sums.deviations(kind, spread) for kind in (0, 2))
        enough &= child[:, 0] >= np.maximum(plan.min_records, records)
        enough &= weights >= np.maximum(plan.min_child_weight, weight)
        enough &= weights + plan.l2 > 0
        variances = noise.sums.variances[1] * spread
        scores.append(_score(child[:, 1] * units[1], weights + plan.l2, variances))
    of_total = noise.sums.variances[1] * noise.whole
    before = _score(totals[:, 1] * units[1], totals[:, 2] * units[2] + plan.l2, of_total)
    gains = scores[0] + scores[1] - before[:, None, None]
    return np.where(enough, gains, -np.inf), np.maximum(before, 0.0) * _NO_GAIN


def _score(gradients: Vector, weights: Vector, variances: Vector | float) -> Vector:
    squares = gradients * gradients - variances
    return np.divide(squares, weights, out=np.zeros(squares.shape), where=weights > 0)
