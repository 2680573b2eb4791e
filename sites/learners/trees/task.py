"""A use case as boosted trees carry it out at a site: it counts, and adds up leaves."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Layout, Tally, Vector
from sites.learners.bin_cells import Cells
from sites.learners.counted_tables import (
    BoundedTable,
    CappedRecords,
    Columns,
    TableRecords,
    TableSides,
)
from sites.learners.trees.growth.places import BinnedTable, Forest, binned_table
from sites.learners.trees.growth.state import StateForm, TreesState
from sites.learners.trees.objective import Margins, Objective
from sites.learners.trees.plan import TreesPlan
from sites.plans import Labels, Predictions, PrivacyPlan
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

    def scales_at(self, exchanges: int) -> Vector:
        """Return the scales of the entries that are counted after so many exchanges."""

    def cells(self, statistics: Tally) -> Cells:
        """Return the bins of all features."""

    def forest(self, state: TreesState, statistics: Tally) -> Forest:
        """Return the trees of a state."""


@dataclass(frozen=True)
class TreesTask(BoundedTable):
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
        state, layout = self.learner.form.read(vector), self.learner.form.tally
        if state.exchanges >= self.learner.plan.exchanges:
            return np.zeros(layout.size, np.int64)
        binned = self._binned(data.training, pooled)
        places = binned.places(self.learner.forest(state, pooled), state.exchanges)
        nodes = _counted_nodes(state, places.nodes, state.exchanges % self.learner.plan.depth)
        targets = self.learner.objective.targets(data.training.labels)
        losses = self.learner.objective.losses(places.margins, targets)
        return layout.join(
            {
                "sums": self._sums(data.training, binned, places.margins, nodes),
                "loss": fixed_point(losses),
                "records": np.array([len(targets)]),
            }
        )

    def bounded_count(
        self, data: TableSides, pooled: Tally, vector: Vector, plan: PrivacyPlan
    ) -> Tally:
        """Return the sums of all nodes of the next level, in which each record counts as one.

        The first record of a person would be another one if that were taken away.
        """
        learner = self.learner
        state, layout = learner.form.read(vector), learner.form.tally
        if state.exchanges >= learner.plan.exchanges:
            return np.zeros(layout.size, np.int64)
        binned = self._binned(data.training, pooled)
        places = binned.places(learner.forest(state, pooled), state.exchanges)
        # Those that are not counted stay in the table, whose places this process keeps.
        nodes = np.full_like(places.nodes, -1)
        rows = CappedRecords(data.training, plan).rows
        nodes[rows] = places.nodes[rows]
        every = replace(binned, first=np.ones_like(binned.first))
        # A state from a liar can make a margin no number, which no bound would hold for.
        margins = np.nan_to_num(places.margins)
        sums = self._sums(data.training, every, margins, nodes).ravel()
        whole = layout.join({"sites": np.array([1]), "sums": sums})
        counted = learner.scales_at(state.exchanges) > 0
        counted[:1] = True  # that the site is there
        return np.where(counted, whole, 0)

    def scales(self, vector: Vector) -> Vector:
        """Return the scale of each entry at a state; after the last exchange all send zeros."""
        return self.learner.scales_at(self.learner.form.read(vector).exchanges)

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

    def _sums(
        self, table: TableRecords, binned: BinnedTable, margins: Margins, nodes: NDArray[np.int64]
    ) -> Tally:
        """Return the sums by node and cell, shape (counted nodes, 3, cells)."""
        objective = self.learner.objective
        gradients, seconds = objective.derivatives(margins, objective.targets(table.labels))
        weights = (binned.first, gradients, seconds)
        return binned.counted.sums(nodes, weights, n_nodes=self.learner.form.counted_nodes)

    def _binned(self, table: TableRecords, pooled: Tally) -> BinnedTable:
        return binned_table(table, self.learner.cells(pooled).bins, pooled.tobytes())


def _counted_nodes(state: TreesState, nodes: NDArray[np.int64], level: int) -> NDArray[np.int64]:
    """Return the pair of each record whose node is counted, -1 for the others."""
    if level == 0:
        return nodes
    pairs = nodes // 2
    return np.where(nodes % 2 == state.second_sent[pairs], pairs, -1)
