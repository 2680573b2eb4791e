import pytest

from consortium.config import RunConfig, new_run_config
from sites.learners.trees.plan import TreesPlan
from sites.plans import BadPlan


def test_a_tree_takes_an_exchange_for_each_level() -> None:
    assert TreesPlan(count=100, depth=4).exchanges == 400
    config = new_run_config({"learner": "trees", "trees.count": 7, "trees.depth": 3})
    assert config.num_server_rounds == 21


def test_keys_are_those_of_the_run_config() -> None:
    config = RunConfig.parse({"trees.learning-rate": 0.2, "trees.min-records": 30})
    assert config.learning.trees == TreesPlan(learning_rate=0.2, min_records=30)


@pytest.mark.parametrize("wrong", [{"min_records": 9}, {"depth": 7}, {"count": 0}, {"bins": 31}])
def test_values_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(BadPlan):
        TreesPlan(**wrong)
