"""Sums by node, feature and bin: the pass over a site's records that each exchange takes.

A module of its own: it is the only part whose time depends on the number of records.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.fine_bins import Codes, TableBins
from sites.learners.trees.growth.state import KINDS
from sites.learners.trees.objective import LARGEST_DERIVATIVE

# So few that a sum of gradients is within a quarter of `_PERSON`, and float64 holds both exactly.
_BLOCK = 2**16
_PERSON = float(4 * _BLOCK * LARGEST_DERIVATIVE)
_MOST_JOINT = 2**15  # cells of a group of features: they stay in the processor's cache
_RECORDS_A_CELL = 8  # at least, or going through the cells takes longer than the records


@dataclass(frozen=True, eq=False)
class _Group:
    """Features that are counted together, by the combinations of their bins.

    Args:
        places: Where the bins of each begin in the row of all cells.
        sizes: Bins of each.
        codes: The combination of each record, shape (n,).
    """

    places: tuple[int, ...]
    sizes: tuple[int, ...]
    codes: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Number of combinations."""
        return math.prod(self.sizes)


@dataclass(frozen=True, eq=False)
class CountedRecords:
    """A site's records, ready to be added up by bin.

    Several features are counted in one pass, by the combinations of their bins, from which the
    sums of each follow.

    Args:
        cells: Bins of all features.
        groups: The features, grouped.
    """

    cells: int
    groups: tuple[_Group, ...]

    @classmethod
    def made_of(cls, codes: Codes, bins: TableBins) -> "CountedRecords":
        """Return the records whose bins are `codes`, shape (n_features, n)."""
        sizes = np.diff(bins.starts).tolist()
        most = min(max(codes.shape[1] // _RECORDS_A_CELL, 1), _MOST_JOINT)
        groups = []
        for members in _grouped(sizes, most):
            joint = np.zeros(codes.shape[1], np.int64)
            for one in members:
                joint = joint * sizes[one] + codes[one]
            places = tuple(int(bins.starts[one]) for one in members)
            groups.append(_Group(places, tuple(sizes[one] for one in members), joint))
        return cls(cells=int(bins.starts[-1]), groups=tuple(groups))

    def sums(
        self, nodes: NDArray[np.int64], weights: tuple[Vector, Vector, Vector], *, n_nodes: int
    ) -> Tally:
        """Return the sums by node and cell, exactly, shape (n_nodes, 3, cells).

        Args:
            nodes: The node of each record; below 0 for records that are not counted. Shape (n,).
            weights: Persons (0 or 1), gradients and second derivatives in whole units, none
                larger than `LARGEST_DERIVATIVE`, each of shape (n,).
            n_nodes: Number of nodes.
        """
        sums = np.zeros((n_nodes, KINDS, self.cells), np.int64)
        counted = np.flatnonzero(nodes >= 0)
        persons, gradients, seconds = weights
        for start in range(0, len(counted), _BLOCK):
            # A view where every record is counted, which costs no copy.
            every = slice(start, start + _BLOCK)
            rows = every if len(counted) == len(nodes) else counted[every]
            # Persons and gradients add up in one number: fewer passes over the records.
            both = persons[rows] * _PERSON + gradients[rows]
            second, node = seconds[rows], nodes[rows]
            for group in self.groups:
                joint = node * group.size + group.codes[rows]
                self._add(sums, group, joint, both, second)
        return sums

    def _add(
        self, sums: Tally, group: _Group, joint: NDArray[np.int64], both: Vector, second: Vector
    ) -> None:
        n_nodes = len(sums)
        shape = (n_nodes, *group.sizes)
        of_both = np.bincount(joint, both, n_nodes * group.size).reshape(shape)
        of_second = np.bincount(joint, second, n_nodes * group.size).reshape(shape)
        for axis, (place, size) in enumerate(zip(group.places, group.sizes, strict=True), 1):
            others = tuple(one for one in range(1, len(shape)) if one != axis)
            packed = of_both.sum(axis=others)  # whole numbers below 2^53: no order matters
            people = np.floor(packed / _PERSON + 0.5)
            here = slice(place, place + size)
            sums[:, 0, here] += people.astype(np.int64)
            sums[:, 1, here] += (packed - people * _PERSON).astype(np.int64)
            sums[:, 2, here] += of_second.sum(axis=others).astype(np.int64)


def _grouped(sizes: list[int], most: int) -> Iterator[list[int]]:
    """Yield neighbouring features of at most so many combinations, at least one at a time."""
    members: list[int] = []
    size = 1
    for one, own in enumerate(sizes):
        if members and size * own > most:
            yield members
            members, size = [], 1
        members.append(one)
        size *= own
    yield members
