"""Points are whole numbers from which the probability follows."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from privacy.layout import Tally
from sites.learners.cards.plan import CardPlan
from sites.learners.cards.points import (
    Card,
    information_value,
    weights_of_evidence,
)
from sites.tasks.tabular.data import Table
from tests.sites.learners.cards.card_records import fitted, learner_with, loans, tables

COUNTS = st.integers(2, 20).flatmap(
    lambda n: arrays(np.int64, (2, n), elements=st.integers(10, 2**25))
)


@given(COUNTS)
def test_a_safer_bin_has_more_weight_of_evidence(counts: Tally) -> None:
    weights = weights_of_evidence(counts)
    assert np.isfinite(weights).all()
    assert (np.round(weights, 4) == weights).all()
    safer = np.argsort(counts[0] / counts[1])
    assert (np.diff(weights[safer]) >= 0).all()
    # as each is the log of a ratio of shares
    expected = np.log(counts[0] / counts[0].sum()) - np.log(counts[1] / counts[1].sum())
    assert weights == pytest.approx(expected, abs=6e-5)


@given(COUNTS)
def test_an_information_value_is_0_only_where_the_classes_are_alike(counts: Tally) -> None:
    assert information_value(counts) >= -1e-12
    assert information_value(np.stack([counts[0], counts[0]])) == pytest.approx(0, abs=1e-12)


def test_one_bin_says_nothing() -> None:
    assert weights_of_evidence(np.zeros((2, 1), np.int64)).tolist() == [0.0]
    assert information_value(np.zeros((2, 1), np.int64)) == 0.0


@given(st.floats(1, 100), st.floats(0.1, 1e4), st.floats(-1e3, 1e3))
def test_so_many_points_more_double_the_odds(pdo: float, odds: float, base: float) -> None:
    plan = CardPlan(pdo=pdo, base_odds=odds, base_points=round(base))
    card = Card(start=0, features=(), plan=plan)
    at = card.probabilities(np.array([round(base)]))[0]
    assert (1 - at) / at == pytest.approx(odds)
    if pdo == round(pdo):
        more = card.probabilities(np.array([round(base + pdo)]))[0]
        assert (1 - more) / more == pytest.approx(2 * odds)


@given(tables())
def test_a_probability_is_one_of_the_printed_total(records: Table) -> None:
    learner = learner_with(pdo=40.0, base_odds=10.0, base_points=500.0)
    card = learner.card(fitted(learner, [records], exchanges=4))
    totals = card.totals(records.columns)
    fewest, most = card.range
    assert ((fewest <= totals) & (totals <= most)).all()
    odds = [10 * 2 ** ((int(total) - 500) / 40) for total in totals]
    expected = [1 / (1 + one) for one in odds]
    assert card.probabilities(totals).tolist() == pytest.approx(expected, rel=1e-9)


def test_rounded_points_cost_less_than_a_point_for_each_feature() -> None:
    learner, records = learner_with(pdo=20.0), loans(3_000)
    fine = learner_with(pdo=10_000.0, base_points=0.0)
    vector = fitted(learner, [records])
    card, exact = learner.card(vector), fine.card(vector)
    log_odds = [
        np.log(1 / one.probabilities(one.totals(records.columns)) - 1) for one in (card, exact)
    ]
    factor = 20 / math.log(2)
    assert np.abs(log_odds[0] - log_odds[1]).max() * factor <= 0.5 * (len(card.features) + 1) + 0.1
