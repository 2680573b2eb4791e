"""What people ask of a card."""

import pytest

from sites.learners.cards.plan import CardPlan
from sites.plans import BadPlan


def test_directions_are_read_by_name() -> None:
    plan = CardPlan(monotone="age:down,months_late:up")
    assert dict(plan.directions) == {"age": "down", "months_late": "up"}
    assert dict(CardPlan().directions) == {}


@pytest.mark.parametrize(
    "value", [{"pdo": 0.0}, {"base_odds": -1.0}, {"base_points": float("inf")}]
)
def test_a_scale_that_is_none_is_refused(value: dict[str, float]) -> None:
    with pytest.raises(BadPlan, match=next(iter(value))):
        CardPlan(**value)  # type: ignore[arg-type]  # the values are floats
