"""Trees as a graph, from the columns of a table to the probability or the number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from privacy.layout import Tally, Vector
from sites.graphs.columns import GraphColumns
from sites.graphs.graph import LEARNING, Graph, GraphOutput
from sites.graphs.scaling import add_one_hot, add_unscaled
from sites.learners.fine_bins import FineBins, TableBins
from sites.learners.trees.growth.places import Forest
from sites.learners.trees.learner import BoostedTrees
from sites.schema.tables import Category, Label, NumberLabel

_STEEPEST = 40.0


@dataclass(frozen=True)
class _Ensemble:
    """The nodes of all trees, as ONNX lists them: an entry a node in each list."""

    trees: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    where_true: list[int] = field(default_factory=list)
    where_false: list[int] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)

    def add(self, tree: int, node: int, *, mode: str = "LEAF", value: float = 0.0) -> None:
        """Add a node, a leaf unless a mode is named."""
        self.trees.append(tree)
        self.nodes.append(node)
        self.columns.append(0)
        self.values.append(value)
        self.modes.append(mode)
        self.where_true.append(0)
        self.where_false.append(0)
        self.missing_true.append(0)


def trees_graph(learner: BoostedTrees, statistics: Tally, vector: Vector) -> Graph:
    """Return the graph of the trees that are complete: `probability` or `value`.

    Args:
        learner: The learner.
        statistics: The pooled statistics, from which the bins follow.
        vector: The state, shape (dim,).
    """
    state = learner.form.read(vector)
    forest = learner.forest(state, statistics)
    columns = GraphColumns.of(learner.schema)
    complete = state.exchanges // learner.plan.depth
    margin = (
        _add_margin(columns, forest, complete) if complete else columns.add_same(float(forest.base))
    )
    return columns.graph([_output(columns, learner.schema.label, margin)])


def _output(columns: GraphColumns, label: Label, margin: str) -> GraphOutput:
    """Return the prediction that a margin stands for."""
    draft = columns.draft
    if isinstance(label, NumberLabel):
        said = f"{label.column}{f' in {label.unit}' if label.unit else ''}"
        return GraphOutput(name="value", tensor=add_unscaled(draft, label, margin), says=said)
    clipped = draft.add_clipped(margin, -_STEEPEST, _STEEPEST)
    return GraphOutput(
        name="probability",
        tensor=draft.add("Sigmoid", clipped),
        says=f"of {label.column} = {label.classes[1]}",
    )


def _add_margin(columns: GraphColumns, forest: Forest, complete: int) -> str:
    """Add the sum of the leaves, in float32 as the learner adds them; return the tensor."""
    draft, ensemble, leaves = columns.draft, _Ensemble(), list[float]()
    for tree in range(complete):
        leaves += _add_tree(ensemble, forest, tree)
    places = [at for at, mode in enumerate(ensemble.modes) if mode == "LEAF"]
    summed = draft.add(
        "TreeEnsembleRegressor",
        _add_inputs(columns, forest.cells.bins),
        domain=LEARNING,
        n_targets=1,
        aggregate_function="SUM",
        base_values=[float(forest.base)],
        nodes_treeids=ensemble.trees,
        nodes_nodeids=ensemble.nodes,
        nodes_featureids=ensemble.columns,
        nodes_values=ensemble.values,
        nodes_modes=ensemble.modes,
        nodes_truenodeids=ensemble.where_true,
        nodes_falsenodeids=ensemble.where_false,
        nodes_missing_value_tracks_true=ensemble.missing_true,
        target_treeids=[ensemble.trees[at] for at in places],
        target_nodeids=[ensemble.nodes[at] for at in places],
        target_ids=[0] * len(places),
        target_weights=leaves,
    )
    return draft.add_float64(draft.add_row(summed))


def _add_tree(ensemble: _Ensemble, forest: Forest, tree: int) -> list[float]:
    """Add a tree; return the values of its leaves, in the order of the nodes."""
    trees, inner = forest.trees, (1 << forest.plan.depth) - 1
    firsts, leaves = _first_columns(forest.cells.bins.features), list[float]()
    waiting = [0]
    for name, place in enumerate(waiting):  # which grows: a node is named by where it stands
        while place < inner and not trees.feature[tree, place]:
            place = 2 * place + 1
        if place >= inner:
            ensemble.add(tree, name)
            leaves.append(float(trees.leaf[tree, place - inner]))
            continue
        feature = int(trees.feature[tree, place]) - 1
        one, cut = forest.cells.bins.features[feature], int(trees.cut[tree, place])
        mode, value = _condition(one, cut)
        ensemble.add(tree, name, mode=mode, value=value)
        of_value = isinstance(one.feature, Category)
        ensemble.columns[-1] = firsts[feature] + (cut if of_value else 0)
        ensemble.missing_true[-1] = int(trees.missing_first[tree, place])
        ensemble.where_true[-1], ensemble.where_false[-1] = len(waiting), len(waiting) + 1
        waiting += [2 * place + 1, 2 * place + 2]
    return leaves


def _condition(one: FineBins, cut: int) -> tuple[str, float]:
    """Return the condition under which a record goes to the first child."""
    if isinstance(one.feature, Category):
        return "BRANCH_GTE", 0.5
    if cut < len(one.edges):
        return "BRANCH_LT", float(one.edges[cut])
    return "BRANCH_LEQ", math.inf  # every value there is


def _add_inputs(columns: GraphColumns, bins: TableBins) -> str:
    """Add what the trees read: a column a number, one a value of a category, NaN where missing.

    Returns:
        The tensor, float32, shape (n, columns).
    """
    draft, parts = columns.draft, []
    for one in bins.features:
        item = one.feature
        if isinstance(item, Category):
            nothing = draft.add_constant(np.nan)
            held, missing = add_one_hot(columns, item), draft.add_column(columns.missing[item.name])
            parts.append(draft.add("Where", missing, nothing, held))
        else:
            held = columns.add_chosen(item, missing=np.nan, present=columns.values[item.name])
            parts.append(draft.add_column(held))
    return draft.add_float32(draft.add("Concat", *parts, axis=1))


def _first_columns(features: Sequence[FineBins]) -> list[int]:
    """Return the first column of each feature."""
    widths = (
        len(one.feature.values) if isinstance(one.feature, Category) else 1 for one in features
    )
    return [0, *accumulate(widths)]
