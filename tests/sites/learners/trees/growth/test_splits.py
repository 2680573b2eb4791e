"""The best split is the one that an exhaustive search over records finds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sites.learners.bin_cells import Cells
from sites.learners.fine_bins import fine_bins
from sites.learners.trees.growth.node_sums import CountedRecords
from sites.learners.trees.growth.splits import best_splits, leaf_values, node_totals
from sites.learners.trees.plan import TreesPlan
from sites.schema.tables import Category
from sites.statistics.tables import TableStatistics
from tests.grown_trees import records, schema_of

PLAN = TreesPlan(min_records=10, min_child_weight=0.5, l2=1.0)
UNITS = np.array([1.0, 2.0**-16, 2.0**-18])


def best_gain(codes: np.ndarray, cells: Cells, g: np.ndarray, h: np.ndarray) -> float:
    """Return the gain of the best split of all records, tried one by one."""
    best = 0.0
    for feature, one in enumerate(cells.bins.features):
        for cut in range(one.used):
            for missing_first in (False, True):
                own = codes[feature].astype(int)
                same = isinstance(one.feature, Category)
                first = (own == cut) if same else (own <= cut)
                first = np.where(own == one.missing, missing_first, first)
                if min(first.sum(), (~first).sum()) < PLAN.min_records:
                    continue
                if min(h[first].sum(), h[~first].sum()) < PLAN.min_child_weight:
                    continue
                score = sum(
                    g[part].sum() ** 2 / (h[part].sum() + PLAN.l2) for part in (first, ~first)
                )
                best = max(best, score - g.sum() ** 2 / (h.sum() + PLAN.l2))
    return best


@given(seed=st.integers(0, 10_000), n=st.integers(0, 150))
@settings(max_examples=25)
def test_no_split_is_better_than_the_one_found(seed: int, n: int) -> None:
    rng, table = np.random.default_rng(seed), records(seed, n)
    statistics = TableStatistics(schema_of()).tally(table.columns, table.labels, persons=n)
    bins = fine_bins(schema_of(), statistics, pieces=32)
    codes, cells = bins.codes(table.columns), Cells(bins)
    gradients = rng.integers(-(2**16), 2**16, n).astype(float)
    seconds = rng.integers(0, 2**16, n).astype(float)
    sums = CountedRecords.made_of(codes, bins).sums(
        np.zeros(n, np.int64), (np.ones(n), gradients, seconds), n_nodes=1
    )
    found = best_splits(sums, cells, PLAN, UNITS)
    wanted = best_gain(codes, cells, gradients * UNITS[1], seconds * UNITS[2])
    assert found.gain[0] == pytest.approx(wanted, rel=1e-6, abs=1e-9)
    assert (found.feature[0] > 0) == (wanted > 0)
    whole = node_totals(sums, cells)[0]
    if found.feature[0]:
        assert found.first[0, 0] >= PLAN.min_records
        assert whole[0] - found.first[0, 0] >= PLAN.min_records
    else:
        assert (found.first[0] == whole).all()  # all records go to the first child


def test_of_equal_splits_the_lowest_feature_and_bin_is_taken() -> None:
    """Two features hold the same: the first is split, where its gap begins."""
    schema = schema_of()
    twins = schema.model_copy(
        update={
            "features": tuple(
                one.model_copy(update={"name": name})
                for one, name in ((schema.features[0], "age"), (schema.features[0], "twin"))
            )
        }
    )
    age = np.repeat([10.0, 90.0], 50)
    columns = {"age": age, "twin": age}
    statistics = TableStatistics(twins).tally(columns, np.zeros(100, np.int64), persons=100)
    bins = fine_bins(twins, statistics, pieces=32)
    gradients = np.repeat([-100.0, 100.0], 50)
    sums = CountedRecords.made_of(bins.codes(columns), bins).sums(
        np.zeros(100, np.int64), (np.ones(100), gradients, np.full(100, 2.0**16)), n_nodes=1
    )
    found = best_splits(sums, Cells(bins), PLAN, UNITS)
    low = int(bins.features[0].codes(np.array([10.0]))[0])
    assert (found.feature[0], found.cut[0], bool(found.missing_first[0])) == (1, low, False)


def test_equal_gradients_are_not_split() -> None:
    table = records(1, 100)
    statistics = TableStatistics(schema_of()).tally(table.columns, table.labels, persons=100)
    bins = fine_bins(schema_of(), statistics, pieces=32)
    weights = (np.ones(100), np.full(100, 3.0), np.full(100, 5.0))
    sums = CountedRecords.made_of(bins.codes(table.columns), bins).sums(
        np.zeros(100, np.int64), weights, n_nodes=1
    )
    plan = replace(PLAN, l2=0.0, min_child_weight=0.0)
    assert best_splits(sums, Cells(bins), plan, UNITS).feature.tolist() == [0]


def test_a_leaf_is_a_step_of_newton_and_zero_where_nothing_is_known() -> None:
    totals = np.array([[10, 2**16, 3 * 2**18], [0, 0, 0]])
    plan = TreesPlan(l2=1.0, learning_rate=0.5)
    assert leaf_values(totals, plan, UNITS).tolist() == [-0.125, 0.0]
    assert leaf_values(totals[1:], replace(plan, l2=0.0), UNITS).tolist() == [0.0]
