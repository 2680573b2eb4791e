from collections.abc import Callable
from typing import Any

import pytest

from consortium.config import BadConfig, RunConfig, Scalar, new_run_config
from sites.learners.plans import GlmPlan, LearnerPlan, LearnerPlans
from sites.plans import BadPlan


@pytest.mark.parametrize(
    "made",
    [
        lambda: LearnerPlan(name="forest"),  # type: ignore[arg-type]
        lambda: GlmPlan(family="gamma"),  # type: ignore[arg-type]
        lambda: GlmPlan(ridge=-0.1),
        lambda: GlmPlan(site_effects="random"),  # type: ignore[arg-type]
        lambda: GlmPlan(missing_values="mean"),  # type: ignore[arg-type]
    ],
)
def test_a_value_out_of_range_is_refused(made: Callable[[], Any]) -> None:
    with pytest.raises(BadPlan):
        made()


@pytest.mark.parametrize(("learner", "exchanges"), [("describe", 1), ("glm", 8), ("gradient", 20)])
def test_a_run_has_the_exchanges_that_its_learner_needs(learner: str, exchanges: int) -> None:
    assert new_run_config({"learner": learner}).num_server_rounds == exchanges
    assert new_run_config({"learner": learner}, {}).num_server_rounds == exchanges


@pytest.mark.parametrize(("task", "exchanges"), [("survival", 8), ("credit", 20), ("", 20)])
def test_what_the_use_case_learns_by_itself_has_the_exchanges_it_needs(
    task: str, exchanges: int
) -> None:
    assert new_run_config({"on-finding": "warn"}, {}, task=task).num_server_rounds == exchanges
    assert new_run_config({"num-server-rounds": 3}, task=task).num_server_rounds == 3
    trained = new_run_config({"learner": "gradient"}, {}, task=task)
    assert trained.num_server_rounds == 20


def test_a_number_that_the_user_names_stands() -> None:
    """That of a scenario is one for training."""
    told: dict[str, Scalar] = {"learner": "glm", "num-server-rounds": 3}
    assert new_run_config({"num-server-rounds": 20}, told).num_server_rounds == 3
    assert new_run_config({"num-server-rounds": 20}, {"learner": "glm"}).num_server_rounds == 8


def test_a_run_config_holds_the_plans_of_its_learner() -> None:
    config = RunConfig.parse({"learner": "glm", "site-effects": "fixed", "ridge": 0.5})
    assert config.learning.chosen == LearnerPlan(name="glm")
    assert config.learning.glm == GlmPlan(site_effects="fixed", ridge=0.5)
    assert LearnerPlans().exchanges("credit") is None
    with pytest.raises(BadConfig, match="learner"):
        RunConfig.parse({"learner": "forest"})
