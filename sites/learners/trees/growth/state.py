"""The state of boosted trees: the trees so far, and what the next level needs.

A module of its own because sites, the coordinator of a run in the clear, the report and the
export all read it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Field, Layout, Tally, Vector
from sites.learners.exact_numbers import (
    LARGEST_WHOLE,
    ImpossibleState,
    as_float32_pairs,
    from_float32_pairs,
    require_finite,
    whole_numbers,
)
from sites.learners.trees.plan import TreesPlan
from sites.statistics.tally import TallyLayout

KINDS = 3  # of sums: persons, gradients, second derivatives

Whole = NDArray[np.int64]

_NOTHING = np.zeros(0, np.float32)
_NO_SITES = np.zeros(1, np.float32)
_MOST_SITES = 2.0**24
_MOST_CELLS = 2.0**24
# A step is below 2^25 gradients over one unit of a second derivative; so many leaves add up in
# float32.
_LARGEST_LEAF = 2.0**60


@dataclass(frozen=True, kw_only=True, eq=False)
class Trees:
    """The trees that a state holds, each complete to `depth`.

    Node i of a tree has the children 2 i + 1 and 2 i + 2. A node without a split sends all
    records to its first child, so that every record ends in one of the 2^depth leaves.

    Args:
        feature: Of each split, counted from 1; 0 for none. Shape (count, 2^depth - 1).
        cut: Bin of the feature: of a number, bins up to it go to the first child; of a category,
            this value alone. Same shape.
        missing_first: Whether missing values go to the first child. Same shape.
        gain: By how much the split lowers the loss, to second order. Same shape.
        leaf: Value of each leaf, shape (count, 2^depth).
        loss: Mean loss before each tree, as a share of the objective's limit, shape (count,).
    """

    feature: Whole
    cut: Whole
    missing_first: NDArray[np.bool_]
    gain: Vector
    leaf: NDArray[np.float32]
    loss: Vector


@dataclass(frozen=True, kw_only=True, eq=False)
class TreesState:
    """Where learning is.

    Args:
        exchanges: How many exchanges it took.
        trees: The trees so far.
        sums: Of each node of the last level, shape (2^(depth - 2), 3, cells): persons, gradients
            and second derivatives by feature and bin. Zero after the last level of a tree.
        second_sent: Of each pair of nodes of the next level, whether sites count the second.
        sites: Who added noise to the last sums; 0 where nobody does. Then no sums are kept.
    """

    exchanges: int
    trees: Trees
    sums: Tally
    second_sent: NDArray[np.bool_]
    sites: int = 0


@dataclass(frozen=True)
class StateForm:
    """The form of a state and of what sites count for its next step.

    Args:
        plan: Which trees are grown.
        cells: Bins of all features.
        noisy: Whether sums have noise. Then every node of a level is counted: what its sibling has
            less than their parent would have the noise of both.
    """

    plan: TreesPlan
    cells: int
    noisy: bool = False

    @property
    def counted_nodes(self) -> int:
        """Nodes that are counted in an exchange: one of each pair, or all if there is noise."""
        return 1 << (self.plan.depth - 1 if self.noisy else max(self.plan.depth - 2, 0))

    @property
    def kept_nodes(self) -> int:
        """Nodes whose sums a state holds."""
        return 0 if self.noisy else self.counted_nodes

    @cached_property
    def layout(self) -> Layout:
        """Of the state."""
        plan, nodes = self.plan, self.kept_nodes
        inner = (plan.count, (1 << plan.depth) - 1)
        kept = (
            (Field("sites", (1,)),)
            if self.noisy
            else (
                Field("sums", (2, nodes, KINDS, self.cells)),
                Field("second-sent", (nodes,)),
            )
        )
        return Layout(
            fields=(
                Field("feature", inner),
                Field("cut", inner),
                Field("missing-first", inner),
                Field("gain", inner),
                Field("leaf", (plan.count, 1 << plan.depth)),
                Field("loss", (plan.count,)),
                Field("exchanges", (1,)),
                *kept,
            ),
            start="trees/noisy/1" if self.noisy else "trees/1",
        )

    @cached_property
    def tally(self) -> TallyLayout:
        """Of what a site counts; with noise a site is counted, and the loss is not."""
        sums = self.counted_nodes * KINDS * self.cells
        if self.noisy:
            return TallyLayout({"sites": 1, "sums": sums})
        return TallyLayout({"sums": sums, "loss": 2, "records": 1})

    def read(self, vector: Vector) -> TreesState:
        """Return the state that a vector holds, shape (layout.dim,).

        Raises:
            LayoutMismatch: It has another shape.
            ImpossibleState: No run has this state.
        """
        arrays = self.layout.unflatten(require_finite(vector))
        pairs = arrays.get("sums", _NOTHING).ravel().astype(np.float64)
        whole = np.rint(from_float32_pairs(pairs))
        sums = whole_numbers("sums", whole, low=-LARGEST_WHOLE, high=LARGEST_WHOLE)
        most = self.plan.exchanges
        (exchanges,) = whole_numbers("exchanges", arrays["exchanges"], high=most)
        (sites,) = whole_numbers("sites", arrays.get("sites", _NO_SITES), high=_MOST_SITES)
        if (np.abs(arrays["leaf"]) > _LARGEST_LEAF).any():
            raise ImpossibleState("a leaf of a state is beyond all that a step gives")
        if ((arrays["loss"] < 0) | (arrays["loss"] > 1)).any():
            raise ImpossibleState("the loss of a state must be a share of its limit")
        return TreesState(
            exchanges=int(exchanges),
            trees=Trees(
                feature=whole_numbers("features", arrays["feature"], high=_MOST_CELLS),
                cut=whole_numbers("cuts", arrays["cut"], high=_MOST_CELLS),
                missing_first=arrays["missing-first"] > 0,
                gain=arrays["gain"].astype(np.float64),
                leaf=arrays["leaf"],
                loss=arrays["loss"].astype(np.float64),
            ),
            sums=sums.reshape(self.kept_nodes, KINDS, self.cells),
            second_sent=arrays.get("second-sent", _NOTHING) > 0,
            sites=int(sites),
        )

    def write(self, state: TreesState) -> Vector:
        """Return a state as a vector, the inverse of `read` once it is rounded to float32."""
        trees = state.trees
        parts = (
            trees.feature,
            trees.cut,
            trees.missing_first,
            trees.gain,
            trees.leaf,
            trees.loss,
            np.array([state.exchanges]),
            *(
                (np.array([state.sites]),)
                if self.noisy
                else (as_float32_pairs(state.sums.ravel().astype(np.float64)), state.second_sent)
            ),
        )
        return np.concatenate([np.asarray(part, np.float64).ravel() for part in parts])
