"""Each kind of model of a table has a graph; what has none is refused with what to do."""

import numpy as np
import pytest

from scenarios.library.registry import scenario_named
from sites.graphs.graph import Graph
from sites.graphs.kinds.registry import NoOnnx, graph_of
from sites.learners.plans import LearnerName, LearnerPlan, LearnerPlans
from sites.learners.registry import learner_for
from sites.plans import ModelPlan
from sites.schema.tables import Schema
from sites.tasks.tabular.task import TabularTask


def graph_with(learner: LearnerName, scenario: str = "heart-diagnosis") -> Graph:
    """Return the graph of a model before its first round."""
    schema = scenario_named(scenario).table
    assert isinstance(schema, Schema)
    task = TabularTask("diagnosis", schema, ModelPlan(), 7)
    plans = LearnerPlans(chosen=LearnerPlan(name=learner))
    made = learner_for("diagnosis", schema, plans).at_site(task)
    statistics = np.zeros(made.statistics.layout.size, np.int64)
    return graph_of(made, statistics, np.zeros(made.layout.dim))


@pytest.mark.parametrize("learner", ["gradient", "glm", "trees", "scorecard"])
def test_a_model_that_predicts_a_class_has_a_graph_of_all_columns(learner: LearnerName) -> None:
    graph, schema = graph_with(learner), scenario_named("heart-diagnosis").table
    assert isinstance(schema, Schema)
    assert [one.name for one in graph.inputs] == [item.name for item in schema.features]
    assert graph.outputs[0].name == "probability"


@pytest.mark.parametrize(
    ("learner", "scenario"), [("describe", "heart-diagnosis"), ("cox", "lung-survival")]
)
def test_a_state_that_is_no_such_model_is_refused(learner: LearnerName, scenario: str) -> None:
    with pytest.raises(NoOnnx, match=r"is not written as ONNX: .* Leave --onnx out"):
        graph_with(learner, scenario)
