"""Federated trees are the trees of all records in one place, to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from privacy.contribution import LARGEST_ENTRY
from privacy.storage.site_process import SITE_PROCESS
from sites.learners.registry import learner_for
from sites.learners.trees.learner import BoostedTrees
from sites.learners.trees.plan import TreesPlan
from sites.plans import BadPlan
from sites.schema.tables import ClassLabel, Label
from sites.statistics.tally import ImpossibleTally
from sites.tasks.tabular.data import Table, TableData, pooled_table
from tests.grown_trees import (
    DAYS,
    ILL,
    SMALL,
    fewest_persons,
    grown,
    in_bins,
    learner_of,
    plans_of,
    records,
    schema_of,
    site,
    statistics_of,
    task_of,
)

LABELS = (ILL, DAYS)


def parts_of(table: Table, seed: int, n_sites: int) -> list[TableData]:
    """Return the records, each at one of so many sites; some sites may have none."""
    rng = np.random.default_rng(seed)
    people, whose = np.unique(table.persons, return_inverse=True)
    of_person = rng.integers(0, n_sites, len(people))
    return [site(table.select(of_person[whose] == one)) for one in range(n_sites)]


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 400),
    n_sites=st.integers(1, 5),
    persons=st.sampled_from([60, 10**9]),
    label=st.sampled_from(LABELS),
)
def test_any_split_of_the_records_over_sites_grows_the_same_trees_to_the_bit(
    seed: int, n: int, n_sites: int, persons: int, label: Label
) -> None:
    learner, table = learner_of(schema_of(label)), records(seed, n, label, persons=persons)
    parts = parts_of(table, seed, n_sites)
    everything = site(pooled_table([part.training for part in parts]))
    assert grown(learner, parts).tobytes() == grown(learner, [everything]).tobytes()


@given(seed=st.integers(0, 10_000), label=st.sampled_from(LABELS))
@settings(max_examples=5)
def test_a_process_that_forgets_everything_between_exchanges_counts_the_same(
    seed: int, label: Label
) -> None:
    learner, data = learner_of(schema_of(label)), site(records(seed, 200, label))
    kept = grown(learner, [data])
    task, statistics = task_of(learner), statistics_of(learner, [data])
    vector = np.zeros(task.layout.dim)
    for _ in range(learner.plan.exchanges):
        SITE_PROCESS.clear()
        tally = task.count(data, statistics, vector)
        vector = learner.move(vector, statistics, tally).astype(np.float32).astype(np.float64)
    assert vector.tobytes() == kept.tobytes()


def odd_sites() -> dict[str, Table]:
    table = records(3, 60)
    missing = {
        "age": np.full(60, np.nan),
        "bill": table.columns["bill"],
        "ward": np.full(60, -1, np.int64),
    }
    constant = {"age": np.full(60, 50.0), "bill": np.zeros(60), "ward": np.ones(60, np.int64)}
    return {
        "empty": table.select(np.zeros(60, bool)),
        "one class": table.select(table.labels == 1),
        "one record": table.select(np.arange(60) == 7),
        "missing": replace(table, columns=missing),
        "constant": replace(table, columns=constant),
    }


@pytest.mark.parametrize("kind", odd_sites())
def test_sites_with_hardly_any_information_take_part(kind: str) -> None:
    learner, odd = learner_of(schema_of()), site(odd_sites()[kind])
    for sites in ([odd], [site(records(4, 100)), odd]):
        vector = grown(learner, sites)
        assert np.isfinite(vector).all()
        predictions, _ = task_of(learner).score(
            site(records(5, 0), records(5, 40)), statistics_of(learner, sites), vector
        )
        assert ((predictions > 0) & (predictions < 1)).all()


@given(seed=st.integers(0, 10_000), persons=st.integers(30, 90))
@settings(max_examples=10)
def test_every_leaf_has_the_records_of_as_many_persons_as_the_plan_says(
    seed: int, persons: int
) -> None:
    learner, table = learner_of(schema_of()), records(seed, 300, persons=persons)
    vector, statistics = grown(learner, [site(table)]), statistics_of(learner, [site(table)])
    assert fewest_persons(learner, statistics, vector, table) >= learner.plan.min_records


def test_a_finished_state_holds_trees_and_no_sums() -> None:
    learner, data = learner_of(schema_of()), site(records(1, 300))
    state = learner.form.read(grown(learner, [data]))
    assert not state.sums.any()
    assert state.trees.feature.any(axis=1).all()
    before = learner.form.read(grown(learner, [data], exchanges=2))
    assert before.sums.any()


def test_a_step_after_the_last_tree_changes_nothing() -> None:
    learner, data = learner_of(schema_of()), site(records(1, 300))
    vector, statistics = grown(learner, [data]), statistics_of(learner, [data])
    tally = task_of(learner).count(data, statistics, vector)
    assert not tally.any()
    assert learner.move(vector, statistics, tally).tobytes() == vector.tobytes()


def test_a_child_with_more_persons_than_its_parent_is_refused() -> None:
    learner, data = learner_of(schema_of()), site(records(1, 300))
    vector, statistics = grown(learner, [data], exchanges=1), statistics_of(learner, [data])
    tally = task_of(learner).count(data, statistics, vector)
    tally[0] += 1000
    with pytest.raises(ImpossibleTally, match="fewer than no persons"):
        learner.move(vector, statistics, tally)


def test_no_records_can_overflow_a_tally() -> None:
    """As many records as the statistics of a site allow, each with the largest derivatives."""
    most = (2**25 - 1) * 2**16
    contribution = learner_of(schema_of()).contribution
    assert most < LARGEST_ENTRY
    low, high = contribution.bounds
    assert low <= -most
    assert most <= high


@pytest.mark.parametrize("label", LABELS, ids=("classes", "number"))
def test_trees_are_as_good_as_those_of_scikit_learn_in_the_same_bins(label: Label) -> None:
    plan = TreesPlan(count=30, depth=4, min_records=20)
    learner, table, other = (
        learner_of(schema_of(label), plan),
        records(1, 3000, label),
        records(2, 3000, label),
    )
    data = site(table, other)
    statistics, vector = statistics_of(learner, [data]), grown(learner, [data])
    ours, _ = task_of(learner).score(data, statistics, vector)
    asked = {
        "max_iter": 30,
        "max_depth": 4,
        "max_leaf_nodes": None,
        "l2_regularization": 1.0,
        "min_samples_leaf": 20,
        "early_stopping": False,
    }
    bins = learner.cells(statistics).bins
    if isinstance(label, ClassLabel):
        theirs = HistGradientBoostingClassifier(**asked).fit(in_bins(table, bins), table.labels)
        found = theirs.predict_proba(in_bins(other, bins))[:, 1]
        losses = [
            -np.log(np.where(other.labels == 1, one, 1 - one)).mean() for one in (ours, found)
        ]
    else:
        model = HistGradientBoostingRegressor(**asked).fit(in_bins(table, bins), table.labels)
        found = model.predict(in_bins(other, bins))
        losses = [((one - other.labels) ** 2).mean() for one in (ours, found)]
    assert losses[0] <= losses[1] * 1.01
    assert np.corrcoef(ours, found)[0, 1] > 0.99


def test_results_name_the_features_by_gain_and_the_loss_before_each_tree() -> None:
    learner, data = learner_of(schema_of()), site(records(1, 400))
    statistics = statistics_of(learner, [data])
    found = learner.results(grown(learner, [data]), statistics)
    assert found["kind"] == "trees"
    assert (found["trees"], found["asked"]) == (3, 3)
    assert {one["feature"] for one in found["importance"]} == {"age", "bill", "ward"}
    gains = [one["gain"] for one in found["importance"]]
    assert gains == sorted(gains, reverse=True)
    assert len(found["loss"]) == 3
    assert found["loss"][0] > found["loss"][-1] > 0
    begun = learner.results(grown(learner, [data], exchanges=4), statistics)
    assert (begun["trees"], len(begun["loss"])) == (1, 2)


def test_the_loss_before_the_first_tree_is_that_of_the_pooled_share() -> None:
    learner, data = learner_of(schema_of()), site(records(1, 400))
    statistics = statistics_of(learner, [data])
    found = learner.results(grown(learner, [data], exchanges=1), statistics)
    share = data.training.labels.mean()
    deviance = -2 * (share * np.log(share) + (1 - share) * np.log(1 - share))
    assert found["loss"] == [pytest.approx(deviance, abs=1e-4)]


def test_trees_have_as_many_rounds_as_levels() -> None:
    assert plans_of(SMALL).exchanges("") == 9
    learner = learner_for("diagnosis", schema_of(), plans_of(SMALL))
    assert learner == learner_of(schema_of())
    assert learner.noisy_instead == ""
    assert learner.name == "trees"


def test_a_label_of_several_classes_is_refused_in_words() -> None:
    several = schema_of(ClassLabel(column="grade", classes=("a", "b", "c")))
    with pytest.raises(BadPlan, match="two classes or is a number"):
        learner_for("diagnosis", several, plans_of(SMALL))


def test_two_learners_of_one_plan_are_equal() -> None:
    assert BoostedTrees(schema_of(), plans_of(SMALL)) == learner_of(schema_of())
