"""Trees as a file that XGBoost reads (its JSON model, of version 2.1 and later).

A module of its own because the form of the file is XGBoost's.
"""

import json
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from sites.learners.fine_bins import FineBins, TableBins
from sites.learners.trees.growth.places import Forest
from sites.learners.trees.objective import Objective
from sites.schema.tables import Category

_NO_PARENT = 2**31 - 1
_EVERY_VALUE = float(np.finfo(np.float32).max)  # below this threshold is each value there is


@dataclass(frozen=True)
class _Nodes:
    """The nodes of one tree, as they are added."""

    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    column: list[int] = field(default_factory=list)
    condition: list[float] = field(default_factory=list)
    missing_left: list[int] = field(default_factory=list)
    gain: list[float] = field(default_factory=list)

    def add(self, parent: int, *, condition: float) -> int:
        """Add a leaf, and return its number; it becomes a split when it gets children."""
        self.parent.append(parent)
        self.condition.append(condition)
        for numbers, value in ((self.left, -1), (self.right, -1), (self.column, 0)):
            numbers.append(value)
        self.missing_left.append(0)
        self.gain.append(0.0)
        return len(self.parent) - 1

    def described(self, number: int, columns: int) -> dict[str, Any]:
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
            "sum_hessian": [0.0] * nodes,
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

    Args:
        forest: The trees.
        complete: How many of them are complete.
        objective: What they minimise, and the unit of the leaves.
    """
    names = xgboost_columns(forest.cells.bins)
    base = _Nodes()
    base.add(_NO_PARENT, condition=float(objective.exported(forest.base, first=True)))
    grown = [base, *(_tree(forest, tree, objective) for tree in range(complete))]
    trees = [one.described(number, len(names)) for number, one in enumerate(grown)]
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
    """Return one tree; a node without a split becomes a leaf."""
    trees, depth, columns = forest.trees, forest.plan.depth, _first_columns(forest.cells.bins)
    nodes, inner = _Nodes(), (1 << depth) - 1
    waiting = [(0, _NO_PARENT, False)]
    while waiting:
        place, parent, is_right = waiting.pop()
        while place < inner and not trees.feature[tree, place]:
            place = 2 * place + 1  # all records go to the first child
        leaf = float(objective.exported(trees.leaf[tree, place - inner])) if place >= inner else 0.0
        here = nodes.add(parent, condition=leaf)
        if parent != _NO_PARENT:
            (nodes.right if is_right else nodes.left)[parent] = here
        if place >= inner:
            continue
        feature = int(trees.feature[tree, place]) - 1
        one, cut = forest.cells.bins.features[feature], int(trees.cut[tree, place])
        turned = bool(_values(one))  # 1 is not below 0.5: the first child is on the right
        nodes.column[here] = columns[feature] + (cut if turned else 0)
        nodes.condition[here] = 0.5 if turned else _threshold(one, cut)
        nodes.missing_left[here] = int(bool(trees.missing_first[tree, place]) != turned)
        nodes.gain[here] = float(trees.gain[tree, place])
        first, second = 2 * place + 1, 2 * place + 2
        waiting += [(second, here, not turned), (first, here, turned)]
    return nodes


def _threshold(one: FineBins, cut: int) -> float:
    return float(one.edges[cut]) if cut < len(one.edges) else _EVERY_VALUE


def _values(one: FineBins) -> tuple[str, ...]:
    """Return the declared values of a category; none of a number."""
    return one.feature.values if isinstance(one.feature, Category) else ()


def _first_columns(bins: TableBins) -> list[int]:
    return [0, *accumulate(len(_values(one)) or 1 for one in bins.features)]
