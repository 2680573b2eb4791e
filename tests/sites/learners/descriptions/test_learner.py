from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.contribution import SumOutOfBounds
from privacy.layout import Tally
from scenarios.library.registry import scenario_named
from sites.learner import BoundsEachRecord
from sites.learners.count_noise import CountNoise
from sites.learners.descriptions.learner import Description, NothingToJudge
from sites.plans import ModelPlan, PrivacyPlan, TrainingPlan
from sites.statistics.tally import ImpossibleTally
from sites.task import UnfitSchema
from sites.tasks.tabular.use_cases import tabular_task
from strategies.model_state import TallyStep
from tests.sites.learners.descriptions.described import CLASSES, drawn, statistics_of

LEARNER = Description(CLASSES)
TASK = LEARNER.at_site(tabular_task("diagnosis", CLASSES, ModelPlan(), seed=7))


@given(st.integers(0, 200), st.integers(0, 1000))
def test_the_state_is_the_pooled_counts_however_often_they_were_counted(n: int, seed: int) -> None:
    records = drawn(CLASSES, n, seed)
    statistics, step = statistics_of(CLASSES, records), TallyStep(LEARNER.move)
    tally = LEARNER.counts.tally(records, statistics)
    once = step.after(step.start(TASK.layout.dim), statistics, tally)
    twice = step.after(once, statistics, tally)
    assert once.vector.tobytes() == twice.vector.tobytes()
    LEARNER.contribution.check(tally, sites=1)
    if n:
        assert LEARNER.results(once.vector, statistics)["kind"] == "description"


def test_before_the_exchange_there_is_nothing() -> None:
    start = np.zeros(TASK.layout.dim)
    assert LEARNER.results(start, np.zeros(TASK.statistics.layout.size, np.int64)) == {}
    assert LEARNER.files(start, np.zeros(TASK.statistics.layout.size, np.int64)) == {}


def test_a_count_below_zero_counts_for_nothing() -> None:
    wrong = np.zeros(LEARNER.counts.layout.size, np.int64)
    wrong[3] = -1
    with pytest.raises(SumOutOfBounds):
        LEARNER.contribution.check(wrong, sites=1)


@pytest.mark.parametrize("part", ["0/records", "0/age/bins", "1/sex/bins"])
def test_counts_that_contradict_each_other_are_refused_in_words(part: str) -> None:
    """A site that lies would else end every member's run in an error of its report."""
    records = drawn(CLASSES, 100, 3)
    statistics = statistics_of(CLASSES, records)
    tally = LEARNER.counts.tally(records, statistics)
    LEARNER.counts.layout.part(part, tally)[0] += 1
    with pytest.raises(ImpossibleTally, match="another number of records"):
        LEARNER.move(np.zeros(TASK.layout.dim), statistics, tally)


def test_a_description_predicts_nothing() -> None:
    with pytest.raises(NothingToJudge, match="predicts nothing"):
        TASK.predict_columns({}, np.zeros(1, np.int64), np.zeros(1))


def test_texts_are_refused_in_words() -> None:
    with pytest.raises(UnfitSchema, match="these records are texts"):
        Description(scenario_named("clinical-notes").table)


NOISE = CountNoise(
    unit="person", epsilon=0.0, delta=0.0, noise_multiplier=2.0, most_records=3, rounds=1
)
NOISY = Description(CLASSES, NOISE)
PLAN = PrivacyPlan(
    unit="person", noise_multiplier=2.0, clip_norm=1.0, sampling_rate=1.0, steps=1,
    max_records_per_person=3,
)  # fmt: skip


def noisy(n: int, plan: PrivacyPlan = PLAN) -> Tally:
    """Return what a site with n records of one person each sends."""
    base = tabular_task("diagnosis", CLASSES, ModelPlan(), seed=7)
    training = drawn(CLASSES, n, 3)
    data = SimpleNamespace(training=training, train_examples=n)
    return (
        NOISY.at_site(base)
        .train(
            data,
            np.zeros(base.statistics.layout.size, np.int64),
            np.zeros(1),
            TrainingPlan(privacy=plan),
            rng=np.random.default_rng(0),
        )
        .summed
    )


@pytest.mark.parametrize("n", [0, 1, 300])
def test_a_site_adds_noise_to_every_count_whatever_it_holds(n: int) -> None:
    """A site without records is not told from others by an answer without noise."""
    first, second = noisy(n), noisy(n)
    moved = np.flatnonzero(NOISY.noise_scales)
    assert (first[moved] != second[moved]).mean() > 0.9
    assert first[0] == second[0] == 1
    NOISY.contribution.check(first, sites=1)
    with pytest.raises(SumOutOfBounds):
        LEARNER.contribution.check(np.full(LEARNER.counts.layout.size, -1), sites=1)


def test_the_noise_is_that_of_persons_with_all_their_records() -> None:
    by_record = replace(PLAN, unit="record")
    spreads = [
        np.std([NOISY.counts.layout.part("0/age/bins", noisy(0, plan)) for _ in range(40)])
        for plan in (PLAN, by_record)
    ]
    assert spreads[0] == pytest.approx(3 * 2.0 * NOISY.counts.count_scale, rel=0.1)
    assert spreads[1] == pytest.approx(2.0 * NOISY.counts.count_scale, rel=0.15)


def test_the_results_say_that_there_is_noise() -> None:
    assert isinstance(NOISY, BoundsEachRecord)
    vector = NOISY.move(np.zeros(1), np.zeros(1, np.int64), noisy(300))
    vector = vector.astype(np.float32).astype(np.float64)
    found = NOISY.results(vector, np.zeros(TASK.statistics.layout.size, np.int64))
    assert found["noise"]["most_records"] == 3
    files = NOISY.files(vector, np.zeros(TASK.statistics.layout.size, np.int64))
    assert b"noise of a count" in files["table1.csv"]
