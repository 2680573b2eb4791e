"""Trees as a file that XGBoost reads (its JSON model, of version 2.1 and later).

A module of its own because the form of the file is XGBoost's.
"""

import json
import math
from collections import deque
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sites.learners.fine_bins import FineBins, TableBins
from sites.learners.trees.growth.places import Forest
from sites.learners.trees.objective import Objective
from sites.schema.tables import Category

_NO_PARENT = 2**31 - 1
_EVERY_VALUE = float(np.finfo(np.float32).max)  # below this threshold is each value there is
_COVER_UNITS = 2**20  # in a tree; with a few more for small leaves, float32 holds them exactly

_Box = tuple[NDArray[np.bool_], ...]  # of each feature, which bins reach a node


@dataclass(frozen=True)
class _Nodes:
    """The nodes of one tree, as they are added.

    Guarantee: the right child follows the left one, and a parent comes before its children.
    Where XGBoost explains predictions, it takes the right child to be left + 1.
    """

    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    column: list[int] = field(default_factory=list)
    condition: list[float] = field(default_factory=list)
    missing_left: list[int] = field(default_factory=list)
    gain: list[float] = field(default_factory=list)
    leaf_cover: list[int] = field(default_factory=list)

    def add(self, parent: int) -> int:
        """Add a node, and return its number; it is a leaf of value 0 until it is changed."""
        self.parent.append(parent)
        self.condition.append(0.0)
        for numbers, value in ((self.left, -1), (self.right, -1), (self.column, 0)):
            numbers.append(value)
        self.missing_left.append(0)
        self.gain.append(0.0)
        self.leaf_cover.append(0)
        return len(self.parent) - 1

    def add_children(self, parent: int) -> tuple[int, int]:
        """Add the left and the right child of a node, and return their numbers."""
        self.left[parent], self.right[parent] = self.add(parent), self.add(parent)
        return self.left[parent], self.right[parent]

    def make_leaf(self, node: int, *, value: float, share: float) -> None:
        """Make a node a leaf, with its share of the cover of the tree."""
        self.condition[node] = value
        self.leaf_cover[node] = max(1, round(share * _COVER_UNITS))  # XGBoost divides by it

    def covers(self, unit: float) -> list[float]:
        """Return the cover of each node; that of a split is the sum of its leaves."""
        found = self.leaf_cover.copy()
        for node in range(len(found) - 1, 0, -1):
            found[self.parent[node]] += found[node]
        return [one * unit for one in found]

    def described(self, number: int, columns: int, cover_unit: float) -> dict[str, Any]:
        """Return the tree as XGBoost names its parts."""
        nodes = len(self.parent)
        return {
            "base_weights": [0.0] * nodes,
            "categories": [],
            "categories_nodes": [],
            "categories_segments": [],
            "categories_sizes": [],
            "default_left": self.missing_left,
            "id": number,
            "left_children": self.left,
            "loss_changes": self.gain,
            "parents": self.parent,
            "right_children": self.right,
            "split_conditions": self.condition,
            "split_indices": self.column,
            "split_type": [0] * nodes,
            "sum_hessian": self.covers(cover_unit),
            "tree_param": {
                "num_deleted": "0",
                "num_feature": str(columns),
                "num_nodes": str(nodes),
                "size_leaf_vector": "1",
            },
        }


def xgboost_columns(bins: TableBins) -> list[str]:
    """Return the columns that the file asks for: one per number, one per value of a category.

    A value's column is 1 where the record has the value, else 0. All columns of a missing value
    are NaN. XGBoost allows no brackets and no `<` in a name, so that they are written otherwise.
    """
    names = []
    for one in bins.features:
        name = one.feature.name
        names.extend([f"{name}={value}" for value in _values(one)] or [name])
    return [name.replace("[", "(").replace("]", ")").replace("<", "less than") for name in names]


