import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.contribution import SumOutOfBounds
from scenarios.library.registry import scenario_named
from sites.learners.descriptions.learner import Description, NothingToJudge
from sites.plans import ModelPlan
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


def test_a_description_predicts_nothing() -> None:
    with pytest.raises(NothingToJudge, match="predicts nothing"):
        TASK.predict_columns({}, np.zeros(1, np.int64), np.zeros(1))


def test_texts_are_refused_in_words() -> None:
    with pytest.raises(UnfitSchema, match="these records are texts"):
        Description(scenario_named("clinical-notes").table)
