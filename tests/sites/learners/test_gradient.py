from privacy.contribution import UpdateVector
from sites.learners.gradient import Gradient
from sites.plans import ModelPlan
from sites.tasks.registry import task_for
from tests.small_consortium import TABLE


def test_training_by_gradients_sends_updates_and_leaves_the_task_as_it_is() -> None:
    task = task_for("diagnosis", TABLE, ModelPlan(), seed=7)
    learner = Gradient()
    assert learner.at_site(task) is task
    assert learner.contribution == UpdateVector()
    assert learner.move is None
    assert learner.name == "gradient"
