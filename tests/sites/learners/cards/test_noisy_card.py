"""Cards from counts and sums with noise: what a person moves is bounded, whatever the state is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.layout import Tally, Vector
from sites.learner import BoundsEachRecord
from sites.learners.cards.learner import ScoreCard
from sites.learners.cards.plan import CardPlan
from sites.learners.count_noise import CountNoise
from sites.tasks.tabular.data import TableData
from tests.hostile_states import hostile_states, refused_or_done
from tests.neighbours import (
    largest_state,
    moved_by_one_person,
    noise_of,
    of_one_person,
    plan_of,
    with_person,
)
from tests.sites.learners.cards.card_records import SCHEMA, loans, site_data, task_of


def noisy(noise: CountNoise | None = None, *, monotone: str = "") -> ScoreCard:
    return ScoreCard.of(SCHEMA, CardPlan(monotone=monotone), noise or noise_of())


def nothing_counted(learner: ScoreCard) -> Tally:
    return np.zeros(task_of(learner).statistics.layout.size, np.int64)


def fitted(
    learner: ScoreCard, sites: list[TableData], exchanges: int, *, drawn: bool = True
) -> Vector:
    """Return the state after so many exchanges with noise, or as if the noise had been nothing."""
    task, noise = task_of(learner), learner.noise
    assert noise is not None
    vector, none = np.zeros(task.layout.dim), nothing_counted(learner)
    count = task.noisy_count if drawn else task.bounded_count
    for _ in range(exchanges):
        tallies = [count(one, none, vector, plan_of(noise)) for one in sites]
        pooled = np.asarray(np.sum(tallies, axis=0), np.int64)
        vector = learner.move(vector, none, pooled).astype(np.float32).astype(np.float64)
    return vector


@settings(max_examples=25)
@given(
    k=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    exchanges=st.integers(0, 2),
    wild=st.booleans(),
)
def test_a_person_moves_the_scaled_tally_by_no_more_than_its_counted_records(
    k: int, seed: int, exchanges: int, wild: bool
) -> None:
    """Whatever the state is: also one that a liar made up."""
    learner, data = noisy(noise_of(1e-3)), site_data(loans(400, seed=seed))
    vector = fitted(learner, [data], exchanges, drawn=False)
    if wild and exchanges:
        vector = made_up(learner, vector, seed)
    more = with_person(data, of_one_person(loans(k, seed=seed + 1)))
    plan = plan_of(noise_of(most=3), cap_seed=seed)
    far = moved_by_one_person(task_of(learner), (data, more), vector, plan)
    assert far <= min(k, 3) * (1 + 1e-12)
    assert (task_of(learner).scales(vector) <= learner.noise_scales).all()


def made_up(learner: ScoreCard, vector: Vector, seed: int) -> Vector:
    """Return a state with heights that no run reaches."""
    state = learner.form.state_of(vector)
    heights = largest_state(len(state.heights), seed)
    return learner.form.vector_of(replace(state, heights=heights))


def test_the_bound_is_nearly_reached() -> None:
    learner = noisy(noise_of(1e-3))
    data = site_data(loans(2000))
    start = np.zeros(task_of(learner).layout.dim)
    more = with_person(data, of_one_person(loans(1, seed=1)))
    plan = plan_of(noise_of())
    assert moved_by_one_person(task_of(learner), (data, more), start, plan) == pytest.approx(1.0)
    state = learner.form.state_of(fitted(learner, [data], 1, drawn=False))
    assert sum(one.n_bins > 1 for one in state.bins) == 3
    surely_first = replace(state, heights=np.append(40.0, np.zeros(len(state.heights) - 1)))
    second = loans(1, seed=1)
    more = with_person(data, of_one_person(replace(second, labels=np.ones(1, np.int64))))
    vector = learner.form.vector_of(surely_first)
    assert moved_by_one_person(task_of(learner), (data, more), vector, plan) > 0.99


@pytest.mark.parametrize("exchanges", [0, 1])
def test_a_site_without_records_sends_noise_like_any_other(exchanges: int) -> None:
    learner, empty = noisy(noise_of(50.0)), site_data(loans(0))
    vector = fitted(learner, [site_data(loans(2000))], exchanges, drawn=False)
    plan, none = plan_of(noise_of(50.0)), nothing_counted(learner)
    first, second = (task_of(learner).noisy_count(empty, none, vector, plan) for _ in range(2))
    counted = learner.scales_at(learner.form.state_of(vector)) > 0
    assert counted.any()
    assert (first[counted] != second[counted]).mean() > 0.9
    assert first[0] == 1
    assert not first[1:][~counted[1:]].any()
    learner.contribution.check(first, sites=1)


def test_features_that_say_nothing_are_not_summed_and_make_no_noise() -> None:
    learner, data = noisy(noise_of(1e-3)), site_data(loans(2000))
    scattered = np.random.default_rng(1).permutation(data.training.columns["bill"])
    columns = {**data.training.columns, "bill": scattered}
    data = site_data(replace(data.training, columns=columns))
    state = learner.form.state_of(fitted(learner, [data], 1, drawn=False))
    assert state.bins[1].n_bins == 1
    scales = learner.scales_at(state)
    assert set(scales[scales > 0]) == {2.0**16 * np.sqrt(3)}
    assert learner.noise_scales.max() == 2.0**16 * np.sqrt(4)


def test_with_little_noise_the_card_ranks_as_the_exact_one_does() -> None:
    data, exact = site_data(loans(4000)), ScoreCard.of(SCHEMA, CardPlan())
    learner = noisy(noise_of(1e-3, most=1))
    found = probabilities(learner, fitted(learner, [data], 12, drawn=False))
    task, vector = task_of(exact), np.zeros(task_of(exact).layout.dim)
    statistics = task.statistics_of(data)
    for _ in range(12):
        vector = exact.move(vector, statistics, task.count(data, statistics, vector))
    wanted = probabilities(exact, vector)
    assert np.corrcoef(np.log(found / (1 - found)), np.log(wanted / (1 - wanted)))[0, 1] > 0.95
    assert abs(found.mean() - wanted.mean()) < 0.03


def probabilities(learner: ScoreCard, vector: Vector) -> Vector:
    return task_of(learner).predict_columns(
        loans(1000, seed=9).columns, nothing_counted(learner), vector
    )


def test_bins_stand_out_of_the_noise_of_their_counts() -> None:
    """Noise alone makes no bins: then everybody has the same points."""
    learner = noisy(noise_of(20.0))
    vector = fitted(learner, [site_data(loans(0))] * 4, 3)
    assert [one.n_bins for one in learner.form.state_of(vector).bins] == [1, 1, 1]
    assert np.isfinite(vector).all()


def test_curves_keep_their_direction_in_noise() -> None:
    learner = noisy(noise_of(2.0, most=1), monotone="age:down")
    state = learner.form.state_of(fitted(learner, [site_data(loans(4000))], 5))
    heights = state.anchor[1 : 1 + len(state.bins[0].edges) + 1]
    assert (np.diff(heights) >= 0).all()  # log-odds of the first class


def test_results_tell_the_noise_of_a_count_over_all_sites() -> None:
    learner = noisy(noise_of(2.0, most=3))
    assert isinstance(learner, BoundsEachRecord)
    sites = [site_data(loans(500, seed=one)) for one in (1, 2)]
    found = learner.results(fitted(learner, sites, 2), nothing_counted(learner))
    assert found["noise"]["deviation"] == pytest.approx(np.sqrt(2 * (36 * 3 + 4)), rel=0.01)
    assert (found["noise"]["sites"], found["noise"]["most_records"]) == (2, 3)
    assert found["exchanges"] == 2


LEARNER, OWN = noisy(), site_data(loans(400), loans(50))
HONEST = fitted(LEARNER, [OWN], 2)


@settings(max_examples=60)
@given(st.data())
def test_whatever_state_it_is_shown_a_site_refuses_it_by_name_or_counts(
    data: st.DataObject,
) -> None:
    """A coordinator that lies gets a code; an error of another kind would be a fault of ours."""
    task, none = task_of(LEARNER), nothing_counted(LEARNER)
    shown = data.draw(hostile_states(HONEST, task.layout))
    for work in (
        lambda: task.bounded_count(OWN, none, shown, plan_of(noise_of())),
        lambda: task.evaluate(OWN, none, shown),
        lambda: LEARNER.results(shown, none),
    ):
        assert refused_or_done(work) in {"", "impossible-state"}
