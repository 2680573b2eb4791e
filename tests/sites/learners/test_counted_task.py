import numpy as np
import pytest

from sites.learners.counted_task import CountedTask
from sites.learners.descriptions.learner import Description
from sites.plans import BadPlan, ModelPlan, PrivacyPlan, TrainingPlan
from sites.tasks.registry import task_for
from sites.tasks.tabular.use_cases import tabular_task
from tests.sites.learners.descriptions.described import CLASSES, drawn, statistics_of

BASE = tabular_task("diagnosis", CLASSES, ModelPlan(), seed=7)
TASK = Description(CLASSES).at_site(BASE)


class Data:
    """Records of a site, all to be counted."""

    training = held_out = drawn(CLASSES, 60, 3)
    train_examples = 60


def test_what_the_records_are_stays_the_use_cases() -> None:
    assert (TASK.name, TASK.schema, TASK.model) == (BASE.name, BASE.schema, BASE.model)
    assert TASK.statistics is BASE.statistics
    assert TASK.evaluation is BASE.evaluation


def test_what_is_sent_is_what_is_counted_and_nothing_is_trained() -> None:
    data, statistics = Data(), statistics_of(CLASSES, Data.training)
    vector, rng = np.zeros(TASK.layout.dim), np.random.default_rng(0)
    TASK.prepare()
    sent = TASK.train(data, statistics, vector, TrainingPlan(), rng=rng)  # type: ignore[arg-type]
    assert sent.update.size == 0
    assert sent.steps == 0
    assert sent.num_examples == 60
    counted = TASK.count(data, statistics, vector)  # type: ignore[arg-type]
    assert sent.summed.tolist() == counted.tolist()


def test_the_arrays_of_the_state_have_the_names_of_its_layout() -> None:
    vector = np.arange(TASK.layout.dim, dtype=np.float64)
    (counts,) = TASK.parameters(vector).values()
    assert counts.ravel().tolist() == vector.tolist()


@pytest.mark.parametrize("task", ["diagnosis", "credit"])
def test_the_plain_use_case_is_not_counted(task: str) -> None:
    assert task_for(task, CLASSES, ModelPlan(), seed=7) == tabular_task(
        task, CLASSES, ModelPlan(), seed=7
    )


def test_counts_that_nobody_bounded_have_no_noise() -> None:
    plan = PrivacyPlan(noise_multiplier=1.0, clip_norm=1.0, sampling_rate=1.0, steps=1)
    nothing = np.zeros(1, np.int64)
    with pytest.raises(BadPlan, match=r"set dp\.unit to off"):
        CountedTask.noisy_count(TASK, Data(), nothing, np.zeros(1), plan)  # type: ignore[misc]
