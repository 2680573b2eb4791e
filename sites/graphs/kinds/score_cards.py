"""A card as a graph, from the columns of a table to points and probability."""

import math

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Vector
from sites.graphs.columns import GraphColumns
from sites.graphs.graph import INT64, Graph, GraphOutput
from sites.learners.cards.learner import ScoreCardTask
from sites.learners.cards.plan import CardPlan
from sites.learners.cards.points import CardFeature
from sites.schema.tables import Category, Number

_STEEPEST = 700.0


def card_graph(task: ScoreCardTask, vector: Vector) -> Graph:
    """Return the graph of a card: `probability`, `points` and `points_lost`.

    Guarantee: points are those of the printed card, exactly, as `Card.totals` adds them up.

    Args:
        task: The card's task.
        vector: The state, shape (dim,).
    """
    learner, card = task.learner, task.learner.card(vector)
    columns = GraphColumns.of(learner.schema)
    draft = columns.draft
    total, lost = columns.add_same(float(card.start)), []
    for one in card.features:
        points = _feature_points(columns, one)
        total = draft.add("Add", total, points)
        most = draft.add_constant(float(one.points.max()))
        lost.append(draft.add_column(draft.add("Sub", most, points)))
    found = [
        GraphOutput(
            name="probability",
            tensor=_probability(columns, card.plan, total),
            says=f"of {learner.label.column} = {learner.label.classes[1]}",
        ),
        GraphOutput(name="points", tensor=total, says="whole numbers; more are safer"),
    ]
    if lost:
        every = GraphOutput(
            name="points_lost",
            tensor=draft.add("Concat", *lost, axis=1),
            columns=tuple(one.bins.feature.name for one in card.features),
            says="how far the points of each column are below its most; the largest are reasons",
        )
        found.append(every)
    return columns.graph(found)


def _probability(columns: GraphColumns, plan: CardPlan, points: str) -> str:
    """Add the probability of the second class for so many points; return the tensor."""
    draft = columns.draft
    above = draft.add_sum(points, -plan.base_points)
    doublings = draft.add("Div", above, draft.add_constant(plan.pdo))
    log_odds = draft.add_sum(draft.add_product(doublings, math.log(2)), math.log(plan.base_odds))
    odds = draft.add("Exp", draft.add_clipped(log_odds, -_STEEPEST, _STEEPEST))
    whole = draft.add_constant(1.0)
    return draft.add("Div", whole, draft.add("Add", whole, odds))


def _feature_points(columns: GraphColumns, one: CardFeature) -> str:
    """Add the points of a feature; return the tensor, float64, shape (n,)."""
    bins, missing = one.bins, float(one.points[one.bins.missing])
    if isinstance(bins.feature, Category):
        table = one.points[bins.places].astype(float).tolist()
        return columns.add_looked_up(bins.feature, table, missing=missing)
    draft = columns.draft
    points = draft.add_gathered(one.points, _number_bins(columns, bins.feature, bins.edges))
    return columns.add_chosen(bins.feature, missing=missing, present=points)


def _number_bins(columns: GraphColumns, number: Number, edges: NDArray[np.float32]) -> str:
    """Add the bin of each value: how many edges it reaches, both as float32 numbers."""
    draft = columns.draft
    value = draft.add_column(draft.add_float32(columns.values[number.name]))
    reached = draft.add("GreaterOrEqual", value, draft.add_constant(edges[None]))
    counted = draft.add("Cast", reached, to=INT64)
    return draft.add("ReduceSum", counted, draft.add_constant(np.array([1])), keepdims=0)
