"""A use case as boosted trees carry it out at a site: it counts, and adds up leaves."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Layout, Tally, Vector
from sites.learners.counted_tables import Columns, CountedTable, TableRecords, TableSides
from sites.learners.trees.growth.places import BinnedTable, Forest, binned_table
from sites.learners.trees.growth.splits import Cells
from sites.learners.trees.growth.state import StateForm, TreesState
from sites.learners.trees.objective import Objective
from sites.learners.trees.plan import TreesPlan
from sites.plans import Labels, Predictions
from sites.statistics.tally import fixed_point


class Grown(Protocol):
    """What a site needs of the learner."""

    @property
    def plan(self) -> TreesPlan:
        """Which trees are grown."""

    @property
    def form(self) -> StateForm:
        """The form of the state and of a tally."""

    @property
    def objective(self) -> Objective:
        """What is minimised."""

    def cells(self, statistics: Tally) -> Cells:
        """Return the bins of all features."""

    def forest(self, state: TreesState, statistics: Tally) -> Forest:
        """Return the trees of a state."""


@dataclass(frozen=True)
class TreesTask(CountedTable):
    """The use case at a site.

    Args:
        learner: What the trees are.
    """

    learner: Grown

    @property
    def layout(self) -> Layout:
        """Layout of the state."""
        return self.learner.form.layout

    def count(self, data: TableSides, pooled: Tally, vector: Vector) -> Tally:
        """Return the sums of the nodes that the next level needs."""
        learner, plan = self.learner, self.learner.plan
        state = learner.form.read(vector)
        layout = learner.form.tally
        if state.exchanges >= plan.exchanges:
            return np.zeros(layout.size, np.int64)
        table = data.training
        binned = self._binned(table, pooled)
        places = binned.places(learner.forest(state, pooled), state.exchanges)
        targets = learner.objective.targets(table.labels)
        gradients, seconds = learner.objective.derivatives(places.margins, targets)
        sums = binned.counted.sums(
            _counted_nodes(state, places.nodes, state.exchanges % plan.depth),
            (binned.first, gradients, seconds),
            n_nodes=learner.form.counted_nodes,
        )
        losses = learner.objective.losses(places.margins, targets)
        return layout.join(
            {"sums": sums, "loss": fixed_point(losses), "records": np.array([len(targets)])}
        )

    def score(self, data: TableSides, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return held-out predictions and labels, row by row; they never leave the site."""
        binned, state = self._binned(data.held_out, pooled), self.learner.form.read(vector)
        complete = state.exchanges - state.exchanges % self.learner.plan.depth
        places = binned.places(self.learner.forest(state, pooled), complete)
        return self.learner.objective.predictions(places.margins), data.held_out.labels

    def predict_columns(self, columns: Columns, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for records by column, row by row."""
        learner, state = self.learner, self.learner.form.read(vector)
        codes = learner.cells(pooled).bins.codes(columns)
        forest = learner.forest(state, pooled)
        places = forest.start(codes.shape[1])
        for one in range(state.exchanges - state.exchanges % learner.plan.depth):
            places = forest.after_one_more(places, one, codes)
        return learner.objective.predictions(places.margins)

    def _binned(self, table: TableRecords, pooled: Tally) -> BinnedTable:
        return binned_table(table, self.learner.cells(pooled).bins, pooled.tobytes())


def _counted_nodes(state: TreesState, nodes: NDArray[np.int64], level: int) -> NDArray[np.int64]:
    """Return the pair of each record whose node is counted, -1 for the others."""
    if level == 0:
        return nodes
    pairs = nodes // 2
    return np.where(nodes % 2 == state.second_sent[pairs], pairs, -1)
