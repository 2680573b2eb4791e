"""Boosted trees on exact sums of gradients by node, feature and bin (Friedman 2001).

Each exchange grows all trees by one level. Sites count one node of each pair; the other is what
its parent has more.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from privacy.contribution import LARGEST_ENTRY, ExactTally
from privacy.layout import Tally, Vector
from sites.learners.bin_cells import Cells, agreed_sums
from sites.learners.exact_numbers import ImpossibleState
from sites.learners.fine_bins import bin_sizes, fine_bins
from sites.learners.plans import LearnerPlans
from sites.learners.trees.growth.noisy_sums import NO_NOISE, SumsNoise
from sites.learners.trees.growth.places import Forest
from sites.learners.trees.growth.splits import Splits, best_splits, leaf_values, node_totals
from sites.learners.trees.growth.state import KINDS, StateForm, Trees, TreesState
from sites.learners.trees.objective import (
    GRADIENT_UNIT,
    LARGEST_DERIVATIVE,
    Objective,
    objective_of,
)
from sites.learners.trees.plan import TreesPlan
from sites.learners.trees.task import TreesTask
from sites.learners.trees.xgboost_file import xgboost_json
from sites.schema.tables import Schema
from sites.schema.texts import AnySchema
from sites.statistics.normalisation import Constants
from sites.statistics.tables import TableStatistics
from sites.statistics.tally import ImpossibleTally, real_sums
from sites.task import Task

XGBOOST = "xgboost.json"

# Of the noise of each kind of sum, over the most that a record moves it: a leaf is a sum of
# gradients over a much larger one of second derivatives, so that noise in the gradients matters.
_RELATIVE = (2.0, 1.0, 4.0)
_SHARES = sum(one**-2 for one in _RELATIVE)
KIND_SCALES = np.array(_RELATIVE) * np.array([1.0, LARGEST_DERIVATIVE, LARGEST_DERIVATIVE])


def boosted_trees(schema: AnySchema, plans: LearnerPlans) -> "BoostedTrees":
    """Return the learner.

    Raises:
        BadPlan: The records are no table, or the label is neither of two classes nor a number.
    """
    objective_of(schema)
    return BoostedTrees(cast("Schema", schema), plans)


@dataclass(frozen=True)
class BoostedTrees:
    """Trees are grown level by level, each on the gradients that the trees before it left.

    Guarantee: `move` gives the same bits for the sum of the sites' tallies as for the tally of
    all records in one place.

    To make one, use `boosted_trees`.
    """

    schema: Schema
    plans: LearnerPlans = field(default_factory=LearnerPlans)

    @property
    def name(self) -> str:
        """What people call it."""
        return "trees"

    @property
    def contribution(self) -> ExactTally:
        """Sums by node and cell, the loss, and the records.

        A site has fewer than 2^25 records, and each changes a sum by 2^16 units at most. So an
        entry is below 2^41, whatever the records are.
        """
        return ExactTally(size=self.form.tally.size, bounds=(1 - LARGEST_ENTRY, LARGEST_ENTRY - 1))

    @property
    def predicts(self) -> bool:
        """True: trees score."""
        return True

    @property
    def exchanges_per_step(self) -> int:
        """One for each level of a tree: a tree that is still growing scores nothing."""
        return self.plan.depth

    @property
    def noisy_instead(self) -> str:
        """Nothing: noise can be added to sums by bin, of which a record moves few."""
        return ""

    @cached_property
    def noise_scales(self) -> Vector:
        """The scale of each entry where there is noise, shape (form.tally.size,).

        Guarantee: one record moves the tally, each entry divided by its scale, by at most 1 in L2;
        so one person with at most k records moves it by at most k, by the triangle inequality.

        Proof. In an exchange a record is in one node. In each of the F features that the tree may
        split on it is in one bin, whose sums it moves: the number of records by 1, that of
        gradients by at most 2^16 units, and that of second derivatives by at most 2^16 units (see
        `Objective`). With the scales of `KIND_SCALES`, which are 2, 2^16 and 2^18 times D, that is
        1/2, 1 and 1/4 over D at most, and all sums together move by at most
        sqrt(F (1/4 + 1 + 1/16)) / D = 1, as D^2 = 1.3125 F. Entries without a scale do not depend
        on records: that a site is there, and sums that are 0 at every site, because no value of
        the schema is in their bin.

        In an exchange only some entries are counted (`scales_at`), by which a record moves less.
        Without noise there are no scales: all are 0.
        """
        if not self.form.noisy:
            return np.zeros(self.form.tally.size)
        return self._scales(np.ones(self._shape, bool))

    def scales_at(self, exchanges: int) -> Vector:
        """Return the scales of the entries that are counted after so many exchanges, 0 elsewhere.

        They are of the nodes of a level, and of the features that its tree may split on. After the
        last exchange nothing is counted.
        """
        tree, level = divmod(exchanges, self.plan.depth)
        counted = np.zeros(self._shape, bool)
        if exchanges < self.plan.exchanges:
            counted[: 1 << level] = self._declared.tried(tree, self.plan.features)
        return self._scales(counted)

    @property
    def count_scale(self) -> float:
        """The scale of a sum that a record moves by 1 at most: D of `noise_scales`."""
        taken = self.plan.features or len(self.schema.features)
        return math.sqrt(_SHARES * min(taken, len(self.schema.features)))

    @property
    def plan(self) -> TreesPlan:
        """Which trees are grown."""
        return self.plans.trees

    @cached_property
    def form(self) -> StateForm:
        """The form of the state and of a tally."""
        cells = sum(bin_sizes(self.schema, pieces=self.plan.bins))
        return StateForm(self.plan, cells, noisy=self.plans.noise is not None)

    @cached_property
    def objective(self) -> Objective:
        """What is minimised."""
        return objective_of(self.schema)

    @property
    def units(self) -> Vector:
        """Of persons, gradients and second derivatives, shape (3,)."""
        return np.array([1.0, GRADIENT_UNIT, self.objective.second_derivative_unit])

    def cells(self, statistics: Tally) -> Cells:
        """Return the bins of all features, which follow from the pooled statistics."""
        return self._derived(statistics)[0]

    def _derived(self, statistics: Tally) -> tuple[Cells, Constants]:
        """Return what follows from the pooled statistics, derived once a run."""
        key = statistics.tobytes()
        found = self._made.get(key)
        if found is None:
            fine = fine_bins(self.schema, statistics, pieces=self.plan.bins)
            found = Cells(fine), TableStatistics(self.schema).constants(statistics)
            self._made.clear()
            self._made[key] = found
        return found

    @cached_property
    def _made(self) -> dict[bytes, tuple[Cells, Constants]]:
        return {}

    def forest(self, state: TreesState, statistics: Tally) -> Forest:
        """Return the trees of a state, for records to go through.

        Raises:
            ImpossibleState: A tree splits on a feature or at a bin that is not there.
        """
        cells, constants = self._derived(statistics)
        base = self.objective.base(constants)
        used = np.array([1, *(one.used for one in cells.bins.features)])
        feature, cut = state.trees.feature, state.trees.cut
        if feature.max(initial=0) >= len(used) or (cut >= used[feature]).any():
            raise ImpossibleState(
                "a tree of a state splits on a feature or a bin that is not there"
            )
        return Forest(state.trees, self.plan, cells, base)

    def at_site(self, task: Task[Any]) -> TreesTask:
        """Return the use case, counted."""
        return TreesTask(task, self)

    def move(self, vector: Vector, statistics: Tally, pooled: Tally) -> Vector:
        """Return the state with one more level, or the same one if all trees are complete.

        Raises:
            ImpossibleTally: A node would have fewer than no persons: a site sent what no records
                have.
        """
        state = self.form.read(vector)
        if state.exchanges >= self.plan.exchanges:
            return vector
        tree, level = divmod(state.exchanges, self.plan.depth)
        cells, sites = self.cells(statistics), self._sites(pooled)
        noise = self._noise_of(sites)
        sums = self._level_sums(state, cells, pooled)
        splits = best_splits(sums, cells, self.plan, self.units, tree=tree, noise=noise)
        trees = self._with_level(state.trees, tree, level, splits)
        if level == 0:
            trees.loss[tree] = self._mean_loss(pooled)
        seconds = node_totals(sums, cells) - splits.first
        kept, second_sent = np.zeros_like(state.sums), np.zeros_like(state.second_sent)
        if level + 1 == self.plan.depth:
            leaves = np.stack([splits.first, seconds], axis=1).reshape(-1, KINDS)
            variances = noise.variances[1] * splits.spreads.ravel()
            trees.leaf[tree] = leaf_values(leaves, self.plan, self.units, variances)
        elif len(kept):
            kept[: len(sums)] = sums
            # The smaller child is counted: that takes less time, and says the same.
            second_sent[: len(sums)] = seconds[:, 0] < splits.first[:, 0]
        return self.form.write(
            replace(
                state,
                exchanges=state.exchanges + 1,
                trees=trees,
                sums=kept,
                second_sent=second_sent,
                sites=sites,
            )
        )

    def results(self, vector: Vector, statistics: Tally) -> Mapping[str, Any]:
        """Return what the trees say: the gain by feature, and the loss before each tree."""
        state = self.form.read(vector)
        complete = state.exchanges // self.plan.depth
        begun = -(-state.exchanges // self.plan.depth)
        feature, gain = state.trees.feature[:complete], state.trees.gain[:complete]
        importance = [
            {
                "feature": item.name,
                "gain": float(gain[feature == place].sum()),
                "splits": int((feature == place).sum()),
            }
            for place, item in enumerate(self.schema.features, 1)
        ]
        begun = 0 if self.form.noisy else begun
        losses = [self.objective.shown_loss(float(one)) for one in state.trees.loss[:begun]]
        return {
            "kind": "trees",
            "trees": complete,
            "asked": self.plan.count,
            "depth": self.plan.depth,
            "learning-rate": self.plan.learning_rate,
            "min-records": self.plan.min_records,
            "importance": sorted(importance, key=lambda one: (-one["gain"], one["feature"])),
            "loss-name": self.objective.loss_name,
            "loss": losses,
            **self._noise_results(state),
        }

    def files(self, vector: Vector, statistics: Tally) -> Mapping[str, bytes]:
        """Return the trees as XGBoost reads them."""
        state = self.form.read(vector)
        forest = self.forest(state, statistics)
        complete = state.exchanges // self.plan.depth
        return {XGBOOST: xgboost_json(forest, complete, self.objective)}

    def _level_sums(self, state: TreesState, cells: Cells, pooled: Tally) -> Tally:
        """Return the sums of every node of a level, shape (2^level, 3, cells)."""
        tree, level = divmod(state.exchanges, self.plan.depth)
        counted = self.form.tally.part("sums", pooled).reshape(-1, KINDS, self.form.cells)
        if self.form.noisy:
            return agreed_sums(counted[: 1 << level], cells, cells.tried(tree, self.plan.features))
        if level == 0:
            sums = counted[:1]
        else:
            pairs = 1 << (level - 1)
            sent, others = counted[:pairs], state.sums[:pairs] - counted[:pairs]
            second = state.second_sent[:pairs, None, None]
            both = [np.where(second, others, sent), np.where(second, sent, others)]
            sums = np.stack(both, axis=1).reshape(-1, *sent.shape[1:])
        if sums[:, 0].min() < 0 or sums[:, 2].min() < 0:
            raise ImpossibleTally(
                "a bin of a node has fewer than no persons: a site sent what no records have"
            )
        return sums

    def _with_level(self, trees: Trees, tree: int, level: int, splits: Splits) -> Trees:
        here = slice((1 << level) - 1, (2 << level) - 1)
        grown = {
            name: getattr(trees, name).copy()
            for name in ("feature", "cut", "missing_first", "gain", "leaf", "loss")
        }
        for name in ("feature", "cut", "missing_first", "gain"):
            grown[name][tree, here] = getattr(splits, name)
        return Trees(**grown)

    def _noise_results(self, state: TreesState) -> Mapping[str, Any]:
        """Return how much noise there is: in the number of records in a bin, over all sites."""
        noise = self.plans.noise
        if noise is None or not state.sites:
            return {}
        count = noise.entry_deviation(self.count_scale * float(KIND_SCALES[0]))
        return {"noise": noise.shown(sites=state.sites, deviation=count)}

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (self.form.counted_nodes, KINDS, self.form.cells)

    @cached_property
    def _declared(self) -> Cells:
        """The bins where nothing was counted before, as there is noise: of equal width."""
        return self.cells(np.zeros(TableStatistics(self.schema).layout.size, np.int64))

    def _scales(self, counted: NDArray[np.bool_]) -> Vector:
        of_kind = self.count_scale * KIND_SCALES[:, None]
        scales = np.where(counted & self._declared.live, of_kind, 0.0)
        return np.concatenate([[0.0], scales.ravel()])

    def _sites(self, pooled: Tally) -> int:
        return self.form.tally.count("sites", pooled) if self.form.noisy else 0

    def _noise_of(self, sites: int) -> SumsNoise:
        """Return the noise of the sums over so many sites."""
        if self.plans.noise is None:
            return NO_NOISE
        scales = (self.count_scale * KIND_SCALES).tolist()
        cell = self.units * [self.plans.noise.entry_deviation(one) for one in scales]
        return SumsNoise(np.asarray(sites * cell * cell, np.float64))

    def _mean_loss(self, pooled: Tally) -> float:
        if self.form.noisy:
            return 0.0
        (total,) = real_sums(self.form.tally.part("loss", pooled))
        records = self.form.tally.count("records", pooled)
        # A site that lies moves it no further than records could.
        return min(max(float(total) / records, 0.0), 1.0) if records > 0 else 0.0