def xgboost_json(forest: Forest, complete: int, objective: Objective) -> bytes:
    """Return the file.

    Its first tree is one leaf: the margin of a record in no tree. So the base score of the file
    is that of margin 0, whatever a version of XGBoost makes of it.

    The state holds no sums of second derivatives, so that the covers are not XGBoost's. The cover
    of a leaf is the share of all combinations of bins that end in it. Bins of numbers follow the
    quantiles of the records. Covers follow from the cuts, the schema and the plan, so that they
    tell nothing more about records than the splits do.

    Args:
        forest: The trees.
        complete: How many of them are complete.
        objective: What they minimise, and the unit of the leaves.
    """
    names = xgboost_columns(forest.cells.bins)
    base = _Nodes()
    value = float(objective.exported(forest.base, first=True))
    base.make_leaf(base.add(_NO_PARENT), value=value, share=1.0)
    grown = [base, *(_tree(forest, tree, objective) for tree in range(complete))]
    trees = [
        one.described(number, len(names), objective.cover_unit) for number, one in enumerate(grown)
    ]
    document = {
        "learner": {
            "attributes": {},
            "feature_names": names,
            "feature_types": ["float"] * len(names),
            "gradient_booster": {
                "model": {
                    "gbtree_model_param": {
                        "num_parallel_tree": "1",
                        "num_trees": str(len(trees)),
                    },
                    "iteration_indptr": list(range(len(trees) + 1)),
                    "tree_info": [0] * len(trees),
                    "trees": trees,
                },
                "name": "gbtree",
            },
            "learner_model_param": {
                "base_score": objective.base_score,
                "boost_from_average": "0",
                "num_class": "0",
                "num_feature": str(len(names)),
                "num_target": "1",
            },
            "objective": {
                "name": objective.name,
                "reg_loss_param": {"scale_pos_weight": "1"},
            },
        },
        "version": [2, 1, 0],
    }
    return json.dumps(document).encode()


def _tree(forest: Forest, tree: int, objective: Objective) -> _Nodes:
    """Return one tree, level by level; a node without a split becomes a leaf."""
    trees, inner = forest.trees, (1 << forest.plan.depth) - 1
    columns, every = _first_columns(forest.cells.bins), _every_bin(forest.cells.bins)
    nodes = _Nodes()
    waiting = deque([(nodes.add(_NO_PARENT), 0, every)])
    while waiting:
        here, place, box = waiting.popleft()
        while place < inner and not trees.feature[tree, place]:
            place = 2 * place + 1  # all records go to the first child
        if place >= inner:
            value = float(objective.exported(trees.leaf[tree, place - inner]))
            nodes.make_leaf(here, value=value, share=_share(box, every))
            continue
        feature = int(trees.feature[tree, place]) - 1
        one, cut = forest.cells.bins.features[feature], int(trees.cut[tree, place])
        turned = bool(_values(one))  # 1 is not below 0.5: the first child is on the right
        nodes.column[here] = columns[feature] + (cut if turned else 0)
        nodes.condition[here] = 0.5 if turned else _threshold(one, cut)
        nodes.missing_left[here] = int(bool(trees.missing_first[tree, place]) != turned)
        nodes.gain[here] = float(trees.gain[tree, place])
        left, right = nodes.add_children(here)
        goes_second = forest.second_bins(tree, np.array([place]))[0, : one.size]
        first, second = (right, left) if turned else (left, right)
        both = [
            (first, 2 * place + 1, _narrowed(box, feature, ~goes_second)),
            (second, 2 * place + 2, _narrowed(box, feature, goes_second)),
        ]
        waiting += sorted(both, key=lambda child: child[0])
    return nodes


def _every_bin(bins: TableBins) -> _Box:
    """Return the bins that reach a root; that of missing values only where there may be some."""
    return tuple(
        np.arange(one.size) < one.missing + int(one.feature.missing) for one in bins.features
    )


def _narrowed(box: _Box, feature: int, kept: NDArray[np.bool_]) -> _Box:
    return (*box[:feature], box[feature] & kept, *box[feature + 1 :])


def _share(box: _Box, every: _Box) -> float:
    """Return the share of all combinations of bins that are in a box."""
    return math.prod(
        int(one.sum()) / int(whole.sum()) for one, whole in zip(box, every, strict=True)
    )


def _threshold(one: FineBins, cut: int) -> float:
    return float(one.edges[cut]) if cut < len(one.edges) else _EVERY_VALUE


def _values(one: FineBins) -> tuple[str, ...]:
    """Return the declared values of a category; none of a number."""
    return one.feature.values if isinstance(one.feature, Category) else ()


def _first_columns(bins: TableBins) -> list[int]:
    return [0, *accumulate(len(_values(one)) or 1 for one in bins.features)]
