"""The graph of a model, by the kind of its task: what `model.onnx` is written from.

A module of its own so that a new kind is one line here.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, cast

from privacy.errors import ConsortiumError
from privacy.layout import Tally, Vector
from sites.graphs.graph import Graph
from sites.graphs.kinds.regression import regression_graph
from sites.graphs.kinds.score_cards import card_graph
from sites.graphs.kinds.trained_models import tabular_graph
from sites.graphs.kinds.trees import trees_graph
from sites.learners.cards.learner import ScoreCardTask
from sites.learners.regression.learner import RegressionTask
from sites.learners.trees.learner import BoostedTrees
from sites.learners.trees.task import TreesTask
from sites.task import Task
from sites.tasks.tabular.task import TabularTask

Made = Callable[[Any, Tally, Vector], Graph]


class NoOnnx(ConsortiumError, ValueError, code="no-onnx"):
    """A model cannot be written as ONNX."""


_GRAPHS: Mapping[type, Made] = MappingProxyType(
    {
        TabularTask: tabular_graph,
        ScoreCardTask: lambda task, statistics, vector: card_graph(task, vector),
        RegressionTask: lambda task, *state: regression_graph(task.regression, *state),
        TreesTask: lambda task, *state: trees_graph(cast("BoostedTrees", task.learner), *state),
    }
)


def graph_of(task: Task[Any], statistics: Tally, vector: Vector) -> Graph:
    """Return the graph of a model.

    Args:
        task: Of the model.
        statistics: The pooled statistics of its training.
        vector: The federated vector, shape (dim,).

    Raises:
        NoOnnx: Its kind has no graph.
    """
    made = _GRAPHS.get(type(task))
    if made is None:
        raise NoOnnx(
            f"a model of {task.name} is not written as ONNX: only models of tables are that "
            "predict a class or a number. Leave --onnx out"
        )
    return made(task, statistics, vector)
