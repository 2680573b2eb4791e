"""A card as plain JSON values, from which anybody can score a record without this program."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sites.learners.cards.plan import CardPlan
from sites.learners.cards.points import (
    Card,
    CardFeature,
    information_value,
    weights_of_evidence,
)
from sites.learners.cards.state import CardState
from sites.schema.tables import ClassLabel, Number

SETTLED = 0.05  # log-odds: less than two points where 20 double the odds
_FORMULA = (
    "points = start + for each feature the points of the bin that holds its value. A bin of a "
    "number holds x if from <= x < below, compared as 32-bit floating-point numbers; no limit "
    "where one is null. A bin of a category holds the values that it lists. Missing values have "
    "the points of the bin that says so. Probability of the second class = 1 / (1 + base_odds * "
    "2^((points - base_points) / pdo)). A feature's loss = its most points - the points that it "
    "gave; the features with the largest losses are the reasons for a low total."
)


def printed_card(state: CardState, plan: CardPlan, label: ClassLabel) -> Mapping[str, Any]:
    """Return a card as plain JSON values.

    Guarantee: with `formula`, it is all that is needed to score a record. No bin that is shown has
    fewer than ten training records of a class, unless it is the only one of its feature.
    """
    card = Card.of(state, plan)
    first, second = (int(one) for one in state.totals)
    fewest, most = card.range
    return {
        "kind": "scorecard",
        "version": 1,
        "formula": _FORMULA,
        "label": label.column,
        "classes": list(label.classes),
        "pdo": plan.pdo,
        "base_odds": plan.base_odds,
        "base_points": plan.base_points,
        "start": card.start,
        "fewest": fewest,
        "most": most,
        "records": {"first": first, "second": second},
        "exchanges": state.exchanges,
        "settled": state.exchanges > 1 and state.pull < SETTLED,
        "features": [
            _printed_feature(one, plan.directions.get(one.bins.feature.name))
            for one in card.features
        ],
    }


def _printed_feature(one: CardFeature, direction: str | None) -> dict[str, Any]:
    bins, weights = one.bins, weights_of_evidence(one.bins.counts)
    return {
        "name": bins.feature.name,
        "kind": bins.feature.kind,
        "unit": bins.feature.unit if isinstance(bins.feature, Number) else "",
        "direction": direction,
        "information_value": information_value(bins.counts),
        "bins": [
            {
                **_held(one, place),
                "missing": bins.feature.missing and bins.missing == place,
                "first": int(bins.counts[0, place]),
                "second": int(bins.counts[1, place]),
                "weight_of_evidence": float(weights[place]),
                "points": int(one.points[place]),
            }
            for place in range(bins.n_bins)
        ],
    }


def _held(one: CardFeature, place: int) -> dict[str, Any]:
    """Return which values a bin holds: limits, or a list."""
    bins = one.bins
    if not isinstance(bins.feature, Number):
        held = np.flatnonzero(bins.places == place)
        return {"values": [bins.feature.values[int(code)] for code in held]}
    if place > len(bins.edges):
        return {"from": None, "below": None, "only_missing": True}
    edges = [None, *(float(str(edge)) for edge in bins.edges), None]
    return {"from": edges[place], "below": edges[place + 1], "only_missing": False}
