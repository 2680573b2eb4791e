import pytest

from privacy.policy.document import LEARNERS
from sites.learners import registry
from sites.learners.gradient import Gradient
from sites.learners.plans import LearnerPlans
from sites.plans import ModelPlan
from sites.tasks.registry import TABULAR, TASKS, task_for
from tests.bin_means import BinMeans, BinMeansTask
from tests.small_consortium import TABLE


@pytest.mark.parametrize("task", sorted({*TASKS} - {"survival"}))
def test_every_use_case_learns_by_gradients_unless_another_learner_is_named(task: str) -> None:
    assert registry.learner_for(task, TABLE, LearnerPlans()) == Gradient()


def test_a_policy_can_allow_every_learner_that_there_is_and_no_other() -> None:
    assert set(LEARNERS) == {*registry._LEARNERS}


def test_a_learner_that_is_named_carries_its_use_case_out_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_OF_TASK", {"diagnosis": BinMeans})
    assert registry.learner_for("diagnosis", TABLE, LearnerPlans()) == BinMeans(TABLE)
    tasks = {name: task_for(name, TABLE, ModelPlan(), seed=7) for name in TABULAR[:2]}
    assert [name for name, task in tasks.items() if isinstance(task, BinMeansTask)] == ["diagnosis"]
