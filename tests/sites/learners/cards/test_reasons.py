"""Reasons name what took most points from a record, and nothing that took none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.cards.plan import CardPlan
from sites.learners.cards.points import Card, CardFeature
from sites.learners.cards.reasons import MOST_REASONS, points_lost, reasons
from sites.learners.cards.state import CardBins
from sites.schema.tables import Category
from tests.sites.learners.cards.card_records import fitted, learner_with, loans

VALUES = ("a", "b", "c")


def card_of(points: list[list[int]]) -> Card:
    """Return a card of categories f0, f1 and so on, with the points of each value."""
    made = []
    for place, row in enumerate(points):
        bins = CardBins(
            feature=Category(name=f"f{place}", values=VALUES),
            edges=np.zeros(0, np.float32),
            places=np.arange(3),
            missing=0,
            counts=np.full((2, 3), 10),
        )
        made.append(CardFeature(bins=bins, points=np.array(row)))
    return Card(start=600, features=tuple(made), plan=CardPlan())


POINTS = st.lists(st.lists(st.integers(-5, 5), min_size=3, max_size=3), min_size=1, max_size=7)


@given(POINTS, st.data())
def test_the_reasons_are_the_largest_losses_in_their_order(
    points: list[list[int]], data: st.DataObject
) -> None:
    """Of equal losses the feature that comes first in the schema stands first."""
    codes = data.draw(st.lists(st.integers(0, 2), min_size=len(points), max_size=len(points)))
    card, columns = card_of(points), {f"f{at}": np.array([one]) for at, one in enumerate(codes)}
    lost = [max(row) - row[code] for row, code in zip(points, codes, strict=True)]
    assert points_lost(card, columns)[:, 0].tolist() == lost
    ranked = sorted((-one, at) for at, one in enumerate(lost) if one > 0)[:MOST_REASONS]
    names = [f"f{at}" for _, at in ranked]
    (found,) = reasons(card, columns).tolist()
    assert found == names + [""] * (MOST_REASONS - len(names))


def test_what_is_lost_and_what_is_had_are_the_most_that_anybody_can_have() -> None:
    learner, records = learner_with(), loans(800)
    card = learner.card(fitted(learner, [records]))
    _, most = card.range
    lost = points_lost(card, records.columns).sum(axis=0)
    assert (card.totals(records.columns) + lost == most).all()
    assert lost.max() > 0


@pytest.mark.parametrize("n", [0, 3])
def test_a_card_without_features_has_no_reasons(n: int) -> None:
    card = Card(start=600, features=(), plan=CardPlan())
    assert reasons(card, {"age": np.zeros(n)}).tolist() == [[""] * MOST_REASONS] * n
