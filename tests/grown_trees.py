"""Small tables for boosted trees, and trees grown on them, exchange by exchange."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from privacy.layout import Tally, Vector
from sites.learners.count_noise import CountNoise
from sites.learners.fine_bins import TableBins
from sites.learners.plans import LearnerPlan, LearnerPlans
from sites.learners.trees.learner import BoostedTrees, boosted_trees
from sites.learners.trees.plan import TreesPlan
from sites.learners.trees.task import TreesTask
from sites.plans import ModelPlan
from sites.schema.tables import Category, ClassLabel, Label, Number, NumberLabel, Schema
from sites.tasks.registry import task_for
from sites.tasks.tabular.data import Table, TableData

ILL = ClassLabel(column="ill", classes=("no", "yes"))
DAYS = NumberLabel(column="days", low=0, high=60, unit="days")
SMALL = TreesPlan(count=3, depth=3, min_records=10)


def schema_of(label: Label = ILL) -> Schema:
    """Return a schema with each kind of feature."""
    return Schema(
        name="ward",
        person="person",
        features=(
            Number(name="age", low=0, high=100, missing=True),
            Number(name="bill", low=-1e3, high=1e6, scale="log"),
            Category(name="ward", values=("day", "night", "intensive"), missing=True),
        ),
        label=label,
    )


def records(seed: int, n: int, label: Label = ILL, *, persons: int = 10**9) -> Table:
    """Return n records in which the label depends on every feature, some of them missing."""
    rng = np.random.default_rng(seed)
    age, bill = rng.uniform(0, 100, n), np.expm1(rng.uniform(-3, 12, n))
    ward = rng.integers(-1, 3, n)
    age[rng.random(n) < 0.1] = np.nan
    score = np.nan_to_num(age, nan=80) / 50 + (bill > 1e3) + (ward == 2) + rng.normal(size=n) - 2.5
    whole = isinstance(label, ClassLabel)
    labels: Any = (score > 0).astype(np.int64) if whole else np.clip(20 + 8 * score, 0, 60)
    names = rng.integers(0, persons, n) if persons < 10**9 else np.arange(n)
    return Table(
        columns={"age": age, "bill": np.clip(bill, -1e3, 1e6), "ward": ward},
        labels=labels,
        persons=np.array([f"{seed}-{one}" for one in names], dtype=str),
    )


def site(training: Table, held_out: Table | None = None) -> TableData:
    """Return a site's records."""
    empty = training.select(np.zeros(len(training), bool))
    n_classes = 2 if training.labels.dtype == np.int64 else 0
    return TableData(training=training, held_out=held_out or empty, n_classes=n_classes)


def learner_of(
    schema: Schema, plan: TreesPlan = SMALL, *, noise: CountNoise | None = None
) -> BoostedTrees:
    """Return the learner of a run that names it."""
    return boosted_trees(schema, plans_of(plan, noise=noise))


def plans_of(plan: TreesPlan, *, noise: CountNoise | None = None) -> LearnerPlans:
    """Return what such a run asks."""
    return LearnerPlans(chosen=LearnerPlan(name="trees"), trees=plan, noise=noise)


def task_of(learner: BoostedTrees) -> TreesTask:
    """Return the use case as sites carry it out."""
    name = "diagnosis" if isinstance(learner.schema.label, ClassLabel) else "house-prices"
    model = ModelPlan(name="logistic" if name == "diagnosis" else "linear")
    task = task_for(name, learner.schema, model, seed=7, learning=learner.plans)
    assert isinstance(task, TreesTask)
    return task


def statistics_of(learner: BoostedTrees, sites: Sequence[TableData]) -> Tally:
    """Return the pooled statistics of sites."""
    task = task_of(learner)
    return np.asarray(np.sum([task.statistics_of(one) for one in sites], axis=0), np.int64)


def stored(vector: Vector) -> Vector:
    """Return a state as a run keeps it."""
    return vector.astype(np.float32).astype(np.float64)


def grown(
    learner: BoostedTrees, sites: Sequence[TableData], *, exchanges: int | None = None
) -> Vector:
    """Return the state after all exchanges, or so many."""
    task, statistics = task_of(learner), statistics_of(learner, sites)
    vector = np.zeros(task.layout.dim)
    for _ in range(learner.plan.exchanges if exchanges is None else exchanges):
        tallies = [task.count(one, statistics, vector) for one in sites]
        for tally in tallies:
            learner.contribution.check(tally, sites=1)
        vector = stored(learner.move(vector, statistics, np.sum(tallies, axis=0)))
    return vector


def fewest_persons(learner: BoostedTrees, statistics: Tally, vector: Vector, table: Table) -> int:
    """Return how many persons have records in the leaf of some tree that has fewest, but any."""
    forest = learner.forest(learner.form.read(vector), statistics)
    codes = learner.cells(statistics).bins.codes(table.columns)
    found: list[int] = []
    for tree in range(learner.plan.count):
        leaves = np.zeros(len(table), np.int64)
        for level in range(learner.plan.depth):
            leaves = forest.children(leaves, tree, level, codes)
        found.extend(len(np.unique(table.persons[leaves == one])) for one in np.unique(leaves))
    return min(found)


def in_bins(table: Table, bins: TableBins) -> np.ndarray[Any, Any]:
    """Return the bins as numbers, categories by value, NaN where missing."""
    columns = []
    for one in bins.features:
        codes = one.codes(table.columns[one.feature.name])
        whole = np.where(codes == one.missing, np.nan, codes.astype(float))
        values = range(len(one.feature.values)) if isinstance(one.feature, Category) else ()
        found = [np.where(np.isnan(whole), np.nan, whole == value) for value in values]
        columns.extend(found or [whole])
    return np.stack(columns, axis=1)
