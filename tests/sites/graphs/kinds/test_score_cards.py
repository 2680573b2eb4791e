"""The graph of a card gives the points of the printed card, without this program."""

import numpy as np
from hypothesis import given, settings

from privacy.layout import Vector
from sites.graphs.kinds.score_cards import card_graph
from sites.learners.cards.learner import ScoreCard
from sites.learners.cards.reasons import points_lost
from sites.tasks.tabular.data import Columns, Table
from tests.graph_runs import run
from tests.sites.learners.cards.card_records import (
    SCHEMA,
    fitted,
    learner_with,
    loans,
    statistics_of,
    tables,
    task_of,
)


def same_as_ours(learner: ScoreCard, vector: Vector, columns: Columns) -> None:
    task, card = task_of(learner), learner.card(vector)
    found = run(card_graph(task, vector), SCHEMA, columns)
    assert found["points"].tolist() == card.totals(columns).tolist()
    ours = card.probabilities(card.totals(columns))
    np.testing.assert_allclose(found["probability"], ours, rtol=1e-12)
    if card.features:
        assert (points_lost(card, columns) == found["points_lost"].T).all()


@settings(max_examples=25)
@given(tables(), tables())
def test_any_record_has_the_points_of_the_printed_card(one: Table, other: Table) -> None:
    learner = learner_with(pdo=40.0, base_points=500.5)
    same_as_ours(learner, fitted(learner, [one], exchanges=3), other.columns)


def test_a_value_on_an_edge_is_in_the_bin_of_the_card() -> None:
    """Edges are float32 numbers: so is a value when it is compared, not before."""
    learner = learner_with()
    vector = fitted(learner, [loans(2_000)])
    card = learner.card(vector)
    for name in ("age", "bill"):
        (one,) = (held for held in card.features if held.bins.feature.name == name)
        edges = one.bins.edges.astype(np.float64)
        assert len(edges) > 1
        below = np.nextafter(one.bins.edges, -np.inf, dtype=np.float32).astype(np.float64)
        near = [edges, below, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)]
        values = np.concatenate([*near, (edges + below) / 2])
        n = len(values)
        columns = {"age": np.full(n, 30.0), "bill": np.full(n, 9.0), "work": np.zeros(n, np.int64)}
        same_as_ours(learner, vector, {**columns, name: values})


def test_bounds_and_missing_values_have_their_points() -> None:
    learner = learner_with()
    columns = {
        "age": np.array([18.0, 110.0, np.nan, 18.0]),
        "bill": np.array([-1e6, 1e7, np.nan, 0.0]),
        "work": np.array([0, 3, -1, -1]),
    }
    same_as_ours(learner, fitted(learner, [loans(2_000)]), columns)


def test_before_the_first_exchange_everybody_has_the_same() -> None:
    learner, records = learner_with(), loans(10)
    assert statistics_of(learner, [records]).any()
    same_as_ours(learner, np.zeros(task_of(learner).layout.dim), records.columns)
