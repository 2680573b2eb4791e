"""Where records are in the trees is computed once, and again where it was forgotten."""

import numpy as np
import pytest

from privacy.layout import Tally
from privacy.storage.site_process import SITE_PROCESS
from sites.learners.trees.growth.places import BinnedTable, Forest, binned_table
from sites.tasks.tabular.data import Table
from tests.grown_trees import grown, learner_of, records, schema_of, site, statistics_of

LEARNER, TABLE = learner_of(schema_of()), records(1, 300)


def forest_of(exchanges: int) -> tuple[Forest, Tally]:
    sites = [site(TABLE)]
    statistics = statistics_of(LEARNER, sites)
    state = LEARNER.form.read(grown(LEARNER, sites, exchanges=exchanges))
    return LEARNER.forest(state, statistics), statistics


def binned(table: Table, statistics: Tally) -> BinnedTable:
    return binned_table(table, LEARNER.cells(statistics).bins, statistics.tobytes())


def by_hand(forest: Forest, table: Table, row: int, trees: int) -> float:
    """Return the margin of one record, tree by tree, from its values."""
    margin = np.float32(forest.base)
    for tree in range(trees):
        node, inner = 0, (1 << forest.plan.depth) - 1
        while node < inner:
            feature = int(forest.trees.feature[tree, node])
            first = True
            if feature:
                one, cut = forest.cells.bins.features[feature - 1], forest.trees.cut[tree, node]
                value = table.columns[one.feature.name][row]
                if np.isnan(value) or (one.feature.kind == "category" and value < 0):
                    first = bool(forest.trees.missing_first[tree, node])
                elif one.feature.kind == "category":
                    first = value == cut
                else:
                    first = cut >= len(one.edges) or np.float32(value) < one.edges[cut]
            node = 2 * node + (1 if first else 2)
        margin = np.float32(margin + forest.trees.leaf[tree, node - inner])
    return float(margin)


def test_margins_are_those_of_each_record_by_itself() -> None:
    forest, statistics = forest_of(LEARNER.plan.exchanges)
    places = binned(TABLE, statistics).places(forest, LEARNER.plan.exchanges)
    found = [by_hand(forest, TABLE, row, LEARNER.plan.count) for row in range(len(TABLE))]
    assert places.margins.tolist() == found
    assert len(set(found)) > 5


def test_a_process_that_kept_the_last_places_computes_one_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    one_more = Forest.after_one_more

    def noted(forest: Forest, places: object, exchanges: int, codes: object) -> object:
        asked.append(exchanges)
        return one_more(forest, places, exchanges, codes)  # type: ignore[arg-type]

    forests = {exchanges: forest_of(exchanges) for exchanges in (4, 5)}
    SITE_PROCESS.clear()
    monkeypatch.setattr(Forest, "after_one_more", noted)
    for exchanges, (forest, statistics) in forests.items():
        binned(TABLE, statistics).places(forest, exchanges)
    assert asked == [0, 1, 2, 3, 4]
    asked.clear()
    binned(TABLE, forests[5][1]).places(forests[5][0], 5)
    assert asked == []


def test_places_in_other_trees_are_not_taken_for_these() -> None:
    """Two runs in one process, of which the second has other trees."""
    forest, statistics = forest_of(6)
    kept = binned(TABLE, statistics)
    kept.places(forest, 6)
    other = Forest(forest.trees, forest.plan, forest.cells, np.float32(1.5))
    forest.trees.leaf[0] += 1
    assert kept.places(other, 6).margins.tolist() != kept.places(forest, 6).margins.tolist()
    fresh = forest.start(len(TABLE))
    for one in range(6):
        fresh = forest.after_one_more(fresh, one, kept.codes)
    assert kept.places(forest, 6).margins.tobytes() == fresh.margins.tobytes()


def test_a_table_is_put_into_bins_once_for_its_statistics() -> None:
    _, statistics = forest_of(0)
    assert binned(TABLE, statistics) is binned(TABLE, statistics)
    assert binned(TABLE, statistics + 0) is binned(TABLE, statistics)
    others = statistics_of(LEARNER, [site(records(2, 100))])
    assert binned(TABLE, others) is not binned(TABLE, statistics)


def test_each_person_is_counted_once() -> None:
    table = records(1, 100, persons=20)
    statistics = statistics_of(LEARNER, [site(table)])
    found = binned(table, statistics).first
    assert found.sum() == len(np.unique(table.persons))
    assert set(table.persons[found == 1]) == set(table.persons)
