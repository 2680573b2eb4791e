"""Trees on sums with noise: what a person moves is bounded, and noise is told from records."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.contribution import LARGEST_ENTRY
from privacy.layout import Tally, Vector
from sites.learner import BoundsEachRecord
from sites.learners.count_noise import CountNoise
from sites.learners.trees.learner import BoostedTrees
from sites.learners.trees.plan import TreesPlan
from sites.schema.tables import Label
from sites.tasks.tabular.data import Table, TableData
from tests.grown_trees import DAYS, ILL, learner_of, records, schema_of, site, stored, task_of
from tests.neighbours import (
    largest_state,
    moved_by_one_person,
    noise_of,
    of_one_person,
    plan_of,
    with_person,
)

PLAN = TreesPlan(count=4, depth=3, min_records=10, learning_rate=0.5)


def noisy(
    label: Label = ILL, *, features: int = 0, noise: CountNoise | None = None
) -> BoostedTrees:
    plan = replace(PLAN, features=features)
    return learner_of(schema_of(label), plan, noise=noise or noise_of())


def nothing_counted(learner: BoostedTrees) -> Tally:
    return np.zeros(task_of(learner).statistics.layout.size, np.int64)


def grown(
    learner: BoostedTrees, sites: list[TableData], exchanges: int, *, drawn: bool = True
) -> Vector:
    """Return the state after so many exchanges with noise, or as if the noise had been nothing."""
    task, noise = task_of(learner), learner.plans.noise
    assert noise is not None
    vector, none = np.zeros(task.layout.dim), nothing_counted(learner)
    count = task.noisy_count if drawn else task.bounded_count
    for _ in range(exchanges):
        tallies = [count(one, none, vector, plan_of(noise)) for one in sites]
        pooled = np.asarray(np.sum(tallies, axis=0), np.int64)
        vector = stored(learner.move(vector, nothing_counted(learner), pooled))
    return vector


def made_up(learner: BoostedTrees, vector: Vector, exchanges: int, leaves: Vector) -> Vector:
    """Return a state with such leaves, as large as one can be."""
    state, leaves = learner.form.read(vector), np.clip(leaves, -(2.0**60), 2.0**60)
    trees = replace(state.trees, leaf=leaves.reshape(state.trees.leaf.shape).astype(np.float32))
    return learner.form.write(replace(state, trees=trees, exchanges=exchanges))


@settings(max_examples=25)
@given(
    k=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    label=st.sampled_from([ILL, DAYS]),
    features=st.integers(0, 3),
    exchanges=st.integers(0, 12),
    wild=st.booleans(),
)
def test_a_person_moves_the_scaled_tally_by_no_more_than_its_counted_records(
    k: int, seed: int, label: Label, features: int, exchanges: int, wild: bool
) -> None:
    """Whatever the state is: also one that a liar made up."""
    learner = noisy(label, features=features)
    task, data = task_of(learner), site(records(seed, 30, label, persons=12))
    vector = grown(learner, [data], min(exchanges, 3), drawn=False)
    if wild:
        vector = made_up(learner, vector, exchanges, largest_state(4 * 8, seed))
    more = with_person(data, of_one_person(records(seed + 1, k, label)))
    plan = plan_of(noise_of(most=3), cap_seed=seed)
    bound = min(k, 3) * (1 + 1e-12)
    assert moved_by_one_person(task, (data, more), vector, plan) <= bound


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_a_record_moves_it_by_one_at_most_if_records_are_protected(seed: int) -> None:
    """Also one of a person of whom there are more: no other record takes its place."""
    learner = noisy()
    table = records(seed, 20, persons=4)
    kept = np.arange(20) != seed % 20
    plan = replace(plan_of(noise_of()), unit="record")
    sites = site(table), site(table.select(kept))
    vector = np.zeros(task_of(learner).layout.dim)
    assert moved_by_one_person(task_of(learner), sites, vector, plan) <= 1 + 1e-12


@pytest.mark.parametrize("k", [1, 5])
def test_the_bound_is_nearly_reached(k: int) -> None:
    learner = noisy(DAYS)
    extreme = records(1, 1, DAYS)
    extreme = Table(
        columns={name: np.repeat(one, k) for name, one in extreme.columns.items()},
        labels=np.full(k, 60.0),
        persons=np.repeat(extreme.persons, k),
    )
    none, start = site(records(1, 0, DAYS)), np.zeros(task_of(learner).layout.dim)
    predicts_nothing = made_up(learner, start, 3, np.full(4 * 8, -9.0))
    far = moved_by_one_person(
        task_of(learner),
        (none, with_person(none, extreme)),
        predicts_nothing,
        plan_of(noise_of(most=k)),
    )
    assert 0.99 * k < far <= k * (1 + 1e-12)


def test_features_that_have_no_turn_are_not_counted_and_get_no_noise() -> None:
    learner = noisy(features=1)
    assert learner.count_scale == pytest.approx(noisy().count_scale / np.sqrt(3))
    seen = []
    for exchanges in range(PLAN.exchanges + 1):
        scales = learner.scales_at(exchanges)[1:]
        by_node = scales.reshape(learner.form.counted_nodes, 3, -1)
        nodes = np.flatnonzero(by_node.any(axis=(1, 2)))
        features = np.unique(learner.cells(nothing_counted(learner)).features[by_node[0, 1] > 0])
        seen.append((len(nodes), features.tolist()))
        assert (scales <= learner.noise_scales[1:]).all()
    assert seen[:4] == [(1, [0]), (2, [0]), (4, [0]), (1, [1])]
    assert [one for _, one in seen[::3]] == [[0], [1], [2], [0], []]


def test_a_site_without_records_sends_noise_like_any_other() -> None:
    learner = noisy(noise=noise_of(50.0))
    empty, task = site(records(1, 0)), task_of(learner)
    vector = np.zeros(task.layout.dim)
    first, second = (
        task.noisy_count(empty, nothing_counted(learner), vector, plan_of(noise_of(50.0)))
        for _ in range(2)
    )
    counted = learner.scales_at(0) > 0
    assert (first[counted] != second[counted]).mean() > 0.9
    assert not first[1:][~counted[1:]].any()
    learner.contribution.check(first, sites=1)


def test_with_little_noise_the_trees_are_nearly_those_without() -> None:
    data = site(records(1, 2000), records(2, 800))
    tiny = noisy(noise=noise_of(1e-3, most=1))
    vector = grown(tiny, [data], PLAN.exchanges, drawn=False)
    found, _ = task_of(tiny).score(data, nothing_counted(tiny), vector)
    exact = learner_of(schema_of(), PLAN)
    state, task = np.zeros(task_of(exact).layout.dim), task_of(exact)
    for _ in range(PLAN.exchanges):
        tally = task.count(data, nothing_counted(exact), state)
        state = stored(exact.move(state, nothing_counted(exact), tally))
    wanted, _ = task.score(data, nothing_counted(exact), state)
    assert np.abs(found - wanted).max() < 0.01


def test_noise_alone_makes_hardly_any_split_and_hardly_moves_a_leaf() -> None:
    learner = noisy(noise=noise_of(20.0))
    vector = grown(learner, [site(records(1, 0))] * 4, PLAN.exchanges)
    trees = learner.form.read(vector).trees
    assert (trees.feature > 0).mean() < 0.3
    assert np.isfinite(vector).all()


def test_results_tell_the_noise_of_a_count_over_all_sites() -> None:
    learner = noisy(noise=noise_of(2.0, most=3))
    assert isinstance(learner, BoundsEachRecord)
    vector = grown(learner, [site(records(1, 200)), site(records(2, 200))], 3)
    found = learner.results(vector, nothing_counted(learner))
    counts = 2.0 * 3 * learner.count_scale * 2.0 * np.sqrt(2)
    assert found["noise"]["deviation"] == pytest.approx(counts, rel=0.01)
    assert found["noise"] | {"deviation": 0} == {
        "unit": "person", "most_records": 3, "sites": 2, "deviation": 0,
    }  # fmt: skip
    assert found["loss"] == []
    low, high = learner.contribution.bounds
    assert (low, high) == (1 - LARGEST_ENTRY, LARGEST_ENTRY - 1)
